"""Operations on many jobs at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.errors import ConfigurationError, QueueError
from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.store import JobSchedulers, JobStore, QueueAdministration
from myia_sdk.queue.store import administration as module
from myia_sdk.queue.store.administration import BATCH

LEASE = timedelta(minutes=10)
TOKEN = "myia:test-token"


class Clock:
    """Milliseconds that the test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(redis_client, queue_name, clock):
    return JobStore(redis_client, queue_name, clock=clock)


@pytest.fixture
def administration(store):
    return QueueAdministration(store)


@pytest.fixture
def fill(store):
    """Put jobs into a state."""

    def fill(count, state=JobState.WAITING, **options):
        if state is JobState.DELAYED:
            options["delay"] = timedelta(hours=1)
        ids = store.add_many(
            [NewJob(name="t", options=JobOptions(**options)) for _ in range(count)]
        )
        if state in {JobState.COMPLETED, JobState.FAILED, JobState.ACTIVE}:
            for _ in ids:
                job = store.claim(TOKEN, LEASE).job
                if state is JobState.COMPLETED:
                    store.complete(job.id, TOKEN, None)
                elif state is JobState.FAILED:
                    store.fail(job.id, TOKEN, "boom")
        return ids

    return fill


def events(store, name):
    found = [fields for _, fields in store.redis.xrange(store.keys.events)]
    return [one for one in found if one["event"] == name]


def job_keys(store):
    return set(store.redis.scan_iter(f"{store.keys.base}*"))


def test_pause_and_resume_keep_every_job_and_its_order(store, administration, fill):
    before = fill(3)
    administration.pause()
    assert store.is_paused()
    assert store.claim(TOKEN, LEASE).job is None
    assert not store.redis.exists(store.keys.marker)
    later = fill(2)
    assert store.redis.llen(store.keys.paused) == 5
    administration.resume()
    assert not store.is_paused()
    assert store.redis.zscore(store.keys.marker, "0") == 0
    assert [store.claim(TOKEN, LEASE).job.id for _ in range(5)] == before + later
    names = [one["event"] for one in events(store, "paused") + events(store, "resumed")]
    assert names == ["paused", "resumed"]


@pytest.fixture
def small_batches(monkeypatch):
    for name in ("BATCH", "DELETE_BATCH", "MOVE_BATCH"):
        monkeypatch.setattr(module, name, 3)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(("paused", "pushed"), [(2, 7), (7, 2), (3, 3)])
def test_resume_merges_what_others_pushed_to_wait(
    store, administration, fill, paused, pushed
):
    old = fill(paused)
    administration.pause()
    new = [f"new-{n}" for n in range(pushed)]
    for job_id in new:
        store.redis.hset(store.keys.job(job_id), mapping={"name": "t", "data": "{}"})
        store.redis.lpush(store.keys.wait, job_id)
    administration.resume()
    assert not store.redis.exists(store.keys.paused)
    line = store.redis.lrange(store.keys.wait, 0, -1)
    assert line[::-1] == old + new


def test_resume_tells_workers_of_delayed_jobs(store, administration, fill, clock):
    administration.pause()
    fill(1, JobState.DELAYED)
    administration.resume()
    due = clock.now + 3_600_000
    assert store.redis.zrange(store.keys.marker, 0, -1, withscores=True) == [("1", due)]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("state", [JobState.FAILED, JobState.COMPLETED])
def test_retry_all_moves_batches_oldest_first(store, administration, fill, state):
    ids = fill(7, state)
    assert administration.retry_all(state) == 7
    assert store.counts()[state] == 0
    assert store.redis.lrange(store.keys.wait, 0, -1)[::-1] == ids
    assert [one["jobId"] for one in events(store, "waiting")[-7:]] == ids
    job = store.job(ids[0])
    assert job.finished_at is None
    assert job.attempts_made == 1


