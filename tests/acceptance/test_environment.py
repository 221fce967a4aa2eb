"""What surrounds a worker goes bad: the network, the machine, the server's place."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import psutil
import pytest

from myia_sdk.queue import JobState, JobStore, QueueAdministration
from tests.acceptance import app
from tests.acceptance.test_faults import finishes
from tests.acceptance.wire import Wire
from tests.acceptance.worker import Consumer, assert_clean, ended, wait_until


@pytest.fixture
def start(tmp_path):
    started = []

    def launch(server, *arguments, **settings):
        log = tmp_path / f"consumer-{len(started)}.log"
        started.append(Consumer(server, log, *arguments, **settings))
        return started[-1]

    yield launch
    for consumer in started:
        consumer.close()


@pytest.mark.parametrize("ways", [(), ("from",)], ids=["both ways", "answers only"])
def test_silent_network_is_noticed_and_outlived(redis_server, start, tmp_path, ways):
    """F12: no end and no reset, for longer than any read may block.

    With the answers only the server goes on doing what it is told: a job that it
    handed out to nobody comes back when its lease has run out.
    """
    ledger = tmp_path / "ledger"
    with Wire(redis_server.port) as wire, redis_server.client() as straight:
        far = replace(redis_server, port=wire.port)
        settings = {"lease": 4, "check": 0.5, "stalls": 20}
        consumer = start(far, "-w", "2", **settings)
        consumer.store.redis.close()
        consumer.store = JobStore(straight, consumer.queue)
        ids = [consumer.submit(app.effect.s(str(ledger), 0.2)) for _ in range(3)]
        for job_id in ids:
            ended(consumer.store, job_id)
        wire.cut(*ways)
        ids += [consumer.submit(app.effect.s(str(ledger), 0.2)) for _ in range(4)]
        wait_until(lambda: "Redis is away" in consumer.log.read_text(), what="notice")
        wire.mend()
        mended = time.monotonic()
        jobs = [ended(consumer.store, job_id) for job_id in ids]
        print(f"F12 {ways}: all done {time.monotonic() - mended:.1f} s after the mend")
        assert {job.state for job in jobs} == {JobState.COMPLETED}
        assert_clean(consumer.store, ids)
        assert {line[2] for line in finishes(ledger)} == set(ids)
        wait_until(lambda: "Redis is back" in consumer.log.read_text(), what="the end")


def test_greedy_jobs_fail_alone(redis_server, start, tmp_path):
    """F23: a bomb of forks, of threads, of descriptors, of bytes on the disk."""
    limits = {"processes": 60, "open_files": 100, "file_bytes": 1_000_000}
    consumer = start(redis_server, "-w", "2", limits=json.dumps(limits))
    reasons = {
        "forks": "more than 60 processes and threads",
        "threads": "more than 60 processes and threads",
        "descriptors": "Too many open files",
        "disk": "File too large",
    }
    good, bad = [], {}
    for kind in reasons:
        bad[kind] = consumer.submit(app.hog.s(kind, str(tmp_path)))
        good += [consumer.submit(app.add.s(n)) for n in range(2)]
    for kind, words in reasons.items():
        job = ended(consumer.store, bad[kind])
        assert job.state == JobState.FAILED
        assert words in job.failed_reason
    jobs = [ended(consumer.store, job_id) for job_id in good]
    assert {job.state for job in jobs} == {JobState.COMPLETED}
    assert_clean(consumer.store, [*good, *bad.values()])
    (server,) = psutil.Process(consumer.process.pid).children()
    wait_until(lambda: not server.children(), what="the end of all they started")


def test_rate_limit_holds_under_several_workers(redis_server, start):
    """F33, by the server's own clock: starts are entries of the events stream.

    The window is Bull's, which begins with its first start and is shared with Node: no
    window holds more than the limit, and so no stretch of its length twice as many.
    """
    limit, window_ms, count = 5, 400, 40
    first = start(redis_server, "-w", "3")
    for _ in range(2):
        start(redis_server, "-w", "3", queue=first.queue)
    workers = QueueAdministration(first.store).workers
    wait_until(lambda: len(workers()) == 3, what="three workers")
    meta = {"max": limit, "duration": window_ms}
    first.store.redis.hset(first.store.keys.meta, mapping=meta)
    ids, names = [], set()
    # One worker alone may be as fast as the limit allows.
    while len(ids) < count or len(names) < 2:
        ids += [first.submit(app.quick.s(n)) for n in range(count)]
        for job_id in ids[-count:]:
            job = ended(first.store, job_id)
            assert job.state == JobState.COMPLETED
            names.add(job.processed_by)
    started = [
        int(entry.partition("-")[0])
        for entry, fields in first.store.redis.xrange(first.store.keys.events)
        if fields["event"] == "active" and fields["jobId"] in ids
    ]
    assert len(started) == len(ids)
    windows = []
    for moment in started:
        # The key of a window expires up to a millisecond before its length is over.
        if not windows or moment >= windows[-1][0] + window_ms - 1:
            windows.append([])
        windows[-1].append(moment)
    assert max(map(len, windows)) <= limit
    stretches = [
        sum(begin <= moment < begin + window_ms for moment in started)
        for begin in started
    ]
    assert max(stretches) < 2 * limit
    print(
        f"F33: {len(windows)} windows, at most {max(stretches)} in any {window_ms} ms"
    )
