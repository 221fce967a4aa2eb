"""Both sides administer one queue: lines 10, 12, 28 to 36 of the checklist."""

from __future__ import annotations

from datetime import timedelta

import pytest

from myia_sdk.errors import InvalidTransitionError, JobNotFoundError, QueueError
from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.store.administration import Cancellation
from myia_sdk.queue.wire.workers import worker_client_name
from tests.interop.conftest import LEASE, ForeignError, until

pytestmark = pytest.mark.node

TOKEN = "myia:one"
HOUR = timedelta(hours=1)


@pytest.fixture
def fill(store):
    """Make one or more jobs of ours in a state; return the ids."""

    def fill(state, count=1, **options):
        if state is JobState.DELAYED:
            options["delay"] = HOUR
        if state is JobState.PRIORITIZED:
            options["priority"] = 2
        job = NewJob(name="t", options=JobOptions(**options))
        ids = store.add_many([job] * count)
        for _ in ids if state not in {JobState.WAITING} else ():
            if state in {JobState.DELAYED, JobState.PRIORITIZED}:
                break
            claimed = store.claim(TOKEN, LEASE).job
            if state is JobState.COMPLETED:
                store.complete(claimed.id, TOKEN, 1)
            elif state is JobState.FAILED:
                store.fail(claimed.id, TOKEN, "boom", "trace")
        return ids

    return fill


def test_both_sides_agree_on_paused(store, administration, node, queue_name, events_of):
    store.add(NewJob(name="t"))
    administration.pause()
    assert node.queue(queue_name, "isPaused") is True
    assert store.redis.hget(store.keys.meta, "paused") == "1"
    assert not store.redis.exists(store.keys.marker)
    assert node("claim", queue=queue_name, token="t") is None
    administration.resume()
    assert node.queue(queue_name, "isPaused") is False
    assert not store.redis.hexists(store.keys.meta, "paused")
    assert store.redis.zscore(store.keys.marker, "0") == 0
    names = [one["event"] for one in events_of(queue_name)]
    assert names[-2:] == ["paused", "resumed"]


def test_no_mix_of_generations_loses_a_job_of_ours(
    store, administration, node5, node6, queue_name
):
    ids = []
    ways = [(node5, node6), (node6, node5), (node5, node5), (node6, node6)]
    for pause, resume in ways:
        ids.append(store.add(NewJob(name="t")))
        pause.queue(queue_name, "pause")
        ids.append(store.add(NewJob(name="t")))
        resume.queue(queue_name, "resume")
    administration.resume()
    found = [store.claim(TOKEN, LEASE).job.id for _ in ids]
    assert sorted(found) == sorted(ids)


def test_our_resume_keeps_what_version_6_added_meanwhile(
    store, administration, node5, node6, queue_name
):
    first = store.add(NewJob(name="t"))
    node5.queue(queue_name, "pause")
    second = node6.queue(queue_name, "add", "t", {}, {})["id"]
    administration.resume()
    assert [store.claim(TOKEN, LEASE).job.id for _ in range(2)] == [first, second]


def test_node_cannot_remove_what_we_hold(store, node, queue_name, fill):
    (job_id,) = fill(JobState.ACTIVE)
    with pytest.raises(ForeignError, match="could not be removed because it is locked"):
        node.job(queue_name, job_id, "remove")
    assert store.state(job_id) is JobState.ACTIVE


def test_we_cannot_remove_or_cancel_what_node_runs(
    store, administration, node, queue_name
):
    job_id = store.add(NewJob(name="t"))
    node("claim", queue=queue_name, token="a-token-of-node")
    with pytest.raises(InvalidTransitionError, match="holds it"):
        administration.remove(job_id)
    with pytest.raises(InvalidTransitionError, match="worker of another client"):
        administration.cancel(job_id)


def test_node_retries_our_failed_job(store, node, queue_name, fill):
    (job_id,) = fill(JobState.FAILED)
    node.job(queue_name, job_id, "retry")
    fields = store.redis.hgetall(store.keys.job(job_id))
    assert not {"failedReason", "finishedOn", "processedOn"} & set(fields)
    assert (fields["atm"], fields["ats"]) == ("1", "1")
    assert fields["stacktrace"] == '["trace"]'
    assert store.claim(TOKEN, LEASE).job.id == job_id


