"""Deaths and outages in the middle of jobs: nothing is lost, nothing ends twice."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import psutil
import pytest

from myia_sdk.queue import JobState, NewJob
from tests.acceptance import app
from tests.acceptance.test_consumer import pids_of
from tests.acceptance.worker import (
    Consumer,
    assert_clean,
    assert_dead,
    consumer_here,
    ended,
    lines_of,
    wait_until,
)

#: Lost jobs are looked for often; a lease that nobody cuts short outlives pauses.
QUICK = {"check": 0.5}


@pytest.fixture
def start(request, tmp_path):
    started = []

    def launch(server, *arguments, queue=None, **settings):
        log = tmp_path / f"consumer-{len(started)}.log"
        started.append(Consumer(server, log, *arguments, queue=queue, **settings))
        return started[-1]

    yield launch
    for consumer in started:
        consumer.close()


def starts(ledger):
    return [line for line in lines_of(ledger) if line[1] == "start"]


def finishes(ledger):
    return [line for line in lines_of(ledger) if line[1] == "finish"]


def reports(consumer):
    """Count what a worker's log says of outages."""
    log = consumer.log.read_text()
    return {word: log.count(f"Redis is {word}") for word in ("away", "back")}


def assert_no_double_effect(ledger):
    """I2: one finished effect per job and attempt."""
    counts = Counter((line[2], line[3]) for line in finishes(ledger))
    assert not [key for key, count in counts.items() if count > 1]


def test_killed_child_is_retried_and_named(redis_server, start, tmp_path):
    """F1."""
    consumer = start(redis_server)
    recoveries = []
    for number in range(3):
        ledger, gate = tmp_path / f"ledger-{number}", tmp_path / f"gate-{number}"
        job_id = consumer.submit(app.effect.s(str(ledger), gate=str(gate)))
        (pid,) = pids_of(ledger, 1)
        killed = time.time()
        os.kill(pid, signal.SIGKILL)
        gate.touch()
        job = ended(consumer.store, job_id)
        assert (job.state, job.attempts_made) == (JobState.COMPLETED, 2)
        assert "killed by SIGKILL (signal 9)" in job.failed_reason
        recoveries.append(starts(ledger)[1][0] - killed)
        assert_no_double_effect(ledger)
        assert_clean(consumer.store, [job_id])
    print(f"F1: recovery {max(recoveries):.2f} s at most of 3 (retry_delay 0.1 s)")


def test_killed_consumer_loses_nothing_and_leaves_nothing(
    redis_server, start, tmp_path
):
    """F2."""
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    first = start(redis_server, "-w", "2", lease=2, stalls=20, **QUICK)
    ids = [first.submit(app.effect.s(str(ledger), gate=str(gate))) for _ in range(2)]
    ids += [first.submit(app.effect.s(str(ledger), 0)) for _ in range(3)]
    pids = pids_of(ledger, 2)
    killed = time.time()
    (server,) = psutil.Process(first.process.pid).children()
    first.process.kill()
    second = start(redis_server, "-w", "2", queue=first.queue, stalls=20, **QUICK)
    assert_dead([*pids, server.pid])
    gate.touch()
    jobs = [ended(second.store, job_id) for job_id in ids]
    assert {job.state for job in jobs} == {JobState.COMPLETED}
    again = max(line[0] for line in starts(ledger) if line[2] in ids[:2])
    print(f"F2: restarted {again - killed:.1f} s after kill -9 (lease 2 s)")
    assert_no_double_effect(ledger)
    assert len(finishes(ledger)) == len(ids)
    assert_clean(second.store, ids)


