"""Consumers for tests: in this process, or as the stock command in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from myia_sdk.queue import JobStore
from tests.acceptance import app
from tests.helpers.processes import is_gone

ROOT = Path(__file__).parents[2]
#: Seconds: only a test that fails waits so long, whatever the machine.
DEADLINE = 100.0


@contextmanager
def consumer_here(server, **options):
    """Run a consumer of the test application in threads of this process."""
    app.huey.configure(url=server.url)
    consumer = app.huey.create_consumer(periodic=False, **options)
    consumer.start()
    try:
        yield consumer
    finally:
        consumer.stop(graceful=True)


class Consumer:
    """``huey_consumer tests.acceptance.app.huey`` in a process of its own."""

    def __init__(
        self, server, log: Path, *arguments, queue=None, store=None, **settings
    ):
        self.queue = queue or f"t{uuid4().hex}"
        self.store = store or JobStore(server.client(), self.queue)
        self.log = log
        self._arguments = [sys.executable, "-m", "huey.bin.huey_consumer"]
        self._arguments += ["tests.acceptance.app.huey", "-n", *arguments]
        self._environment = {
            **os.environ,
            "TEST_URL": server.url,
            "TEST_QUEUE": self.queue,
            **{f"TEST_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.process = self._launch()

    def _launch(self):
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._arguments,
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def wait(self):
        """Wait for the end of the process; return its exit code."""
        return self.process.wait(timeout=DEADLINE)

    def restart(self, *held):
        """Start a new process after the old one, which held some jobs, has ended."""
        self.wait()
        self.expire(*held)
        self.process = self._launch()

    def expire(self, *job_ids):
        """Let the leases of jobs run out now, however long they are."""
        for job_id in job_ids:
            self.store.redis.delete(self.store.keys.lock(job_id))

    def submit(self, task):
        """Add a task of the application to this consumer's queue; return the id."""
        return self.store.add(app.huey.new_job(task))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.store.redis.close()
        # Shown by pytest when the test failed.
        print(self.log.read_text()[-2000:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wait_until(condition, seconds=DEADLINE, what="the condition"):
    """Poll until `condition` returns something true; return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.01)


def ended(store, job_id, seconds=DEADLINE):
    """Wait for the end of a job; return it."""

    def look():
        job = store.job(job_id)
        return job if job is not None and job.is_finished else None

    return wait_until(look, seconds, f"the end of job {job_id}")


def lines_of(ledger):
    """Return the entries of a ledger file, oldest first, as far as they are written."""
    path = Path(ledger)
    if not path.exists():
        return []
    written = path.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in written.splitlines()]


def assert_dead(pids):
    """Wait for the end of processes."""
    wait_until(lambda: all(map(is_gone, pids)), what=f"the end of {pids}")


def assert_clean(store, job_ids):
    """I1 and I4: each job is in exactly one, final, state, and nothing is left over."""
    for job_id in job_ids:
        job = store.job(job_id)
        assert job is not None, job_id
        assert job.is_finished, job
        assert not store.command("EXISTS", store.keys.lock(job_id))
    members = [
        *store.command("LRANGE", store.keys.wait, 0, -1),
        *store.command("LRANGE", store.keys.active, 0, -1),
        *store.command("ZRANGE", store.keys.delayed, 0, -1),
        *store.command("ZRANGE", store.keys.completed, 0, -1),
        *store.command("ZRANGE", store.keys.failed, 0, -1),
    ]
    assert sorted(members) == sorted(set(members))
    assert set(job_ids) <= set(members)
