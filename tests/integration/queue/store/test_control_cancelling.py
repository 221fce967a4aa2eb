"""Cancelling: jobs that wait end at once, those that run when their worker looks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from myia_sdk.errors import InvalidTransitionError
from myia_sdk.queue.jobs import Deduplication, JobOptions, JobState, NewJob, Retention
from myia_sdk.queue.store import JobStore, QueueAdministration
from myia_sdk.queue.store.administration import Cancellation
from tests.acceptance.worker import wait_until

LEASE = timedelta(minutes=10)
OURS = "myia:test-token"


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name)


@pytest.fixture
def administration(store):
    return QueueAdministration(store)


@pytest.fixture
def add(store):
    def add(name="task", **options):
        return store.add(NewJob(name=name, options=JobOptions(**options)))

    return add


@pytest.fixture
def run(store):
    """Claim the next job and end it: completed, failed, or left active."""

    def run(outcome="active", token=OURS):
        job = store.claim(token, LEASE).job
        if outcome == "completed":
            store.complete(job.id, token, {"ok": True})
        elif outcome == "failed":
            store.fail(job.id, token, "boom", "trace")
        return job.id

    return run


@pytest.fixture
def asked(add, run, administration):
    """A running job that someone cancelled, and whose worker has not looked yet."""
    job_id = add(attempts=3)
    run()
    assert administration.cancel(job_id, reason="enough") is Cancellation.REQUESTED
    return job_id


def events(store, name=None):
    found = [fields for _, fields in store.redis.xrange(store.keys.events)]
    return [one for one in found if name is None or one["event"] == name]


def assert_cancelled(store, job_id):
    job = store.job(job_id)
    assert (job.state, job.failed_reason) == (JobState.FAILED, "enough")
    assert job.labels["category"] == "CANCELLED"
    assert store.claim(OURS, LEASE).job is None
    assert not store.redis.exists(store.keys.sdk("cancel"))


def put_in_line(store, job_id):
    """What the stalled check of another client does with a job that lost its lease."""
    store.redis.delete(store.keys.lock(job_id))
    store.redis.lrem(store.keys.active, 1, job_id)
    store.redis.rpush(store.keys.wait, job_id)


def test_a_claim_ends_cancelled_jobs_in_bounded_steps(store, add, administration):
    ids = [add(attempts=3) for _ in range(60)]
    for number in range(60):
        store.claim(f"{OURS}-{number}", LEASE)
    for job_id in ids:
        administration.cancel(job_id, reason="enough")
        put_in_line(store, job_id)
    ended = []
    for _ in range(2):
        assert store.claim(OURS, LEASE).job is None
        ended.append(store.counts()[JobState.FAILED])
    assert ended == [50, 60]
    for job_id in ids:
        assert_cancelled(store, job_id)


@pytest.mark.parametrize(
    ("options", "prev"),
    [
        ({}, "waiting"),
        ({"priority": 2}, "prioritized"),
        ({"delay": timedelta(hours=1)}, "delayed"),
    ],
)
def test_cancel_of_a_pending_job_ends_it_at_once(
    store, administration, add, options, prev
):
    job_id = add(**options)
    assert administration.cancel(job_id) is Cancellation.CANCELLED
    job = store.job(job_id)
    assert job.state is JobState.FAILED
    assert job.failed_reason == "cancelled"
    assert job.labels["category"] == "CANCELLED"
    assert store.claim(OURS, LEASE).job is None
    assert events(store)[-1] == {
        "event": "failed",
        "jobId": job_id,
        "failedReason": "cancelled",
        "prev": prev,
    }
    assert administration.cancel(job_id) is Cancellation.CANCELLED


def test_cancel_works_while_the_queue_is_paused(store, administration, add):
    job_id = add()
    administration.pause()
    administration.cancel(job_id, reason="not needed")
    assert store.job(job_id).failed_reason == "not needed"


def test_cancel_honours_retention_and_frees_the_deduplication_id(
    store, administration, add
):
    job_id = add(deduplication=Deduplication(id="d"), remove_on_fail=Retention(count=0))
    administration.cancel(job_id)
    assert store.job(job_id) is None
    assert store.redis.get(store.keys.deduplication("d")) is None


def test_cancel_of_a_running_job_leaves_a_request_for_its_worker(
    administration, add, run
):
    job_id, other = add(), add()
    run()
    assert administration.cancel_requested([job_id, other]) == set()
    assert administration.cancel(job_id, reason="enough") is Cancellation.REQUESTED
    assert administration.cancel_requested([job_id, other]) == {job_id}
    assert administration.cancel_reasons([job_id, other]) == {job_id: "enough"}
    assert administration.cancel_requested([]) == set()


def test_cancel_says_that_a_foreign_worker_cannot_be_told(administration, add, run):
    job_id = add()
    run(token="0d9a6bd4-2d0b-4c8e-8f6d-token-of-a-node-worker")
    with pytest.raises(InvalidTransitionError, match="worker of another client"):
        administration.cancel(job_id)
    assert administration.cancel_requested([job_id]) == set()


def test_cancel_refuses_a_job_that_has_ended(administration, add, run):
    job_id = add()
    run("failed")
    with pytest.raises(InvalidTransitionError, match="ended already"):
        administration.cancel(job_id)


@pytest.mark.parametrize("delay", [None, timedelta(hours=1)])
def test_a_cancelled_job_whose_attempt_fails_first_is_not_retried(
    store, administration, add, run, delay
):
    job_id = add(attempts=3)
    run()
    administration.cancel(job_id)
    if delay is None:
        store.retry_now(job_id, OURS, "boom", "trace")
    else:
        store.retry_later(job_id, OURS, delay, "boom", "trace")
    job = store.job(job_id)
    assert (job.state, job.failed_reason) == (JobState.FAILED, "cancelled")
    assert job.attempts_made == 1
    assert job.labels["category"] == "CANCELLED"
    assert administration.cancel_requested([job_id]) == set()


def test_a_job_that_failed_of_the_request_runs_again_when_retried(
    store, administration, add, run
):
    job_id = add()
    run()
    administration.cancel(job_id)
    store.fail(job_id, OURS, "cancelled")
    administration.retry(job_id)
    assert administration.cancel_requested([job_id]) == set()


def test_a_cancelled_child_keeps_the_books_of_its_parent(
    store, administration, redis_client
):
    parent = store.keys.job("parent-of-one")
    redis_client.hset(parent, mapping={"name": "p", "data": "{}", "opts": "{}"})
    redis_client.hset(parent, mapping={"timestamp": 1, "delay": 0, "priority": 0})
    redis_client.zadd(store.keys.waiting_children, {"parent-of-one": 1})
    child = store.add(
        NewJob(name="c", parent_key=parent, options=JobOptions(parent_rule="idof"))
    )
    administration.cancel(child)
    assert store.state("parent-of-one") is JobState.WAITING
    assert redis_client.hgetall(f"{parent}:failed") == {
        store.keys.job(child): "cancelled"
    }


def test_a_run_that_returns_before_its_worker_looks_is_completed(
    store, administration, asked, run
):
    """The result exists: the request came too late, and stops no later run."""
    store.complete(asked, OURS, {"ok": True})
    job = store.job(asked)
    assert (job.state, job.return_value) == (JobState.COMPLETED, {"ok": True})
    assert administration.cancel_requested([asked]) == set()
    with pytest.raises(InvalidTransitionError, match="ended already"):
        administration.cancel(asked)
    administration.retry(asked)
    assert run() == asked
    assert administration.cancel_requested([asked]) == set()


def test_a_cancelled_job_whose_worker_died_is_not_run_again(store, asked):
    store.redis.delete(store.keys.lock(asked))
    for _ in range(2):
        assert store.check_stalled(timedelta(milliseconds=1)) == []
        wait_until(lambda: not store.redis.exists(store.keys.stalled_check))
    assert_cancelled(store, asked)


def test_a_cancelled_job_that_its_worker_gives_back_is_not_run_again(store, asked):
    store.put_back(asked, OURS)
    assert_cancelled(store, asked)


def test_a_cancelled_job_that_another_client_put_in_line_is_not_run_again(
    store, add, asked
):
    put_in_line(store, asked)
    after = add()
    assert store.claim(OURS, LEASE).job.id == after
    assert_cancelled(store, asked)
    assert events(store, "failed")[-1]["prev"] == "waiting"


def test_a_request_for_a_run_stops_no_run_that_another_client_began(
    store, administration, asked, run
):
    """It was meant for ours; theirs ended, and whoever retried the job wants it."""
    put_in_line(store, asked)
    redis = store.redis
    begun = int(redis.hget(store.keys.job(asked), "processedOn"))
    wait_until(lambda: store.clock() > begun, what="the next millisecond")
    redis.rpoplpush(store.keys.wait, store.keys.active)
    redis.hset(store.keys.job(asked), "processedOn", store.clock() + 1)
    redis.lrem(store.keys.active, 1, asked)
    redis.zadd(store.keys.completed, {asked: store.clock()})
    assert administration.cancel_requested([asked]) == {asked}
    redis.zrem(store.keys.completed, asked)
    redis.hdel(store.keys.job(asked), "processedOn", "finishedOn", "returnvalue")
    redis.lpush(store.keys.wait, asked)
    assert run() == asked
    assert administration.cancel_requested([asked]) == set()
