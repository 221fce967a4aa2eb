"""Time-outs, cancels and deaths: the whole tree goes, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from myia_sdk.queue.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

BODIES = "tests.helpers.sandbox_bodies"
HANGS = [
    "sleep",
    "except_exception",
    "except_base",
    "native_gil",
    "native_free",
    "tree",
]
CONSUMER = """
import sys
from myia_sdk.queue.sandbox.sandbox import Sandbox
sandbox = Sandbox(preload=["tests.helpers.sandbox_bodies"])
sandbox.run("tests.helpers.sandbox_bodies:hang", ["tree", sys.argv[1]])
"""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(preload=[BODIES]) as made:
        yield made


#: Seconds for what takes one on an idle machine.
PATIENCE = 120.0
#: Time-outs tried until the body of a job was up before it, seconds.
TIMEOUTS = (1.5, 6.0, 24.0, 96.0)


def pids_in(path: Path, seconds: float = PATIENCE) -> list[int]:
    """Wait for the process ids that a body writes down."""
    deadline = time.monotonic() + seconds
    while not is_written(path):
        assert time.monotonic() < deadline, "the child did not write its process ids"
        time.sleep(0.02)
    return list(json.loads(path.read_text()))


def is_written(path: Path) -> bool:
    """Tell whether there are process ids in a file; they are written in one piece."""
    return path.exists() and bool(path.read_text())


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_gone(pids: list[int], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline, f"still running: {pids}"
        time.sleep(0.02)


@pytest.mark.parametrize("kind", HANGS)
def test_timeout_kills_the_whole_tree(sandbox, tmp_path, kind):
    path = tmp_path / "pids"
    for seconds in TIMEOUTS:
        outcome = sandbox.run(
            f"{BODIES}:hang", [kind, str(path)], timeout=timedelta(seconds=seconds)
        )
        assert outcome.is_timed_out
        assert outcome.reason.startswith(f"timed out after {seconds:g} s: ")
        if is_written(path):
            break
    pids = pids_in(path, seconds=0)
    assert len(pids) == (4 if kind == "tree" else 1)
    assert not any(map(is_running, pids))
    over = (outcome.duration - timedelta(seconds=seconds)).total_seconds()
    print(f"{kind}: {over * 1000:.0f} ms over")


@pytest.mark.parametrize("kind", ["native_gil", "tree"])
def test_cancel_kills_the_whole_tree(sandbox, tmp_path, kind):
    path = tmp_path / "pids"
    cancel = threading.Event()
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(
            sandbox.run(f"{BODIES}:hang", [kind, str(path)], cancel=cancel)
        )
    )
    thread.start()
    pids = pids_in(path)
    cancel.set()
    thread.join(timeout=PATIENCE)
    assert outcomes[0].is_cancelled
    assert outcomes[0].reason == "cancelled"
    assert not any(map(is_running, pids))


@pytest.mark.parametrize("body", ["leave_daemon", "crash_with_daemon"])
def test_what_a_job_leaves_behind_ends_with_it(sandbox, tmp_path, body):
    path = tmp_path / "pids"
    outcome = sandbox.run(f"{BODIES}:{body}", [str(path)])
    assert outcome.is_success == (body == "leave_daemon")
    assert not any(map(is_running, pids_in(path)))


def test_killing_one_tree_leaves_the_neighbour_alone(sandbox, tmp_path):
    """The neighbour's daemon, too, which lives in a session of its own."""
    path = tmp_path / "pids"
    cancel = threading.Event()
    thread = threading.Thread(
        target=sandbox.run,
        args=(f"{BODIES}:hang", ["tree", str(path)]),
        kwargs={"cancel": cancel},
    )
    thread.start()
    pids = pids_in(path)
    other = tmp_path / "other"
    assert sandbox.run(f"{BODIES}:leave_daemon", [str(other)]).is_success
    assert all(map(is_running, pids))
    cancel.set()
    thread.join(timeout=PATIENCE)


def test_tree_dies_with_a_killed_consumer(tmp_path):
    path = tmp_path / "pids"
    consumer = subprocess.Popen([sys.executable, "-c", CONSUMER, str(path)])
    try:
        pids = pids_in(path)
        server = psutil.Process(pids[0]).ppid()
    finally:
        consumer.kill()
        consumer.wait()
    begun = time.monotonic()
    assert_gone([*pids, server])
    print(f"gone {(time.monotonic() - begun) * 1000:.0f} ms after kill -9")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_death_of_the_fork_server_fails_the_run_and_is_healed(tmp_path, number):
    path = tmp_path / "pids"
    outcomes = []
    with Sandbox(preload=[BODIES]) as own:
        thread = threading.Thread(
            target=lambda: outcomes.append(
                own.run(f"{BODIES}:hang", ["sleep", str(path)])
            )
        )
        thread.start()
        pids = pids_in(path)
        os.kill(own.server_pid, number)
        thread.join(timeout=PATIENCE)
        assert outcomes[0].is_sandbox_fault
        assert_gone(pids)
        assert own.run("math:sqrt", [9]).value == 3.0
