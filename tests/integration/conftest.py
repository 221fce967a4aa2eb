"""A real chat model, and what stands between it and its clients in bad times."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from myia_sdk.certification.models import load_model
from myia_sdk.certification.references import ModelRef
from tests.chat_server import (
    MODEL_NAME,
    missing_packages,
    running_chat_server,
    wait_until_ready,
)

AIMOCK = Path("node_modules/@copilotkit/aimock/dist/cli.js")
INTEROP = Path(__file__).parents[1] / "interop"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chat_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.chat)
            # One server, and its measurements, for all of them.
            item.add_marker(pytest.mark.xdist_group("chat"))


def require(missing: object, what: str) -> None:
    """Skip where an optional program is missing; in CI that is a failure."""
    if missing:
        reason = f"{what} missing: {missing}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def serving(
    command: list[str], ready: str, environment: dict[str, str] | None = None, **options
) -> Iterator[None]:
    """Run a server until the block ends."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **options,
    )
    try:
        wait_until_ready(ready, process)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def chat_server() -> Iterator[str]:
    """Base URL of SmolLM2 behind llama.cpp's server."""
    require(missing_packages(), "packages of the chat server are")
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
def faulty_server(chat_server: str, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """The chat server behind a proxy of others' making that injects faults."""
    require(not shutil.which("node") or not (INTEROP / AIMOCK).exists(), "aimock is")
    with contextlib.ExitStack() as stack:

        def start(*faults: str, **environment: str) -> str:
            port = free_port()
            command = ["node", str(AIMOCK), "--port", str(port), "--proxy-only"]
            command += ["--fixtures", str(tmp_path)]
            upstream = chat_server.removesuffix("/v1")
            stack.enter_context(
                serving(
                    [*command, "--provider-openai", upstream, *faults],
                    f"http://127.0.0.1:{port}/health",
                    environment,
                    cwd=INTEROP,
                )
            )
            return f"http://127.0.0.1:{port}/v1"

        yield start


@pytest.fixture(scope="session")
def bedrock_server(
    chat_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Bedrock's wire protocol, by ministack, with the chat server's answers."""
    import importlib.util

    require(importlib.util.find_spec("ministack") is None, "ministack is")
    port = free_port()
    environment = {
        "MINISTACK_BEDROCK_PROXY_URL": chat_server.removesuffix("/v1"),
        "MINISTACK_BEDROCK_PROXY_TIMEOUT_SECONDS": "120",
        "HOME": str(tmp_path_factory.mktemp("ministack")),
    }
    with serving(
        [
            sys.executable,
            *("-m", "hypercorn", "ministack.app:app", "-b", f"127.0.0.1:{port}"),
        ],
        f"http://127.0.0.1:{port}/_ministack/health",
        environment,
        cwd=environment["HOME"],
    ):
        yield f"http://127.0.0.1:{port}"