def test_retry_all_takes_only_what_ended_before(store, administration, fill, clock):
    old = fill(1, JobState.FAILED)
    clock.now += 10_000
    fill(1, JobState.FAILED)
    until = datetime.fromtimestamp((clock.now - 5_000) / 1000, UTC)
    assert administration.retry_all(finished_before=until, reset_attempts=True) == 1
    assert store.job(old[0]).attempts_made == 0
    with pytest.raises(ConfigurationError, match="failed or completed"):
        administration.retry_all(JobState.DELAYED)


@pytest.mark.usefixtures("small_batches")
def test_retry_all_leaves_cancelled_jobs_alone_unless_told(
    store, administration, fill, clock
):
    """Cancelled ones lie before, between and behind the failed ones."""
    cancelled, failed = [], []
    for _ in range(3):
        waiting = fill(4)
        for job_id in waiting:
            administration.cancel(job_id)
            clock.now += 1
        cancelled += waiting
        failed += fill(2, JobState.FAILED)
        clock.now += 1
    assert administration.retry_all() == len(failed)
    line = store.redis.lrange(store.keys.wait, 0, -1)
    assert line[::-1] == failed
    assert {job.id for job in store.page(JobState.FAILED)} == set(cancelled)
    assert administration.retry_all(cancelled=True) == len(cancelled)
    assert not store.job(cancelled[0]).is_cancelled


def test_retry_all_drops_ids_whose_job_is_gone(store, administration, fill):
    (job_id,) = fill(1, JobState.FAILED)
    store.redis.delete(store.keys.job(job_id))
    assert administration.retry_all() == 0
    assert store.counts()[JobState.FAILED] == 0
    assert not store.redis.exists(store.keys.job(job_id))


def test_promote_all_respects_priorities(store, administration, fill):
    plain = fill(BATCH + 2, JobState.DELAYED)
    (important,) = fill(1, JobState.DELAYED, priority=2)
    assert administration.promote_all() == BATCH + 3
    counts = store.counts()
    assert counts[JobState.DELAYED] == 0
    assert counts[JobState.WAITING] == len(plain)
    assert store.state(important) is JobState.PRIORITIZED
    assert store.job(plain[0]).delay == timedelta(0)


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED])
def test_clean_deletes_what_is_older_than_grace(
    store, administration, fill, clock, state
):
    old = fill(3, state)
    clock.now += 60_000
    new = fill(2, state)
    assert administration.clean(timedelta(seconds=30), None, state) == old
    assert [store.state(job_id) for job_id in new] == [state, state]
    assert events(store, "cleaned")[-1]["count"] == "3"
    assert administration.clean(timedelta(0), 1, state) == new[:1]
    assert administration.clean(timedelta(0), 0, state) == []


def test_clean_says_so_when_there_was_nothing(store, administration):
    assert administration.clean(timedelta(0)) == []
    assert events(store, "cleaned") == [{"event": "cleaned", "count": "0"}]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("paused", [False, True])
def test_clean_of_waiting_jobs_passes_over_the_young_ones(
    store, administration, fill, clock, paused
):
    first = fill(5)
    clock.now += 60_000
    young = fill(6)
    clock.now -= 60_000
    last = fill(3)
    clock.now += 60_000
    if paused:
        administration.pause()
    cleaned = administration.clean(timedelta(seconds=1), None, JobState.WAITING)
    assert cleaned == first + last
    place = store.keys.paused if paused else store.keys.wait
    assert store.redis.lrange(place, 0, -1)[::-1] == young


def test_clean_of_delayed_and_prioritized_jobs(store, administration, fill, clock):
    delayed = fill(2, JobState.DELAYED)
    prioritized = fill(2, priority=3)
    clock.now += 1000
    fill(1, JobState.DELAYED)
    assert administration.clean(timedelta(seconds=1), None, JobState.DELAYED) == delayed
    assert administration.clean(timedelta(0), None, JobState.PRIORITIZED) == prioritized


