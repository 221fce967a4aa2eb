"""Other clients add, we run: lines 7 to 27 and 38 of the checklist."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest

from myia_sdk.errors import InvalidTransitionError, JobNotFoundError, LeaseLostError
from myia_sdk.queue.jobs import Backoff, JobState, NewJob
from myia_sdk.queue.store import JobStore
from tests.interop.conftest import LEASE, ForeignError, until

pytestmark = pytest.mark.node

TOKEN = "myia:one"


@pytest.fixture
def add(node, queue_name):
    def add(data=None, **options):
        return node.queue(queue_name, "add", "t", data or {}, options)["id"]

    return add


def claim(store, token=TOKEN):
    return store.claim(token, LEASE, "worker-1").job


def test_we_fetch_a_job_of_node(store, add, events_of, redis_client):
    job_id = add({"x": 1})
    asked = store.clock()
    job = claim(store)
    assert (job.id, job.data, job.attempts_started) == (job_id, {"x": 1}, 1)
    assert redis_client.lindex(store.keys.active, 0) == job_id
    assert redis_client.get(store.keys.lock(job_id)) == TOKEN
    ttl = redis_client.pttl(store.keys.lock(job_id))
    lease_ms = LEASE / timedelta(milliseconds=1)
    assert lease_ms / 2 < ttl <= lease_ms
    fields = redis_client.hgetall(store.keys.job(job_id))
    assert (fields["ats"], fields["pb"]) == ("1", "worker-1")
    assert asked <= int(fields["processedOn"]) <= store.clock()
    assert events_of(store.queue)[-1] == {
        "event": "active",
        "jobId": job_id,
        "prev": "waiting",
    }
    assert redis_client.zscore(store.keys.marker, "0") == 0


def test_an_empty_queue_tells_when_the_next_job_is_due(store, add, redis_client):
    redis_client.set(store.keys.pc, 7)
    add(delay=3_600_000)
    found = store.claim(TOKEN, LEASE)
    assert found.job is None
    assert 3_000_000 < found.next_due_at - store.clock() <= 3_600_000
    assert not redis_client.exists(store.keys.pc)


def test_due_jobs_are_promoted_by_our_fetch(store, add, events_of):
    job_id = add(delay=30)
    job = until(lambda: claim(store))
    assert job.id == job_id
    assert job.delay == timedelta(0)
    assert {"event": "waiting", "jobId": job_id, "prev": "delayed"} in events_of(
        store.queue
    )


def test_a_queue_that_node_paused_gives_us_nothing(store, node, add, queue_name):
    add()
    node.queue(queue_name, "pause")
    assert claim(store) is None
    assert store.counts()[JobState.WAITING] == 1
    assert store.is_paused()
    node.queue(queue_name, "resume")
    assert claim(store) is not None


def test_node_sees_our_progress_and_log(store, node, add, queue_name, events_of):
    job_id = add(keepLogs=2)
    claim(store)
    for value in (42, {"percent": 0.5}):
        store.progress(job_id, value)
        assert node.queue(queue_name, "getJob", job_id)["progress"] == value
        told = events_of(queue_name)[-1]
        assert told["event"] == "progress"
        assert json.loads(told["data"]) == value
    options = store.job(job_id).options
    store.log(job_id, ["one", "two", "three"], options.keep_logs)
    logs = node.queue(queue_name, "getJobLogs", job_id)
    assert logs == {"logs": ["two", "three"], "count": 2}


def test_a_renewed_lease_survives_nodes_stalled_check(store, node, add, queue_name):
    job_id = add()
    assert claim(store).id == job_id
    lock, lease_ms = store.keys.lock(job_id), LEASE / timedelta(milliseconds=1)
    for _ in range(3):
        store.redis.pexpire(lock, round(lease_ms / 4))
        assert store.renew({job_id: TOKEN}, LEASE) == []
        assert lease_ms / 2 < store.redis.pttl(lock) <= lease_ms
        # What it marked as suspect it may take back only in its next check.
        assert not store.redis.sismember(store.keys.base + "stalled", job_id)
        store.redis.delete(store.keys.stalled_check)
        node("stalledCheck", queue=queue_name)
    assert store.state(job_id) is JobState.ACTIVE
    assert store.job(job_id).stalled_count == 0


def test_node_hears_how_our_jobs_end(store, node, add, queue_name, redis_client):
    node("events", queue=queue_name)
    good, empty, bad = add(), add(), add()
    for job_id, value in ((good, {"a": 1}), (empty, None)):
        assert claim(store).id == job_id
        store.complete(job_id, TOKEN, value)
    claim(store)
    store.fail(bad, TOKEN, "boom", "Error: boom")
    answer = node("waitUntilFinished", queue=queue_name, id=good)
    assert answer == {"a": 1}
    with pytest.raises(ForeignError, match="boom"):
        node("waitUntilFinished", queue=queue_name, id=bad)
    heard = until(
        lambda: {
            name: fields
            for name, fields in node("eventsSeen", queue=queue_name)
            if fields.get("jobId") == bad
        }.get("failed")
    )
    assert heard["failedReason"] == "boom"
    assert redis_client.hget(store.keys.job(empty), "returnvalue") == "null"
    job = store.job(good)
    score = redis_client.zscore(store.keys.completed, good)
    assert score == job.finished_at.timestamp() * 1000
    assert job.attempts_made == 1
    assert not redis_client.exists(store.keys.lock(good))
    assert {"jobId": good, "returnvalue": {"a": 1}, "prev": "active"} in [
        fields for name, fields in node("eventsSeen", queue=queue_name)
    ]


def test_refusals_leave_the_job_as_it_was(store, add, redis_client):
    first, second = add(), add()
    claim(store)
    with pytest.raises(LeaseLostError):
        store.complete(first, "myia:other", 1)
    assert store.state(first) is JobState.ACTIVE
    redis_client.delete(store.keys.lock(first))
    with pytest.raises(LeaseLostError):
        store.complete(first, TOKEN, 1)
    with pytest.raises(JobNotFoundError):
        store.complete("nowhere", TOKEN, 1)
    redis_client.set(store.keys.lock(second), TOKEN)
    with pytest.raises(InvalidTransitionError):
        store.complete(second, TOKEN, 1)
    assert store.state(second) is JobState.WAITING
    assert not redis_client.exists(store.keys.lock(second))


@pytest.mark.parametrize(
    ("said", "kept"),
    [(True, 0), (1, 1), ({"count": 0}, 0), (False, 3), ({"age": 3600}, 3)],
)
def test_retention_is_what_the_node_job_says(store, node, add, queue_name, said, kept):
    ids = [add(removeOnComplete=said) for _ in range(3)]
    for job_id in ids:
        claim(store)
        store.log(job_id, "line")
        store.complete(job_id, TOKEN, None)
    assert store.counts()[JobState.COMPLETED] == kept
    alive = [job_id for job_id in ids if node.queue(queue_name, "getJob", job_id)]
    assert alive == ids[3 - kept :]
    gone = [job_id for job_id in ids if job_id not in alive]
    assert not any(store.redis.exists(store.keys.logs(one)) for one in gone)


def test_retention_by_age_drops_old_jobs(redis_client, queue_name, add):
    offset = [0]
    store = JobStore(
        redis_client, queue_name, clock=lambda: int(time.time() * 1000) + offset[0]
    )
    old, new = add(removeOnComplete={"age": 60}), add(removeOnComplete={"age": 60})
    for job_id in (old, new):
        assert claim(store).id == job_id
        store.complete(job_id, TOKEN, None)
        offset[0] += 120_000
    assert (store.job(old), store.state(new)) == (None, JobState.COMPLETED)


def test_a_failed_attempt_with_backoff_waits_in_delayed(store, node, add, queue_name):
    job_id = add(attempts=3, backoff=1000)
    job = claim(store)
    assert job.options.backoff == Backoff(delay=timedelta(seconds=1))
    store.retry_later(job_id, TOKEN, job.options.backoff.delay_for(1), "boom", "trace")
    read = node.queue(queue_name, "getJob", job_id)
    assert (read["attemptsMade"], read["delay"]) == (1, 1000)
    assert (read["failedReason"], read["stacktrace"]) == ("boom", ["trace"])
    assert node.job(queue_name, job_id, "getState") == "delayed"
    found = store.redis.xrange(store.keys.events)
    names = [fields["event"] for _, fields in found]
    assert names[-1] == "delayed"
    assert "failed" not in names


@pytest.mark.parametrize("lifo", [False, True])
def test_a_failed_attempt_without_backoff_goes_back_in_line(
    store, add, events_of, lifo
):
    job_id, other = add(attempts=2), add()
    if lifo:
        job_id = add(attempts=2, lifo=True)
    assert claim(store).id == job_id
    store.retry_now(job_id, TOKEN, "boom", "trace")
    line = store.redis.lrange(store.keys.wait, 0, -1)
    assert line[-1 if lifo else 0] == job_id
    assert other in line
    assert events_of(store.queue)[-1]["prev"] == "active"


def test_the_last_failure_is_final(store, node, add, queue_name, events_of):
    job_id = add(attempts=1)
    claim(store)
    store.fail(job_id, TOKEN, "over", "trace")
    read = node.queue(queue_name, "getJob", job_id)
    assert read["failedReason"] == "over"
    assert read["finishedOn"] == int(store.redis.zscore(store.keys.failed, job_id))
    names = [one["event"] for one in events_of(queue_name)]
    assert names[-3:] == ["failed", "retries-exhausted", "drained"]


def test_an_unrecoverable_failure_does_not_exhaust_the_retries(store, add, events_of):
    job_id = add(attempts=5)
    claim(store)
    store.fail(job_id, TOKEN, "never", "trace")
    assert store.state(job_id) is JobState.FAILED
    assert "retries-exhausted" not in [one["event"] for one in events_of(store.queue)]


def test_exponential_backoff_is_nodes(store, add):
    add(attempts=9, backoff={"type": "exponential", "delay": 2000})
    add(attempts=9, backoff={"type": "exponential", "delay": 2000, "jitter": 0.5})
    plain, jittered = claim(store), claim(store, "myia:two")
    assert plain.options.backoff.delay_for(3) == timedelta(seconds=8)
    drawn = [jittered.options.backoff.delay_for(3, x / 10) for x in range(10)]
    assert min(drawn) == timedelta(seconds=4)
    assert max(drawn) < timedelta(seconds=8)


def test_node_recovers_the_job_of_our_dead_worker(
    store, node, add, queue_name, events_of
):
    job_id = add({"returns": 1})
    store.claim(TOKEN, timedelta(milliseconds=50))
    options = {"stalledInterval": 100}
    node("worker", key=queue_name, queue=queue_name, options=options)
    until(lambda: store.state(job_id) is JobState.COMPLETED)
    node("workerStop", key=queue_name)
    assert store.job(job_id).stalled_count == 1
    names = [one["event"] for one in events_of(queue_name)]
    assert names.index("stalled") == names.index("waiting", 2) + 1


def test_we_recover_the_job_of_a_dead_node_worker(store, start_node, queue_name):
    store.add(NewJob(name="t", data={"sleep": 60_000}))
    node = start_node("bullmq")
    options = {"lockDuration": 200, "stalledInterval": 100_000}
    node("worker", key=queue_name, queue=queue_name, options=options)
    until(lambda: store.counts()[JobState.ACTIVE] == 1)
    node.kill()

    def recovered():
        store.redis.delete(store.keys.stalled_check)
        return store.check_stalled(timedelta(milliseconds=50))

    (job_id,) = until(recovered)
    job = store.job(job_id)
    assert (job.state, job.stalled_count) == (JobState.WAITING, 1)
    assert store.redis.lindex(store.keys.wait, -1) == job_id


def test_a_job_that_stalls_again_is_failed_by_the_next_fetcher(
    store, node, add, queue_name
):
    job_id = add()
    for attempt in range(2):
        assert claim(store, f"myia:{attempt}").id == job_id
        store.redis.delete(store.keys.lock(job_id))
        for _ in range(2):
            store.redis.delete(store.keys.stalled_check)
            store.check_stalled(timedelta(seconds=1))
    reason = "job stalled more than allowable limit"
    assert store.job(job_id).deferred_failure == reason
    node("worker", key=queue_name, queue=queue_name)
    until(lambda: store.state(job_id) is JobState.FAILED)
    seen = node("workerSeen", key=queue_name)
    node("workerStop", key=queue_name)
    assert seen == []
    assert store.job(job_id).failed_reason == reason


def test_an_id_without_a_job_is_dropped(store, add, node, queue_name):
    job_id = add()
    store.redis.rpush(store.keys.wait, "ghost", "0:123")
    found = store.claim(TOKEN, LEASE)
    assert found.job.id == job_id
    assert found.dropped == 2
    assert node.queue(queue_name, "getJob", "ghost") is None
    assert store.redis.lrange(store.keys.active, 0, -1) == [job_id]


def test_a_python_client_adds_and_we_run(store, python_client, queue_name, work):
    job_id = python_client.queue(queue_name, "add", "t", {"x": 1}, {})["id"]
    job = work({"ok": True})
    assert (job.id, job.data, job.max_attempts) == (job_id, {"x": 1}, 1)
    read = python_client("jobRead", queue=queue_name, id=job_id)
    assert read["returnvalue"] == {"ok": True}


def test_workers_of_all_makes_share_one_queue(
    store, node5, node6, python_client, queue_name, work
):
    clients = (node5, node6, python_client)
    for client in clients:
        client("worker", key=queue_name, queue=queue_name)
    ids, ours = [], []

    def seen():
        return [
            [run["id"] for run in client("workerSeen", key=queue_name)]
            for client in clients
        ]

    def everybody_ran():
        if sum(store.counts().values()) == store.counts()[JobState.COMPLETED]:
            if ours and all(seen()):
                return True
            ids.extend(
                store.add_many([NewJob(name="t", data={"sleep": 3})] * len(clients) * 5)
            )
        job = work({"by": "us"})
        ours.extend([job.id] if job is not None else [])
        return False

    until(everybody_ran)
    runs = [*ours, *(job_id for found in seen() for job_id in found)]
    for client in clients:
        client("workerStop", key=queue_name)
    assert sorted(runs) == sorted(ids)
