"""The served board in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.conftest import BOARD_PASSWORD, PATIENCE, die_with_parent, stop
from tests.conftest import RedisServer, free_port


@contextmanager
def serving(
    server: RedisServer, home: Path, queue: str, directory: Path
) -> Iterator[str]:
    """The served board in a process of its own; gives its address."""
    port = free_port()
    environment = {
        **os.environ,
        **server.environment,
        "BULL_BOARD_PORT": str(port),
        "BULL_BOARD_PASSWORD": BOARD_PASSWORD,
        "CERTIFICATION_QUEUE_NAME": queue,
        "MYIA_HOME": str(home),
        "MYIA_LANG": "en",
    }
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "myia_sdk.board"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
        )
    url = f"http://127.0.0.1:{port}/admin/queues"
    try:
        wait_for_refusal(url, process)
        yield url
    finally:
        stop(process)


def wait_for_refusal(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the board answers: strangers are refused."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(url, timeout=PATIENCE).close()
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return
        except OSError:
            assert process.poll() is None, "the board ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)