def test_killed_server_comes_back_with_all_jobs(own_redis_server, start, tmp_path):
    """F9 and F10: the server dies while jobs run, and they end during the outage."""
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    consumer = start(own_redis_server, "-w", "2", lease=60, check=1)
    gated = [app.effect.s(str(ledger), gate=str(gate)) for _ in range(2)]
    ids = [consumer.submit(task) for task in gated]
    ids += [consumer.submit(app.effect.s(str(ledger), 0)) for _ in range(4)]
    pids_of(ledger, 2)
    own_redis_server.kill()
    gate.touch()
    wait_until(lambda: len(finishes(ledger)) == 2, what="the ends in the outage")
    wait_until(lambda: reports(consumer)["away"], what="the notice")
    own_redis_server.start()
    back = time.time()
    jobs = [ended(consumer.store, job_id) for job_id in ids]
    print(f"F10: all stored {time.time() - back:.2f} s after the server was back")
    assert {(job.state, job.attempts_made) for job in jobs} == {("completed", 1)}
    assert len(finishes(ledger)) == len(ids)
    assert_clean(consumer.store, ids)
    # Not one line a try: at most one for each word the library has for it.
    found = wait_until(
        lambda: found if len(set((found := reports(consumer)).values())) == 1 else None,
        what="as many ends of outages as beginnings",
    )
    assert found["away"] <= 3


def test_worker_started_first_waits_for_its_server(own_redis_server, start):
    own_redis_server.stop()
    consumer = start(own_redis_server)
    wait_until(lambda: reports(consumer)["away"], what="the wait")
    own_redis_server.start()
    assert ended(consumer.store, consumer.submit(app.quick.s(1))).return_value == 2


def test_hiccups_of_the_server_cost_no_job(own_redis_server, start, tmp_path):
    """F13 and F16: cut connections, forgotten scripts, a pause, a full memory."""
    ledger = tmp_path / "ledger"
    consumer = start(own_redis_server, "-w", "2", lease=60, check=1)
    ids = [consumer.submit(app.effect.s(str(ledger), 0.4)) for _ in range(8)]
    pids_of(ledger, 1)
    raw = own_redis_server.client()
    raw.script_flush()
    raw.client_kill_filter(_type="normal", skipme=True)
    time.sleep(0.3)
    raw.execute_command("CLIENT", "PAUSE", 700, "ALL")
    raw.script_flush()
    raw.config_set("maxmemory", 1)
    time.sleep(1.5)
    raw.config_set("maxmemory", 0)
    jobs = [ended(consumer.store, job_id) for job_id in ids]
    assert {job.state for job in jobs} == {JobState.COMPLETED}
    assert consumer.process.poll() is None
    assert_no_double_effect(ledger)
    assert len(finishes(ledger)) == len(ids)
    assert_clean(consumer.store, ids)
    assert len(consumer.log.read_text().splitlines()) < 60
    raw.close()


def test_frozen_server_is_waited_for_without_noise(own_redis_server, start, tmp_path):
    """F8: longer than the socket time-out; no crash, no spinning, no flood."""
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    consumer = start(own_redis_server, "-w", "2", lease=60, check=1)
    job_id = consumer.submit(app.effect.s(str(ledger), gate=str(gate)))
    pids_of(ledger, 1)
    process = psutil.Process(consumer.process.pid)
    own_redis_server.process.send_signal(signal.SIGSTOP)
    gate.touch()
    before = process.cpu_times()
    begun, lines = time.monotonic(), len(consumer.log.read_text().splitlines())
    time.sleep(7)
    after = process.cpu_times()
    elapsed = time.monotonic() - begun
    own_redis_server.process.send_signal(signal.SIGCONT)
    busy = (after.user + after.system - before.user - before.system) / elapsed
    new_lines = len(consumer.log.read_text().splitlines()) - lines
    job = ended(consumer.store, job_id)
    print(f"F8: CPU {busy * 100:.1f} %, {new_lines} log lines in {elapsed:.0f} s")
    assert new_lines < elapsed
    assert (job.state, job.attempts_made) == (JobState.COMPLETED, 1)
    assert len(finishes(ledger)) == 1
    assert ended(consumer.store, consumer.submit(app.quick.s(1))).return_value == 2


