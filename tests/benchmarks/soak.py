"""Hours in minutes: ``nice -n 10 python -m tests.benchmarks.soak --minutes 12``.

F36: two workers run small jobs without end while one of them, the jobs' processes,
the server and the network between them are killed, frozen and cut at random. The other
worker is left alone, so that a leak shows as a slope. At the end every job that was
submitted must have ended exactly once.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import psutil
import redis

from myia_sdk.errors import QueueError
from myia_sdk.queue import JobState, JobStore, NewJob
from myia_sdk.queue.store import QueueAdministration
from tests.acceptance import app
from tests.acceptance.wire import Wire
from tests.acceptance.worker import Consumer, lines_of, wait_until
from tests.conftest import RedisServer, free_port

#: Jobs kept in line, so that the slots are busy and no backlog grows.
BACKLOG = 20
#: Seconds between two faults, and two looks at the memory.
FAULT_EVERY, LOOK_EVERY = 6.0, 3.0
#: Ended jobs are counted and deleted this often, so that only leaks grow.
COUNT_EVERY = 10.0
WORKER = {"lease": 3, "check": 0.5, "stalls": 1000}


@dataclass
class Soak:
    """What is under test, and what was seen."""

    server: RedisServer
    wire: Wire
    doomed: Consumer
    calm: Consumer
    store: JobStore
    ledger: Path
    random: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    submitted: set[str] = field(default_factory=set)
    unsent: list[NewJob] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    #: Ended jobs stay this long: one that is sent again meets itself.
    kept: timedelta = timedelta(seconds=30)
    sizes: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        wait_until(self.fork_servers, what="the calm worker's start")
        begun = time.monotonic()
        due = dict.fromkeys(("fault", "look", "count"), begun)
        duties = {
            "fault": (FAULT_EVERY, self.break_something),
            "look": (LOOK_EVERY, self.look),
            "count": (COUNT_EVERY, self.count),
        }
        while (now := time.monotonic()) < begun + seconds:
            self.attempt(self.submit)
            for name, (pace, duty) in duties.items():
                if now >= due[name]:
                    self.attempt(duty)
                    due[name] = now + pace
            if self.doomed.process.poll() is not None:
                self.doomed.restart()
            time.sleep(0.05)

    @staticmethod
    def attempt(duty: object) -> None:
        """Do it; while the server is away it is done the next time."""
        with suppress(QueueError, redis.RedisError, psutil.Error, OSError):
            duty()

    def submit(self) -> None:
        missing = BACKLOG - self.store.counts()[JobState.WAITING]
        while len(self.unsent) < missing:
            task = app.effect.s(str(self.ledger), round(self.random.random() / 5, 2))
            self.unsent.append(app.huey.new_job(task))
        while self.unsent:
            # When the answer is lost it is sent again: the id makes it the same job.
            self.submitted.add(self.store.add(self.unsent[-1], must_be_new=False))
            self.unsent.pop()

    def count(self) -> None:
        """Note the jobs that ended a while ago, and delete them."""
        administration = QueueAdministration(self.store)
        for state in (JobState.COMPLETED, JobState.FAILED):
            jobs = self.store.page(state, 0, 999, newest_first=False)
            for job in jobs:
                if job.state is JobState.FAILED:
                    self.failed[job.id] = job.failed_reason or ""
            while gone := administration.clean(self.kept, 1000, state):
                self.ended.update(gone)

    def fork_servers(self) -> list[psutil.Process]:
        return psutil.Process(self.calm.process.pid).children()

    def look(self) -> None:
        process = psutil.Process(self.calm.process.pid)
        sizes = {"worker": process.memory_info().rss / 1e6}
        sizes["fork server"] = sum(
            server.memory_info().rss / 1e6 for server in self.fork_servers()
        )
        sizes["descriptors"] = float(process.num_fds())
        sizes["threads"] = float(process.num_threads())
        sizes["server"] = self.store.redis.info("memory")["used_memory"] / 1e6
        self.sizes.append((time.monotonic(), sizes))

    def break_something(self) -> None:
        faults = {
            "child killed": self.kill_child,
            "worker killed": self.doomed.process.kill,
            "worker frozen": lambda: self.freeze(self.doomed.process.pid),
            "server killed": self.kill_server,
            "server frozen": lambda: self.freeze(self.server.process.pid),
            "network cut": self.cut,
        }
        name = self.random.choice(list(faults))
        faults[name]()
        self.faults[name] += 1

    def kill_child(self) -> None:
        for server in self.fork_servers():
            for child in server.children()[:1]:
                child.kill()

    def freeze(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.random.uniform(0.5, 6))
        os.kill(pid, signal.SIGCONT)

    def kill_server(self) -> None:
        self.server.kill()
        time.sleep(self.random.uniform(0, 3))
        self.server.start()

    def cut(self) -> None:
        self.wire.cut(*self.random.choice([(), ("to",), ("from",)]))
        time.sleep(self.random.uniform(2, 8))
        self.wire.mend()

    def settle(self) -> None:
        """Let all that is in line end; ask until the server answers."""

        def is_idle() -> bool:
            with suppress(QueueError):
                counts = self.store.counts()
                busy = (JobState.WAITING, JobState.ACTIVE, JobState.DELAYED)
                return not any(counts[state] for state in busy)
            return False

        if self.doomed.process.poll() is not None:
            self.doomed.restart()
        wait_until(is_idle, 180, "the end of all jobs")
        self.kept = timedelta()
        self.count()

    def report(self) -> bool:
        finished = Counter(
            (line[2], line[3]) for line in lines_of(self.ledger) if line[1] == "finish"
        )
        lost = self.submitted - self.ended.keys()
        twice = [job_id for job_id, times in self.ended.items() if times > 1]
        again = sum(times - 1 for times in finished.values())
        print(f"faults: {dict(self.faults)}")
        print(
            f"jobs {len(self.submitted):,}  lost {len(lost)}  ended twice {len(twice)}"
            f"  failed {len(self.failed)}  ran again after a lost lease {again}"
        )
        for job_id, reason in list(self.failed.items())[:5]:
            print(f"  {job_id}: {reason}")
        rest = [one for one in self.sizes if one[0] > self.warm_from()]
        for name in rest[0][1]:
            values = [(at, sizes[name]) for at, sizes in rest]
            print(
                f"{name:<12} {values[0][1]:>8.1f} -> {values[-1][1]:>8.1f}  "
                f"slope {slope(values):+.2f} an hour"
            )
        return not (lost or twice or self.failed)

    def warm_from(self) -> float:
        """The first quarter is warming up."""
        first, last = self.sizes[0][0], self.sizes[-1][0]
        return first + (last - first) / 4


def slope(values: list[tuple[float, float]]) -> float:
    """Least squares, per hour."""
    middle = sum(at for at, _ in values) / len(values)
    spread = sum((at - middle) ** 2 for at, _ in values)
    return sum((at - middle) * value for at, value in values) / spread * 3600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}, {chosen.minutes:g} minutes")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = RedisServer(folder, free_port(), secrets.token_hex(8))
        server.start()
        with (
            Wire(server.port) as wire,
            server.client(socket_timeout=5) as client,
            Consumer(
                replace(server, port=wire.port), folder / "doomed", "-w", "2", **WORKER
            ) as doomed,
            Consumer(
                *(server, folder / "calm", "-w", "2"), queue=doomed.queue, **WORKER
            ) as calm,
        ):
            soak = Soak(
                *(server, wire, doomed, calm, JobStore(client, doomed.queue)),
                *(folder / "ledger", random.Random(chosen.seed)),
            )
            try:
                soak.run(chosen.minutes * 60)
                soak.settle()
                return 0 if soak.report() else 1
            finally:
                server.stop()


if __name__ == "__main__":
    raise SystemExit(main())
