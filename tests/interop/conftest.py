"""The other clients of the ecosystem, each one long-lived process per session."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from myia_sdk.queue.store import JobSchedulers, JobStore, QueueAdministration
from tests.helpers.machine import require, require_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from myia_sdk.queue.jobs import Job
    from tests.conftest import RedisServer

#: Longer than any pause of a busy machine.
LEASE = timedelta(minutes=10)

HERE = Path(__file__).parent
#: Seconds that a foreign client gets for one answer; the first includes its start.
ANSWER_WITHIN = 90.0


class ForeignError(Exception):
    """The foreign client refused: its own message."""


class Foreign:
    """A client of another make behind pipes: commands out, answers back."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._count = 0
        self._buffer = b""
        self._process = subprocess.Popen(
            command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, op: str, **command: Any) -> Any:
        """Run one operation and return its value; ForeignError when it refused."""
        self._count += 1
        line = json.dumps({"n": self._count, "op": op, **command}) + "\n"
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        answer = json.loads(self._read_line())
        while answer["n"] < self._count:
            # It comes late, to a command that was given up.
            answer = json.loads(self._read_line())
        if "error" in answer:
            raise ForeignError(answer["error"])
        return answer["value"]

    def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + ANSWER_WITHIN
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if not select.select([self._process.stdout], [], [], max(left, 0))[0]:
                raise TimeoutError(f"{self.name} gave no answer in {ANSWER_WITHIN} s")
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise EOFError(f"{self.name} ended: exit {self._process.wait()}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    # Shorter names for what the tests do most.
    def queue(self, queue: str, method: str, *args: Any) -> Any:
        return self("queue", queue=queue, method=method, args=args)

    def job(self, queue: str, job_id: str, method: str, *args: Any) -> Any:
        return self("job", queue=queue, id=job_id, method=method, args=args)

    def kill(self) -> None:
        self._process.kill()
        self._close()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def node_command(package: str, url: str) -> list[str]:
    require_node()
    return ["node", "driver.mjs", package, url]


@pytest.fixture(scope="session")
def start_node(redis_server: RedisServer) -> Iterator[Callable[[str], Foreign]]:
    """Start a Node process with the named BullMQ package, ended with the session."""
    started = []

    def start(package: str) -> Foreign:
        foreign = Foreign(package, node_command(package, redis_server.url))
        started.append(foreign)
        return foreign

    yield start
    for foreign in started:
        if foreign._process.returncode is None:
            foreign.stop()


@pytest.fixture(scope="session")
def node5(start_node: Callable[[str], Foreign]) -> Foreign:
    """BullMQ 5.81.5."""
    return start_node("bullmq")


@pytest.fixture(scope="session")
def node6(start_node: Callable[[str], Foreign]) -> Foreign:
    """BullMQ 6.7.0."""
    return start_node("bullmq6")


@pytest.fixture(scope="session")
def python_client(redis_server: RedisServer) -> Iterator[Foreign]:
    """The official Python bullmq 3.4.4."""
    require(importlib.util.find_spec("bullmq"), "Python package bullmq")
    command = [sys.executable, str(HERE / "driver_python.py"), redis_server.url]
    foreign = Foreign("python bullmq", command)
    yield foreign
    foreign.stop()


@pytest.fixture(params=["node5", "node6"])
def node(request: pytest.FixtureRequest) -> Foreign:
    """Each generation of the Node client in turn."""
    client: Foreign = request.getfixturevalue(request.param)
    return client


def until(check: Callable[[], Any], seconds: float = 100.0) -> Any:
    """Poll until the check returns something true; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"never came true, last value {value!r}"
        time.sleep(0.01)


@pytest.fixture
def store(redis_client: redis.Redis, queue_name: str) -> JobStore:
    """Our side of the queue under test."""
    return JobStore(redis_client, queue_name)


@pytest.fixture
def administration(store: JobStore) -> QueueAdministration:
    return QueueAdministration(store)


@pytest.fixture
def work(store: JobStore) -> Callable[..., Any]:
    """Claim the next job and end it as told: what a consumer of ours does."""

    def work(value: object = None, *, fail: str | None = None) -> Job | None:
        token = f"myia:{store.new_job_id()}"
        job = store.claim(token, LEASE, "our-worker").job
        if job is None:
            return None
        if job.scheduler_id is not None:
            JobSchedulers(store).advance(job)
        if job.deferred_failure is not None or fail is not None:
            store.fail(job.id, token, job.deferred_failure or fail, "Error: trace")
        else:
            store.complete(job.id, token, value)
        return job

    return work


@pytest.fixture
def events_of(redis_client: redis.Redis) -> Callable[[str], list[dict[str, str]]]:
    """Read the events of a queue without their ids."""

    def read(queue: str) -> list[dict[str, str]]:
        return [fields for _, fields in redis_client.xrange(f"myia:{queue}:events")]

    return read