def test_late_finish_of_a_frozen_consumer_is_refused(redis_server, start, tmp_path):
    """F7: the lease passes on while the first holder sleeps."""
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    first = start(redis_server, **QUICK)
    job_id = first.submit(app.effect.s(str(ledger), gate=str(gate)))
    pids_of(ledger, 1)
    os.kill(first.process.pid, signal.SIGSTOP)
    first.expire(job_id)
    second = start(redis_server, queue=first.queue, **QUICK)
    wait_until(lambda: len(starts(ledger)) == 2, what="the second start")
    gate.touch()
    job = ended(second.store, job_id)
    os.kill(first.process.pid, signal.SIGCONT)
    wait_until(
        lambda: (
            "Dropped the end" in first.log.read_text()
            or "lease of job" in first.log.read_text()
        ),
        what="the refusal",
    )
    later = second.store.job(job_id)
    assert (later.state, later.attempts_made, later.stalled_count) == (
        JobState.COMPLETED,
        1,
        1,
    )
    assert later.processed_by == job.processed_by
    assert later.finished_at == job.finished_at
    assert later.return_value == job.return_value
    assert len(starts(ledger)) == 2
    assert_clean(second.store, [job_id])
    second.close()
    assert ended(first.store, first.submit(app.quick.s(1))).return_value == 2


def test_frozen_child_goes_on_under_its_lease(redis_server, start, tmp_path):
    """The consumer renews for a child that does nothing: it is slow, not dead."""
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    lease = 6
    consumer = start(redis_server, lease=lease, **QUICK)
    store = consumer.store
    job_id = consumer.submit(app.effect.s(str(ledger), gate=str(gate)))
    (pid,) = pids_of(ledger, 1)
    os.kill(pid, signal.SIGSTOP)
    begun = store.redis.pexpiretime(store.keys.lock(job_id))
    # A lease is renewed three times in its length.
    wait_until(
        lambda: store.redis.pexpiretime(store.keys.lock(job_id)) > begun + lease * 500,
        what="the second renewal",
    )
    assert store.state(job_id) == JobState.ACTIVE
    os.kill(pid, signal.SIGCONT)
    gate.touch()
    job = ended(store, job_id)
    assert (job.state, job.attempts_made) == (JobState.COMPLETED, 1)
    assert len(starts(ledger)) == len(finishes(ledger)) == 1


def test_poison_among_good_jobs_ends_failed(redis_server, start):
    """F21 and F22."""
    consumer = start(redis_server, "-w", "2")
    reasons = {
        "segfault": "SIGSEGV (signal 11)",
        "abort": "SIGABRT (signal 6)",
        "kill": "SIGKILL (signal 9)",
        "exit": "exit code 0",
        "sysexit": "SystemExit: 3",
        "unserialisable": "UnserialisableResultError",
    }
    good, bad = [], {}
    for kind in reasons:
        good += [consumer.submit(app.add.s(n)) for n in range(3)]
        bad[kind] = consumer.submit(app.poison.s(kind))
    for kind, words in reasons.items():
        job = ended(consumer.store, bad[kind])
        assert (job.state, job.attempts_made) == (JobState.FAILED, 2)
        assert words in job.failed_reason
    jobs = [ended(consumer.store, job_id) for job_id in good]
    assert {job.state for job in jobs} == {JobState.COMPLETED}
    assert_clean(consumer.store, [*good, *bad.values()])


def test_job_that_kills_every_worker_ends_failed(redis_server, start, tmp_path):
    """F22 for the consumer itself: counted before it runs, so it cannot loop."""
    ledger = tmp_path / "ledger"
    consumer = start(redis_server, **QUICK)
    job_id = consumer.submit(app.kill_consumer.s(str(ledger)))
    for _ in range(2):
        consumer.restart(job_id)
    job = ended(consumer.store, job_id)
    assert job.state == JobState.FAILED
    assert "stalled more than allowable limit" in job.failed_reason
    assert len(lines_of(ledger)) == 2
    assert ended(consumer.store, consumer.submit(app.quick.s(1))).return_value == 2


