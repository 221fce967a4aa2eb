"""The end of an attempt: completed, failed, tried again, kept or forgotten."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from myia_sdk.errors import (
    InvalidJobError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
)
from myia_sdk.queue.jobs import Backoff, JobOptions, JobState, NewJob, Retention
from myia_sdk.queue.store import JobStore
from tests.helpers.queue_probe import (
    Clock,
    all_keys,
    claimed,
    events,
    hash_of,
    names,
    new_job,
)


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name, clock=Clock())


def run_one(store, value=None, **options):
    """Add, claim and complete one job."""
    job_id = store.add(new_job(**options))
    claimed(store)
    store.complete(job_id, "token", value)
    return job_id


def test_completed_job_has_value_time_and_event_and_no_lease(store):
    job_id = store.add(new_job())
    claimed(store)
    store.clock.advance(500)
    store.complete(job_id, "token", {"a": 1})
    raw = hash_of(store, job_id)
    assert store.redis.zscore(store.keys.completed, job_id) == store.clock()
    assert (raw["returnvalue"], raw["atm"]) == ('{"a":1}', "1")
    assert raw["finishedOn"] == str(store.clock())
    assert not store.redis.exists(store.keys.lock(job_id))
    assert store.counts()[JobState.ACTIVE] == 0
    assert events(store)[-2:] == [
        {
            "event": "completed",
            "jobId": job_id,
            "returnvalue": '{"a":1}',
            "prev": "active",
        },
        {"event": "drained"},
    ]
    assert store.job(job_id).return_value == {"a": 1}


def test_completing_with_nothing_stores_null(store):
    job_id = run_one(store)
    assert hash_of(store, job_id)["returnvalue"] == "null"


def test_drained_is_announced_only_when_nothing_is_left(store):
    store.add(new_job())
    job_id = store.add(new_job(priority=2))
    claimed(store)
    assert claimed(store) == job_id
    store.complete(job_id, "token", None)
    assert "drained" not in names(store)


def test_value_that_is_not_json_leaves_the_job_active(store):
    job_id = store.add(new_job())
    claimed(store)
    with pytest.raises(InvalidJobError, match=r"\$\.when is datetime"):
        store.complete(job_id, "token", {"when": __import__("datetime").datetime.now()})
    assert store.state(job_id) is JobState.ACTIVE


@pytest.mark.parametrize("kept", [None, Retention(count=0)])
def test_end_sent_again_because_its_answer_was_lost_counts_once(store, kept):
    job_id = store.add(new_job(remove_on_complete=kept))
    claimed(store)
    for _ in range(2):
        store.complete(job_id, "token", {"score": 1})
        store.clock.advance(10)
    assert names(store).count("completed") == 1
    with pytest.raises((LeaseLostError, JobNotFoundError)):
        store.fail(job_id, "token", "no")
    with pytest.raises((LeaseLostError, JobNotFoundError)):
        store.complete(job_id, "another", {"score": 1})


def test_labels_set_with_the_end_are_listed(store):
    job_id = store.add(NewJob(name="certify", labels={"model": "m"}))
    claimed(store)
    store.complete(job_id, "token", None, labels={"verdict": "certified"})
    (job,) = store.page(JobState.COMPLETED)
    assert job.labels == {"model": "m", "verdict": "certified"}


def test_last_failure_has_reason_trace_and_both_events(store):
    job_id = store.add(new_job(attempts=1))
    claimed(store)
    store.fail(job_id, "token", "ValueError: boom", "Traceback ...")
    raw = hash_of(store, job_id)
    assert raw["failedReason"] == "ValueError: boom"
    assert json.loads(raw["stacktrace"]) == ["Traceback ..."]
    assert store.state(job_id) is JobState.FAILED
    assert events(store)[-3:-1] == [
        {
            "event": "failed",
            "jobId": job_id,
            "failedReason": "ValueError: boom",
            "prev": "active",
        },
        {"event": "retries-exhausted", "jobId": job_id, "attemptsMade": "1"},
    ]


def test_unrecoverable_failure_does_not_exhaust_the_attempts(store):
    job_id = store.add(new_job(attempts=3))
    claimed(store)
    store.fail(job_id, "token", "no use")
    assert "retries-exhausted" not in names(store)
    assert store.job(job_id).attempts_made == 1


def test_failed_attempt_with_backoff_goes_to_delayed_without_failed_event(store):
    backoff = Backoff(delay=timedelta(seconds=1))
    job_id = store.add(new_job(attempts=3, backoff=backoff))
    job = store.job(claimed(store))
    delay = job.options.backoff.delay_for(job.attempts_made + 1)
    store.retry_later(job_id, "token", delay, "boom", "trace 1")
    raw = hash_of(store, job_id)
    assert (raw["delay"], raw["atm"], raw["failedReason"]) == ("1000", "1", "boom")
    assert json.loads(raw["stacktrace"]) == ["trace 1"]
    assert store.state(job_id) is JobState.DELAYED
    assert names(store)[-1] == "delayed"
    assert "failed" not in names(store)
    store.clock.advance(1000)
    assert claimed(store) == job_id


@pytest.mark.parametrize(("lifo", "place"), [(False, 0), (True, -1)])
def test_failed_attempt_without_backoff_goes_back_in_line(store, lifo, place):
    job_id = store.add(new_job(attempts=2, lifo=lifo))
    claimed(store)
    store.add(new_job())
    store.retry_now(job_id, "token", "boom", "trace")
    assert store.redis.lindex(store.keys.wait, place) == job_id
    assert events(store)[-1] == {"event": "waiting", "jobId": job_id, "prev": "active"}
    assert store.job(job_id).attempts_made == 1


def test_retried_prioritized_job_keeps_its_class(store):
    job_id = store.add(new_job(priority=7))
    claimed(store)
    store.retry_now(job_id, "token", "boom")
    assert store.state(job_id) is JobState.PRIORITIZED


def test_traces_add_up_to_the_jobs_limit(store):
    job_id = store.add(new_job(attempts=9, stack_trace_limit=2))
    for n in range(3):
        claimed(store)
        store.retry_now(job_id, "token", f"boom {n}", f"trace {n}")
    assert store.job(job_id).stacktrace == ("trace 1", "trace 2")
    silent = store.add(new_job(stack_trace_limit=0, lifo=True))
    claimed(store)
    store.fail(silent, "token", "boom", "trace")
    assert hash_of(store, silent)["stacktrace"] == "[]"


def test_endless_reason_and_trace_are_cut_with_both_ends_kept(store):
    job_id = store.add(new_job())
    claimed(store)
    store.fail(job_id, "token", "a" * 9_000 + "\ud800", "b" * 50_000 + "end")
    job = store.job(job_id)
    assert len(job.failed_reason) < 8_100
    assert len(job.stacktrace[0]) < 20_100
    assert job.stacktrace[0].endswith("end")


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (Retention(count=0), 0),
        (Retention(count=1), 1),
        (Retention(age=timedelta(seconds=10)), 2),
        (Retention(), 4),
        (None, 4),
    ],
)
def test_finished_jobs_are_kept_by_count_and_age(store, retention, kept):
    ids = []
    for _ in range(4):
        ids.append(run_one(store, remove_on_complete=retention))
        store.clock.advance(5_000)
    expected = ids[len(ids) - kept :]
    assert store.redis.zrange(store.keys.completed, 0, -1) == expected
    assert {key for key in all_keys(store) if key in ids} == set(expected)
    assert names(store).count("completed") == 4


def test_workers_retention_holds_where_the_job_says_nothing(store):
    options = [None, Retention()]
    for said in options:
        job_id = store.add(new_job(remove_on_complete=said))
        claimed(store)
        store.complete(job_id, "token", None, retention=Retention(count=0))
    assert store.counts()[JobState.COMPLETED] == 1
    failing = store.add(new_job())
    claimed(store)
    store.fail(failing, "token", "no", retention=Retention(count=0))
    assert store.job(failing) is None


def test_logs_of_forgotten_jobs_go_with_them(store):
    job_id = store.add(new_job(remove_on_complete=Retention(count=0)))
    claimed(store)
    store.log(job_id, "line")
    store.complete(job_id, "token", None)
    assert not [key for key in all_keys(store) if key.startswith(job_id)]


def test_long_backlog_of_finished_jobs_is_forgotten_in_bounded_steps(store):
    for _ in range(20):
        run_one(store)
    run_one(store, remove_on_complete=Retention(count=5))
    assert store.counts()[JobState.COMPLETED] == 11
    run_one(store, remove_on_complete=Retention(count=5))
    assert store.counts()[JobState.COMPLETED] == 5


def test_metrics_count_by_the_minute_as_bullmq_does(store):
    for _ in range(3):
        run_one(store)
    store.clock.advance(180_000)
    run_one(store)
    key = store.keys.metrics("completed")
    assert store.redis.lrange(f"{key}:data", 0, -1) == ["0", "0", "3"]
    assert store.redis.hget(key, "count") == "4"
    assert store.redis.hget(key, "prevCount") == "3"


def test_metrics_can_be_switched_off(redis_client, queue_name):
    store = JobStore(redis_client, queue_name, clock=Clock(), metrics_points=0)
    run_one(store)
    assert not store.redis.exists(store.keys.metrics("completed"))


def test_events_are_trimmed_to_the_queues_limit(store):
    store.redis.hset(store.keys.meta, "opts.maxLenEvents", 50)
    for _ in range(100):
        run_one(store)
    assert store.redis.xlen(store.keys.events) <= 200


class TestFlows:
    """What a consumer owes to the parents of the jobs it ends."""

    def family(self, store, rule=None, children=1, parent_options=None):
        parent = store.add(new_job(**(parent_options or {"job_id": "parent"})))
        key = store.keys.job(parent)
        store.redis.lrem(store.keys.wait, 1, parent)
        store.redis.zrem(store.keys.delayed, parent)
        store.redis.zadd(store.keys.waiting_children, {parent: store.clock()})
        ids = store.add_many(
            [
                NewJob(
                    name="part", parent_key=key, options=JobOptions(parent_rule=rule)
                )
                for _ in range(children)
            ]
        )
        return parent, ids

    def test_last_completed_child_releases_its_parent(self, store):
        parent, (first, second) = self.family(store, children=2)
        claimed(store)
        store.complete(first, "token", {"n": 1})
        assert store.state(parent) is JobState.WAITING_CHILDREN
        claimed(store)
        store.complete(second, "token", {"n": 2})
        assert store.state(parent) is JobState.WAITING
        assert store.redis.hgetall(store.keys.processed(parent)) == {
            store.keys.job(first): '{"n":1}',
            store.keys.job(second): '{"n":2}',
        }
        assert {"event": "waiting", "jobId": parent, "prev": "waiting-children"} in (
            events(store)
        )

    def test_parent_in_another_queue_is_released_there(self, store, redis_client):
        other = JobStore(redis_client, f"{store.queue}-parents", clock=store.clock)
        parent = other.add(new_job())
        other.redis.lrem(other.keys.wait, 1, parent)
        other.redis.zadd(other.keys.waiting_children, {parent: 1})
        child = store.add(NewJob(name="part", parent_key=other.keys.job(parent)))
        claimed(store)
        store.complete(child, "token", None)
        assert other.state(parent) is JobState.WAITING
        assert other.redis.zscore(other.keys.marker, "0") == 0

    def test_delayed_parent_is_delayed_when_its_children_ended(self, store):
        parent, (child,) = self.family(
            store, parent_options={"delay": timedelta(seconds=7)}
        )
        claimed(store)
        store.complete(child, "token", None)
        assert store.state(parent) is JobState.DELAYED

    def test_failed_child_without_a_rule_keeps_its_parent_waiting(self, store):
        parent, (child,) = self.family(store)
        claimed(store)
        store.fail(child, "token", "no")
        assert store.state(parent) is JobState.WAITING_CHILDREN

    def test_failed_child_fails_its_parent_when_told_so(self, store):
        parent, (child,) = self.family(store, rule="fpof")
        claimed(store)
        store.fail(child, "token", "no")
        assert claimed(store) == parent
        key = store.keys.job(child)
        assert store.job(parent).deferred_failure == f"child {key} failed"
        with pytest.raises(InvalidTransitionError, match="children that failed"):
            store.complete(parent, "token", None)
        store.fail(parent, "token", f"child {key} failed")
        assert store.state(parent) is JobState.FAILED

    @pytest.mark.parametrize(
        ("rule", "released", "remembered"),
        [("cpof", True, True), ("idof", False, True), ("rdof", False, False)],
    )
    def test_failed_child_lets_its_parent_go_on(
        self, store, rule, released, remembered
    ):
        parent, (first, second) = self.family(store, rule=rule, children=2)
        claimed(store)
        store.fail(first, "token", "no")
        assert (store.state(parent) is JobState.WAITING) is released
        failures = store.redis.hgetall(f"{store.keys.job(parent)}:failed")
        assert failures == ({store.keys.job(first): "no"} if remembered else {})
        if not released:
            claimed(store)
            store.fail(second, "token", "no")
            assert store.state(parent) is JobState.WAITING

    def test_parent_with_unfinished_children_cannot_complete(self, store):
        parent = store.add(new_job())
        claimed(store)
        store.redis.sadd(store.keys.dependencies(parent), "myia:x:1")
        with pytest.raises(InvalidTransitionError, match="children that have not"):
            store.complete(parent, "token", None)
        assert store.state(parent) is JobState.ACTIVE

    def test_child_deleted_by_retention_still_releases_its_parent(self, store):
        parent, _ = self.family(store, children=0)
        child = store.add(
            NewJob(
                name="part",
                parent_key=store.keys.job(parent),
                options=JobOptions(remove_on_complete=Retention(count=0)),
            )
        )
        claimed(store)
        store.complete(child, "token", "done")
        assert store.job(child) is None
        assert store.state(parent) is JobState.WAITING
        assert store.redis.hvals(store.keys.processed(parent)) == ['"done"']