@pytest.mark.parametrize("state", ["failed", "completed"])
def test_node_retries_all_of_ours(store, node, queue_name, fill, state):
    ids = fill(JobState(state), 3)
    node.queue(queue_name, "retryJobs", {"state": state})
    assert [store.claim(TOKEN, LEASE).job.id for _ in ids] == ids


def test_node_promotes_all_of_ours(store, node, queue_name, fill):
    ids = fill(JobState.DELAYED, 3)
    node.queue(queue_name, "promoteJobs")
    assert [store.claim(TOKEN, LEASE).job.id for _ in ids] == ids


@pytest.mark.parametrize(
    "state", ["completed", "failed", "delayed", "prioritized", "wait"]
)
def test_node_cleans_ours(store, node, queue_name, fill, state):
    place = JobState.WAITING if state == "wait" else JobState(state)
    ids = fill(place, 3)
    assert sorted(node.queue(queue_name, "clean", 0, 0, state)) == sorted(ids)
    assert store.counts()[place] == 0
    assert [store.job(job_id) for job_id in ids] == [None] * 3


def test_node_drains_and_obliterates_ours(store, node, queue_name, fill):
    done = fill(JobState.COMPLETED, 2)
    fill(JobState.WAITING, 3)
    fill(JobState.PRIORITIZED, 2)
    fill(JobState.DELAYED, 2)
    node.queue(queue_name, "drain", True)
    counts = store.counts()
    assert sum(counts.values()) == counts[JobState.COMPLETED] == len(done)
    node.queue(queue_name, "obliterate")
    assert list(store.redis.scan_iter(f"{store.keys.base}*")) == []


def test_our_worker_survives_that_node_obliterates(store, node, queue_name, fill):
    (job_id,) = fill(JobState.ACTIVE)
    node.queue(queue_name, "obliterate", {"force": True})
    with pytest.raises(JobNotFoundError):
        store.complete(job_id, TOKEN, 1)
    assert store.job(job_id) is None


def test_node_sees_what_our_operations_do(
    store, administration, node, queue_name, fill, events_of
):
    node("events", queue=queue_name)
    delayed, failed = fill(JobState.DELAYED, 2), fill(JobState.FAILED, 2)
    state = lambda one: node.job(queue_name, one, "getState")  # noqa: E731
    administration.promote(delayed[0])
    administration.retry(failed[0])
    assert [state(delayed[0]), state(failed[0])] == ["waiting", "waiting"]
    administration.remove(delayed[1])
    with pytest.raises(ForeignError, match="not found"):
        state(delayed[1])
    assert administration.cancel(delayed[0]) is Cancellation.CANCELLED
    assert state(delayed[0]) == "failed"
    administration.clean(timedelta(0), None, JobState.FAILED)
    administration.drain()
    counts = node.queue(queue_name, "getJobCounts")
    assert set(counts.values()) == {0}
    # What is told last.
    until(lambda: "cleaned" in dict(node("eventsSeen", queue=queue_name)))
    heard = node("eventsSeen", queue=queue_name)
    assert {"waiting", "removed", "failed", "cleaned"} <= {name for name, _ in heard}
    assert ["removed", {"jobId": delayed[1], "prev": "delayed"}] in heard
    assert dict(heard)["cleaned"]["count"] == "2"
    administration.obliterate()
    assert events_of(queue_name) == []
    with pytest.raises(QueueError):
        administration.retry(failed[0])


def test_node_sees_our_changes_of_a_job(store, administration, node, queue_name, fill):
    (job_id,) = fill(JobState.DELAYED)
    administration.update_data(job_id, {"new": True})
    administration.change_delay(job_id, timedelta(minutes=2))
    administration.change_priority(job_id, 9)
    read = node.queue(queue_name, "getJob", job_id)
    assert (read["data"], read["delay"]) == ({"new": True}, 120_000)
    assert read["priority"] == 9
    node.job(queue_name, job_id, "changeDelay", 60_000)
    node.job(queue_name, job_id, "changePriority", {"priority": 4})
    node.job(queue_name, job_id, "updateData", {"newer": True})
    job = store.job(job_id)
    assert (job.delay, job.priority) == (timedelta(minutes=1), 4)
    assert job.data == {"newer": True}