def test_worker_may_die_at_any_step(redis_server, start, tmp_path):
    """F3: kill -9 of the worker at each step of a job with a retry and a follower."""
    points = [
        "guarded-executing",  # claimed, not yet started
        "guarded-error",  # the attempt failed, nothing is stored
        "guarded-retried",  # hooks were told, the retry is not stored
        "guarded-returned",  # the child returned, nothing is stored
        "quick-enqueued",  # about to enqueue the follower
        "guarded-stored",  # the end is stored, hooks are not yet told
    ]
    for point in points:
        (tmp_path / f"{point}.wanted").touch()
    ledger = tmp_path / "ledger"
    settings = {**QUICK, "stalls": 20, "crashes": tmp_path}
    consumer = start(redis_server, **settings)
    task = app.guarded.s(str(ledger)).then(app.quick, 2)
    follower = task.on_complete.id
    job_id = consumer.submit(task)
    for _ in points:
        consumer.restart(job_id, follower)
    job, after = ended(consumer.store, job_id), ended(consumer.store, follower)
    assert all((tmp_path / point).exists() for point in points)
    assert (job.state, job.return_value, job.attempts_made) == ("completed", 40, 2)
    assert (after.state, after.return_value, after.attempts_made) == (
        "completed",
        42,
        1,
    )
    assert_clean(consumer.store, [job_id, follower])
    print(f"F3: {len(points)} deaths, {len(starts(ledger))} starts, 1 end")


def test_refused_log_of_one_job_holds_up_no_other(redis_server):
    """A key of the wrong type stands where the first job's log should be."""
    with consumer_here(redis_server, workers=2) as consumer:
        store = consumer.store
        mute, heard = app.talk.s(), app.talk.s()
        store.redis.set(store.keys.logs(mute.id), "no list")
        store.add(app.huey.new_job(mute))
        wait_until(lambda: store.state(mute.id) is JobState.ACTIVE)
        store.add(app.huey.new_job(heard))
        wait_until(lambda: store.logs(heard.id).lines == ["said"], what="its log")
        for task in (mute, heard):
            consumer.administration.cancel(task.id)
            assert ended(store, task.id).is_cancelled


def test_malformed_entries_do_not_stop_a_worker(own_redis_server, start):
    """F26: noise in every place the worker reads."""
    consumer = start(own_redis_server, **QUICK)
    store, raw = consumer.store, own_redis_server.client()
    ended(store, consumer.submit(app.quick.s(1)))
    noise = ["no-such-job", "\x00\x07", "x" * 5000, "{", "00"]
    raw.lpush(store.keys.wait, *noise)
    raw.hset(
        store.keys.job("odd"), mapping={"name": "add", "data": "\x80{", "opts": "["}
    )
    raw.hset(store.keys.job("empty"), mapping={"surprise": "1"})
    raw.lpush(store.keys.wait, "odd", "empty")
    raw.zadd(store.keys.delayed, {"ghost": 1})
    raw.zadd(store.keys.marker, {"0": 0})
    good = consumer.submit(app.quick.s(2))
    assert ended(store, good).return_value == 3
    for job_id in ("odd", "empty"):
        assert ended(store, job_id).state == JobState.FAILED
    raw.delete(store.keys.delayed)
    raw.set(store.keys.delayed, "wrong type")
    raw.zadd(store.keys.marker, {"0": 0})
    wait_until(lambda: "WRONGTYPE" in consumer.log.read_text(), what="the complaint")
    raw.delete(store.keys.delayed)
    store.add(NewJob(name="quick", data={"a": 5}), must_be_new=False)
    assert consumer.process.poll() is None
    assert ended(store, consumer.submit(app.quick.s(3))).return_value == 4
    raw.close()
