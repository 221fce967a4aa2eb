"""Jobs a second through one worker: ``python -m tests.benchmarks.throughput``."""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import time
from pathlib import Path

from myia_sdk.queue import JobState
from tests.acceptance import app
from tests.acceptance.worker import Consumer, ended, wait_until
from tests.conftest import RedisServer, free_port


def rate(server, log, task, n, slots):
    """Return jobs a second of `n` jobs that wait when the clock starts."""
    with Consumer(server, log, "-w", str(slots)) as consumer:
        ended(consumer.store, consumer.submit(task.s(0)))
        consumer.store.add_many([app.huey.new_job(task.s(i)) for i in range(n)])
        begun = time.monotonic()
        before = consumer.store.counts()[JobState.COMPLETED]
        wait_until(
            lambda: consumer.store.counts()[JobState.COMPLETED] == n + 1,
            300,
            "the end of all jobs",
        )
        return (n + 1 - before) / (time.monotonic() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=1000, help="jobs of the quick kind")
    n = parser.parse_args().n
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, -w 2")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server = RedisServer(
            directory,
            free_port(),
            secrets.token_hex(8),
            extra=("--appendfsync", "everysec"),
        )
        server.start()
        try:
            quick = rate(server, directory / "log", app.quick, n, 2)
            print(f"isolate=False: {quick:,.0f} jobs/s")
            child = rate(server, directory / "log", app.add, max(n // 5, 20), 2)
            print(f"isolate=True:  {child:,.0f} jobs/s")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