def test_clean_of_active_jobs_spares_those_that_a_worker_holds(
    store, administration, fill, clock
):
    held, dead = fill(2, JobState.ACTIVE)
    store.redis.delete(store.keys.lock(dead))
    clock.now += 10_000
    assert administration.clean(timedelta(0), None, JobState.ACTIVE) == [dead]
    assert store.state(held) is JobState.ACTIVE


def test_clean_refuses_negative_numbers(administration):
    with pytest.raises(ConfigurationError, match="negative"):
        administration.clean(timedelta(seconds=-1))
    with pytest.raises(ConfigurationError, match="negative"):
        administration.clean(timedelta(0), -1)


def test_drain_deletes_what_waits_and_nothing_else(store, administration, fill):
    done, running = fill(1, JobState.COMPLETED), fill(1, JobState.ACTIVE)
    fill(BATCH + 5)
    fill(2, priority=1)
    delayed = fill(2, JobState.DELAYED)
    assert administration.drain() == BATCH + 7
    left = [*done, *running, *delayed]
    states = [store.state(job_id) for job_id in left]
    assert states == [JobState.COMPLETED, JobState.ACTIVE, *[JobState.DELAYED] * 2]
    assert administration.drain(delayed=True) == 2
    assert events(store, "removed") == []


def test_drain_works_while_paused(store, administration, fill):
    fill(3)
    administration.pause()
    assert administration.drain() == 3
    assert store.counts()[JobState.WAITING] == 0


def test_bulk_removal_never_takes_the_next_run_of_a_scheduler(store, administration):
    schedulers = JobSchedulers(store)
    waiting = schedulers.upsert(
        "now", every=timedelta(hours=1), template=NewJob(name="t")
    )
    delayed = schedulers.upsert("later", pattern="0 0 1 1 *", template=NewJob(name="t"))
    assert store.state(waiting.next_run_id) is JobState.WAITING
    assert administration.drain(delayed=True) == 0
    for state in (JobState.WAITING, JobState.DELAYED):
        assert administration.clean(timedelta(0), None, state) == []
    for run in (waiting.next_run_id, delayed.next_run_id):
        for operation in (administration.remove, administration.cancel):
            with pytest.raises(QueueError, match="scheduler"):
                operation(run)
        assert store.job(run) is not None


def test_obliterate_leaves_nothing_behind(store, administration, fill):
    fill(2, JobState.COMPLETED)
    fill(2, JobState.FAILED, attempts=2)
    fill(1, JobState.DELAYED)
    fill(1, priority=4)
    fill(3)
    JobSchedulers(store).upsert(
        "daily", pattern="0 0 * * *", template=NewJob(name="t", labels={"model": "m"})
    )
    store.add(NewJob(name="t", labels={"model": "m"}))
    administration.set_rate_limit(2, timedelta(seconds=1))
    administration.obliterate()
    assert job_keys(store) == set()
    assert set(store.redis.scan_iter(store.keys.sdk("*"))) == set()


def test_obliterate_refuses_while_jobs_run_and_leaves_the_queue_as_it_was(
    store, administration, fill
):
    (running,) = fill(1, JobState.ACTIVE)
    (waiting,) = fill(1)
    with pytest.raises(QueueError, match="running jobs"):
        administration.obliterate()
    assert not store.is_paused()
    assert store.state(waiting) is JobState.WAITING
    administration.obliterate(force=True)
    assert store.job(running) is None
    assert job_keys(store) == set()


def test_cleaning_the_last_child_takes_the_parent_along(store, administration):
    parent = store.keys.job("parent-job")
    fields = {"name": "p", "data": "{}", "opts": "{}", "timestamp": 1, "priority": 0}
    store.redis.hset(parent, mapping=fields)
    store.redis.zadd(store.keys.waiting_children, {"parent-job": 1})
    child = store.add(NewJob(name="c", parent_key=parent))
    assert administration.clean(timedelta(0), None, JobState.WAITING) == [child]
    assert store.job("parent-job") is None
    assert store.counts()[JobState.WAITING_CHILDREN] == 0
