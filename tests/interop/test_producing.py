"""We add, other clients run: lines 1 to 6, 11 and 37 of the checklist."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.wire.workers import worker_client_name
from tests.interop.conftest import until

pytestmark = pytest.mark.node

PRIORITY_STEP = 2**32


@pytest.fixture
def worker(node, queue_name, store, redis_client):
    """A Node worker that waits at the queue; the value is what it has seen.

    It does not look by itself within the time of a test: it must be woken.
    """
    options = {"concurrency": 1, "drainDelay": 600}
    node("worker", key=queue_name, queue=queue_name, options=options)
    name = worker_client_name(store.prefix, queue_name)
    until(
        lambda: any(
            client["name"].startswith(name) and client["cmd"] == "bzpopmin"
            for client in redis_client.client_list()
        )
    )
    yield lambda: node("workerSeen", key=queue_name)
    node("workerStop", key=queue_name)


def add(store, data=None, **options):
    options = {"attempts": 1, **options}
    return store.add(NewJob(name="t", data=data or {}, options=JobOptions(**options)))


def names(events):
    return [one["event"] for one in events]


def test_a_plain_job_has_bullmqs_form_and_runs_at_once(
    store, worker, events_of, redis_client
):
    job_id = add(store, {"returns": {"a": 1}})
    until(lambda: store.state(job_id) is JobState.COMPLETED)
    assert [run["id"] for run in worker()] == [job_id]
    job = store.job(job_id)
    assert job.return_value == {"a": 1}
    assert names(events_of(store.queue))[:4] == [
        *("added", "waiting", "active", "completed"),
    ]


def test_the_hash_of_a_waiting_job(store, redis_client, node, queue_name):
    job_id = add(store, {"x": [1, "é"]})
    assert redis_client.lindex(store.keys.wait, 0) == job_id
    assert redis_client.get(store.keys.base + "id") == "1"
    fields = redis_client.hgetall(store.keys.job(job_id))
    assert set(fields) == {"name", "data", "opts", "timestamp", "delay", "priority"}
    assert (fields["delay"], fields["priority"]) == ("0", "0")
    read = node.queue(queue_name, "getJob", job_id)
    assert read["data"] == {"x": [1, "é"]}
    assert read["attemptsMade"] == 0
    assert redis_client.zrange(store.keys.marker, 0, -1, withscores=True) == [("0", 0)]


def test_a_custom_id_twice_is_one_job(store, node, queue_name, events_of):
    assert add(store, {"n": 1}, job_id="mine") == "mine"
    assert add(store, {"n": 2}, job_id="mine") == "mine"
    again = node.queue(queue_name, "add", "t", {"n": 3}, {"jobId": "mine"})
    assert again["id"] == "mine"
    assert store.job("mine").data == {"n": 1}
    assert store.redis.get(store.keys.base + "id") == "3"
    assert names(events_of(queue_name))[-2:] == ["duplicated", "duplicated"]


def test_a_delayed_job_runs_when_it_is_due(store, worker, redis_client):
    before = store.clock()
    job_id = add(store, delay=timedelta(milliseconds=400))
    score = redis_client.zscore(store.keys.delayed, job_id)
    if score is not None:
        last = store.clock() + 400
        assert (before + 400) * 4096 <= score <= last * 4096 + 4095
    until(lambda: store.state(job_id) is JobState.COMPLETED)
    assert worker()[0]["at"] >= before + 400


def test_priorities_run_in_order_after_plain_jobs(store, node, queue_name):
    five, five_too, one = (add(store, priority=p) for p in (5, 5, 1))
    plain = add(store)
    scores = store.redis.zrange(store.keys.prioritized, 0, -1, withscores=True)
    assert scores == [
        (one, PRIORITY_STEP + 3),
        (five, 5 * PRIORITY_STEP + 1),
        (five_too, 5 * PRIORITY_STEP + 2),
    ]
    node("worker", key=queue_name, queue=queue_name)
    until(lambda: store.counts()[JobState.COMPLETED] == 4)
    seen = [run["id"] for run in node("workerSeen", key=queue_name)]
    node("workerStop", key=queue_name)
    assert seen == [plain, one, five, five_too]


def test_lifo_goes_to_the_front(store, node, queue_name):
    first, second = add(store), add(store, lifo=True)
    assert store.redis.lrange(store.keys.wait, 0, -1) == [first, second]
    assert node("claim", queue=queue_name, token="t")["id"] == second


def test_many_jobs_travel_in_one_round_trip(store, node, queue_name):
    jobs = [NewJob(name="t", data={"n": n}) for n in range(50)]
    ids = store.add_many(jobs)
    found = node.queue(queue_name, "getWaiting")
    assert [job["data"]["n"] for job in found] == list(range(50))
    assert [job["id"] for job in found] == ids


def test_a_job_added_while_paused_survives_resume(store, node5, queue_name):
    node5.queue(queue_name, "pause")
    job_id = add(store)
    node5.queue(queue_name, "resume")
    assert store.redis.lrange(store.keys.wait, 0, -1) == [job_id]
    node5("worker", key=queue_name, queue=queue_name)
    until(lambda: store.state(job_id) is JobState.COMPLETED)
    node5("workerStop", key=queue_name)


def test_every_client_reads_the_same_job(
    store, administration, node5, node6, python_client, queue_name
):
    options = JobOptions(
        attempts=2, delay=timedelta(hours=1), priority=3, lifo=True, keep_logs=2
    )
    job_id = store.add(
        NewJob(name="certify", data={"a": [1, None, "é"]}, options=options)
    )
    store.progress(job_id, {"percent": 40})
    for client in (node5, node6):
        job = client.queue(queue_name, "getJob", job_id)
        assert job["name"] == "certify"
        assert job["data"] == {"a": [1, None, "é"]}
        assert job["progress"] == {"percent": 40}
        assert job["delay"] == 3_600_000
        assert job["opts"]["attempts"] == 2
        assert client.job(queue_name, job_id, "getState") == "delayed"
    job = python_client("jobRead", queue=queue_name, id=job_id)
    assert job["data"] == {"a": [1, None, "é"]}
    assert job["progress"] == {"percent": 40}
    assert python_client.queue(queue_name, "getJobState", job_id) == "delayed"


def test_a_python_worker_runs_our_jobs(store, python_client, queue_name):
    python_client("worker", key=queue_name, queue=queue_name)
    good = add(store, {"returns": [1, 2]})
    bad = add(store, {"fail": "no way"})
    plain = store.add(NewJob(name="t", data={"fail": "attempts left out"}))
    until(lambda: store.job(plain).state is JobState.FAILED)
    python_client("workerStop", key=queue_name, force=True)
    assert store.job(good).return_value == [1, 2]
    assert store.job(bad).failed_reason == "no way"
    assert "no way" in json.dumps(store.job(bad).stacktrace)


def test_a_node_worker_retries_our_job_by_our_options(store, node, queue_name):
    node("worker", key=queue_name, queue=queue_name)
    job_id = add(store, {"fail": "once", "failTimes": 1}, attempts=3)
    plain = store.add(NewJob(name="t", data={"fail": "attempts left out"}))
    until(lambda: store.state(job_id) is JobState.COMPLETED)
    until(lambda: store.state(plain) is JobState.FAILED)
    node("workerStop", key=queue_name)
    job = store.job(job_id)
    assert job.attempts_made == 2
    assert job.return_value == {"by": "node"}