def test_global_concurrency_binds_both_sides(
    store, administration, node, queue_name, fill
):
    fill(JobState.WAITING, 2)
    node.queue(queue_name, "setGlobalConcurrency", 1)
    assert administration.concurrency() == 1
    job = store.claim(TOKEN, LEASE).job
    assert store.claim("myia:two", LEASE).job is None
    assert node("claim", queue=queue_name, token="t") is None
    store.complete(job.id, TOKEN, 1)
    assert node("claim", queue=queue_name, token="t") is not None
    administration.set_concurrency(5)
    assert node.queue(queue_name, "getGlobalConcurrency") == 5
    administration.set_concurrency(None)
    assert node.queue(queue_name, "getGlobalConcurrency") is None


def test_global_rate_limit_binds_us(store, administration, node, queue_name, fill):
    fill(JobState.WAITING, 2)
    node.queue(queue_name, "setGlobalRateLimit", 1, 600_000)
    assert administration.rate_limit() == (1, timedelta(minutes=10))
    assert store.claim(TOKEN, LEASE).job is not None
    found = store.claim("myia:two", LEASE)
    assert found.job is None
    assert 0 < found.limited_for <= 600_000
    assert 0 < store.redis.pttl(store.keys.limiter) <= 600_000
    store.redis.pexpire(store.keys.limiter, 1)
    assert until(lambda: store.claim("myia:two", LEASE).job) is not None
    administration.set_rate_limit(3, timedelta(seconds=1))
    limit = node.queue(queue_name, "getGlobalRateLimit")
    assert limit == {"max": 3, "duration": 1000}


def test_every_side_sees_the_workers_of_the_others(
    administration, node5, node6, python_client, queue_name, redis_server
):
    ours = redis_server.client(
        client_name=worker_client_name("myia", queue_name, "our-host.1")
    )
    ours.ping()
    for client in (node5, node6, python_client):
        options = {"name": client.name.replace(" ", "-")}
        client("worker", key=queue_name, queue=queue_name, options=options)
    try:
        expected = {
            ("our-host.1", True),
            ("bullmq", True),
            ("bullmq6", True),
            ("python-bullmq", False),
        }

        def listed():
            found = administration.workers()
            return [(worker.name, worker.is_listed) for worker in found]

        until(lambda: sorted(listed()) == sorted(expected))
        for client in (node5, node6):
            seen = client.queue(queue_name, "getWorkers")
            assert "our-host.1" in {worker["name"] for worker in seen} or any(
                worker["rawname"].endswith(":w:our-host.1") for worker in seen
            )
    finally:
        ours.close()
        for client in (node5, node6, python_client):
            client("workerStop", key=queue_name, force=True)


def test_metrics_of_our_jobs_are_nodes(store, administration, node, queue_name, fill):
    fill(JobState.COMPLETED, 3)
    fill(JobState.FAILED, 2)
    for state, count in (("completed", 3), ("failed", 2)):
        found = node.queue(queue_name, "getMetrics", state)
        assert found["meta"]["count"] == count
        assert administration.metrics(JobState(state)).count == count


def test_a_python_client_administers_our_jobs(store, python_client, queue_name, fill):
    (failed,) = fill(JobState.FAILED)
    fill(JobState.DELAYED)
    python_client.job(queue_name, failed, "retry", "failed")
    python_client.queue(queue_name, "promoteJobs", {})
    assert store.counts()[JobState.WAITING] == 2
    python_client.queue(queue_name, "pause")
    assert store.is_paused()
    assert store.claim(TOKEN, LEASE).job is None
    python_client.queue(queue_name, "resume")
    assert store.claim(TOKEN, LEASE).job.id == failed


def test_our_private_keys_survive_nodes_tidying(
    store, administration, node, queue_name, fill
):
    (running,) = fill(JobState.ACTIVE)
    job_id = store.add(NewJob(name="t", labels={"model": "m"}))
    administration.cancel(running)
    node.queue(queue_name, "removeOrphanedJobs")
    assert administration.cancel_requested([running]) == {running}
    assert store.redis.zrange(store.keys.sdk("index", "model", "m"), 0, -1) == [job_id]
    assert store.job(job_id).labels["model"] == "m"
