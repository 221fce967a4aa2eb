"""A real chat model, and what stands between it and its clients in bad times."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from myia_sdk.certification.models import load_model
from myia_sdk.certification.request import ModelRef
from tests.helpers.chat_server import (
    MODEL_NAME,
    READY_WITHIN,
    missing_packages,
    running_chat_server,
    wait_until_ready,
)
from tests.helpers.machine import require, require_node, require_packages

SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
#: Milliseconds that the proxy waits for a model on a busy machine.
PATIENCE = ("--upstream-timeout-ms", "240000", "--body-timeout-ms", "240000")
AIMOCK = Path("node_modules/@copilotkit/aimock/dist/cli.js")
INTEROP = Path(__file__).parents[1] / "interop"


# Before xdist's own hook, which reads the groups: a conftest of a folder that is
# named on the command line would come after it.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chat_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.chat)
            # Half a minute on an idle machine, with the start of the server.
            item.add_marker(pytest.mark.timeout(900))
            # One server, and its measurements, for all of them.
            item.add_marker(pytest.mark.xdist_group("chat"))


@contextlib.contextmanager
def serving(
    command: list[str], environment: dict[str, str], **options
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, **{**SILENT, **options}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait for the address that a server writes into its log."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None
        found = re.search(r"listening on (http://\S+)\n", log.read_text())
        if found:
            return found[1]
        if has_ended:
            raise RuntimeError(f"the server ended: {log.read_text()}")
        time.sleep(0.05)
    raise TimeoutError(f"no address within {READY_WITHIN:.0f} s: {log.read_text()}")


@pytest.fixture(scope="session")
def chat_server() -> Iterator[str]:
    """Base URL of SmolLM2 behind llama.cpp's server."""
    require_packages(missing_packages())
    with running_chat_server() as url:
        yield url


@pytest.fixture
def chat_reference(chat_server: str) -> Callable[..., ModelRef]:
    def make(**over) -> ModelRef:
        base = {"kind": "openai", "name": "smollm2", "model": MODEL_NAME}
        return ModelRef(**{**base, "url": chat_server, **over})

    return make


@pytest.fixture
def open_model():
    """Load models and close them at the end."""
    with contextlib.ExitStack() as stack:

        def load(reference: ModelRef, **options):
            model = load_model(reference, **options)
            stack.callback(model.close)
            return model

        yield load


@pytest.fixture
def faulty_server(
    chat_server: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """The chat server behind a proxy of others' making that injects faults."""
    require_node()
    log_directory = tmp_path_factory.mktemp("aimock")
    with contextlib.ExitStack() as stack:

        def start(*faults: str, **environment: str) -> str:
            # The proxy takes any free port: one chosen here may be another's by then.
            command = ["node", str(AIMOCK), "--port", "0", "--proxy-only", *PATIENCE]
            command += ["--fixtures", str(tmp_path)]
            upstream = chat_server.removesuffix("/v1")
            log = log_directory / f"{uuid4().hex}.log"
            with log.open("wb") as output:
                process = stack.enter_context(
                    serving(
                        [*command, "--provider-openai", upstream, *faults],
                        environment,
                        cwd=INTEROP,
                        stdout=output,
                    )
                )
            return f"{address_in(log, process)}/v1"

        yield start


@pytest.fixture(scope="session")
def bedrock_server(
    chat_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Bedrock's wire protocol, by ministack, with the chat server's answers."""
    import importlib.util

    require(importlib.util.find_spec("ministack"), "Python package ministack")
    environment = {
        "MINISTACK_BEDROCK_PROXY_URL": chat_server.removesuffix("/v1"),
        "MINISTACK_BEDROCK_PROXY_TIMEOUT_SECONDS": "240",
        "HOME": str(tmp_path_factory.mktemp("ministack")),
    }
    # Bound here and handed on, so that no one else can take the port meanwhile.
    with socket.create_server(("127.0.0.1", 0)) as door:
        # No workers: one process, which leaves none behind when it is killed.
        command = [sys.executable, "-m", "hypercorn", "-w", "0", "ministack.app:app"]
        with serving(
            [*command, "-b", f"fd://{door.fileno()}"],
            environment,
            cwd=environment["HOME"],
            pass_fds=[door.fileno()],
        ) as process:
            url = f"http://127.0.0.1:{door.getsockname()[1]}"
            wait_until_ready(f"{url}/_ministack/health", process)
            yield url
