"""The stock command runs our queue, shows itself, and ends as it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from myia_sdk.queue import JobState
from myia_sdk.queue.store import QueueAdministration
from tests.acceptance import app
from tests.acceptance.worker import (
    Consumer,
    assert_clean,
    assert_dead,
    consumer_here,
    ended,
    lines_of,
    wait_until,
)


@pytest.fixture
def start(redis_server, tmp_path):
    started = []

    def launch(*arguments, **settings):
        log = tmp_path / f"consumer-{len(started)}.log"
        started.append(Consumer(redis_server, log, *arguments, **settings))
        return started[-1]

    yield launch
    for consumer in started:
        consumer.close()


def pids_of(ledger, count):
    """Wait for `count` starts in a ledger; return all process ids in them."""
    wait_until(lambda: len(lines_of(ledger)) >= count, what=f"{count} starts")
    return [pid for line in lines_of(ledger) for pid in line[4:]]


def can_trace_everything():
    """Whether this process has CAP_SYS_PTRACE, which nothing is hidden from."""
    status = Path("/proc/self/status").read_text()
    line = next(x for x in status.splitlines() if x.startswith("CapEff"))
    return bool(int(line.split()[1], 16) >> 19 & 1)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_stock_command_runs_jobs_and_is_listed_once(start, kind):
    consumer = start("-w", "2", "-k", kind)
    ids = [consumer.submit(app.add.s(n)) for n in range(5)]
    ids += [consumer.submit(app.quick.s(n)) for n in range(5)]
    values = [ended(consumer.store, job_id).return_value for job_id in ids]
    assert values == [1, 2, 3, 4, 5] * 2
    assert_clean(consumer.store, ids)
    server, worker_process = ended(
        consumer.store, consumer.submit(app.peek_at_parents.s())
    ).return_value
    assert server in {"clean", "refused"}
    assert worker_process == "refused" or can_trace_everything()
    (worker,) = wait_until(QueueAdministration(consumer.store).workers)
    assert worker.is_listed
    assert consumer.store.job(ids[0]).processed_by == worker.name
    consumer.process.send_signal(signal.SIGINT)
    assert consumer.wait() == 0
    assert consumer.store.command("HLEN", consumer.store.keys.sdk("workers")) == 0


@pytest.mark.parametrize(
    "command",
    [("huey.bin.huey_consumer", "myia_sdk.worker.huey"), ("myia_sdk.worker",)],
    ids=["stock command", "module"],
)
def test_bad_settings_are_one_line(command):
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        env=os.environ | {"REDIS_PORT": "99999"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("REDIS_PORT is '99999'")


def test_idle_worker_takes_a_job_at_once(start):
    consumer = start("-w", "2")
    ended(consumer.store, consumer.submit(app.quick.s(1)))
    delays = []
    # It looks by itself every four seconds; a busy machine may be slow now and then.
    while len(delays) < 5 or min(delays) > 2:
        asked = time.monotonic()
        ended(consumer.store, consumer.submit(app.quick.s(1)))
        delays.append(time.monotonic() - asked)
        assert len(delays) < 20, delays
    print(f"submit to seen as done: {sorted(delays)[2] * 1000:.1f} ms (median of 5)")


def test_sigterm_lets_jobs_end_and_puts_the_rest_back_uncharged(start, tmp_path):
    """F4, over Python sleep, CPU loop, native call and a process tree."""
    ledger, short, gate = (tmp_path / name for name in ("ledger", "short", "gate"))
    consumer = start("-w", "5", "-t", "5")
    kinds = ["sleep", "cpu", "native", "tree"]
    hanging = [consumer.submit(app.hang.s(str(ledger), kind)) for kind in kinds]
    ending = consumer.submit(app.effect.s(str(short), gate=str(gate)))
    waiting = [consumer.submit(app.quick.s(n)) for n in range(2)]
    pids = pids_of(ledger, 4) + pids_of(short, 1)
    asked = time.monotonic()
    consumer.process.terminate()
    wait_until(lambda: "Shutting down" in consumer.log.read_text(), what="the drain")
    gate.touch()
    assert consumer.wait() == 0
    print(f"exit {time.monotonic() - asked:.1f} s after SIGTERM with -t 5")
    assert_dead(pids)
    job = consumer.store.job(ending)
    assert (job.state, job.attempts_made) == (JobState.COMPLETED, 1)
    for job_id in hanging:
        job = consumer.store.job(job_id)
        assert (job.state, job.attempts_made) == (JobState.WAITING, 0)
        assert job.failed_reason is None
    assert {consumer.store.state(job_id) for job_id in waiting} == {JobState.WAITING}


def test_second_signal_ends_at_once(start, tmp_path):
    ledger = tmp_path / "ledger"
    consumer = start("-w", "2", "-t", "600")
    ids = [consumer.submit(app.hang.s(str(ledger), "native"))]
    ids += [consumer.submit(app.stubborn.s(str(ledger)))]
    pids = pids_of(ledger, 2)
    consumer.process.terminate()
    wait_until(lambda: "Shutting down" in consumer.log.read_text(), what="the drain")
    consumer.process.terminate()
    assert consumer.wait() == 0
    assert_dead(pids)
    for job_id in ids:
        job = consumer.store.job(job_id)
        assert (job.state, job.attempts_made) == (JobState.WAITING, 0)


def test_second_signal_counts_also_when_it_comes_with_the_first(redis_server, tmp_path):
    ledger = tmp_path / "ledger"
    with consumer_here(redis_server, shutdown_timeout=400) as consumer:
        store = consumer.store
        job_id = store.add(app.huey.new_job(app.hang.s(str(ledger), "sleep")))
        pids = pids_of(ledger, 1)
        for _ in range(2):
            consumer._handle_signal(signal.SIGTERM, None)
        consumer.stop(graceful=True)
        assert_dead(pids)
        job = store.job(job_id)
        assert (job.state, job.attempts_made) == (JobState.WAITING, 0)
        consumer.administration.remove(job_id)


def test_time_limit_and_cancel_stop_every_body(start, tmp_path):
    """F5 and F6 through the queue."""
    ledger, limited = tmp_path / "ledger", tmp_path / "limited"
    consumer = start("-w", "8")
    kinds = ["sleep", "cpu", "native", "tree"]
    timed, cancelled = {}, {}
    for kind in kinds:
        task = app.hang.s(str(limited), kind, timeout=2)
        task.retries = 0
        timed[kind] = consumer.submit(task)
        cancelled[kind] = consumer.submit(app.hang.s(str(ledger), kind))
    pids = pids_of(ledger, 4)
    asked = time.monotonic()
    for job_id in cancelled.values():
        QueueAdministration(consumer.store).cancel(job_id)
    for kind in kinds:
        found = ended(consumer.store, cancelled[kind])
        print(f"{kind}: cancelled within {time.monotonic() - asked:.2f} s")
        assert (found.failed_reason, found.attempts_made) == ("cancelled", 1)
        found = ended(consumer.store, timed[kind])
        assert found.failed_reason.startswith("timed out after 2 s")
        over = (found.finished_at - found.processed_at).total_seconds() - 2
        print(f"{kind}: timed out {over:.2f} s over, start of the child included")
    # On a slow machine the time of some is up before they have said anything.
    assert_dead(pids + pids_of(limited, 0))
