"""An unmodified Bull Board on our queue: its HTTP calls, lines 28 to 36."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import timedelta

import pytest

from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.store import JobSchedulers
from myia_sdk.queue.wire.workers import worker_client_name
from tests.interop.conftest import LEASE

pytestmark = pytest.mark.node

TOKEN = "myia:one"
HOUR = timedelta(hours=1)


@pytest.fixture
def board(node5, queue_name):
    """Call the board's API; the answer is (status, body)."""
    address = node5("board", queues=[queue_name])

    def call(method, path, body=None):
        path = path.replace("QUEUE", f"queues/{queue_name}")
        request = urllib.request.Request(  # a loopback address of our own
            f"{address}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    return call


@pytest.fixture
def jobs(store):
    """One job of ours in every state, by state."""
    made = {}
    end = {
        "completed": lambda one: store.complete(one, TOKEN, {"verdict": "certified"}),
        "failed": lambda one: store.fail(one, TOKEN, "boom", "Error: boom\n  at x"),
        "active": lambda one: store.progress(one, {"percent": 40}),
    }
    for state, finish in end.items():
        made[state] = store.add(NewJob(name="certify", data={"is": state}))
        store.claim(TOKEN, LEASE, "our-worker")
        store.log(made[state], ["first line", "second line"])
        finish(made[state])
    made["waiting"] = store.add(NewJob(name="certify", data={"model": "<é>"}))
    for state, options in (
        ("delayed", JobOptions(delay=HOUR)),
        ("prioritized", JobOptions(priority=3)),
    ):
        made[state] = store.add(NewJob(name="certify", options=options))
    return made


def test_lists_show_our_jobs_in_every_state(board, jobs, queue_name):
    tabs = [*jobs, "latest", "paused", "waiting-children"]
    for status in tabs:
        query = f"queues?activeQueue={queue_name}&status={status}&page=1&jobsPerPage=10"
        code, body = board("GET", query)
        assert code == 200, (status, body)
        (queue,) = body["queues"]
        ids = {job["id"] for job in queue["jobs"]}
        if status in jobs:
            assert ids == {jobs[status]}
        elif status == "latest":
            assert ids == set(jobs.values())
        assert all(queue["counts"][state] == 1 for state in jobs)


def test_the_page_of_a_job(board, jobs):
    code, body = board("GET", f"QUEUE/{jobs['failed']}")
    assert (code, body["status"]) == (200, "failed")
    job = body["job"]
    assert job["failedReason"] == "boom"
    assert job["stacktrace"] == ["Error: boom\n  at x"]
    assert job["isFailed"]
    assert job["processedBy"] == "our-worker"
    code, body = board("GET", f"QUEUE/{jobs['active']}")
    assert body["job"]["progress"] == {"percent": 40}
    code, body = board("GET", f"QUEUE/{jobs['completed']}")
    assert body["job"]["returnValue"] == {"verdict": "certified"}
    assert not body["job"]["isFailed"]
    code, body = board("GET", f"QUEUE/{jobs['completed']}/logs")
    assert (code, body) == (200, ["first line", "second line"])
    assert board("GET", f"QUEUE/{jobs['waiting']}/flow")[0] == 200
    assert board("GET", "QUEUE/no-such-job")[0] == 404


def test_metrics_workers_and_the_redis_box(
    board, jobs, redis_server, queue_name, administration
):
    name = worker_client_name("myia", queue_name, "our-host.1")
    with redis_server.client(client_name=name) as ours:
        ours.ping()
        code, body = board("GET", "QUEUE/workers")
        assert code == 200
        assert [worker["name"] for worker in body["workers"]] == ["our-host.1"]
    code, body = board("GET", "QUEUE/metrics")
    assert code == 200
    assert body["completed"]["meta"]["count"] == 1
    code, body = board("GET", "redis/stats")
    assert code == 200
    assert body["port"] == administration.info().port


def test_retry_and_promote_buttons(board, jobs, store):
    assert board("PUT", f"QUEUE/{jobs['failed']}/retry")[0] == 204
    assert store.state(jobs["failed"]) is JobState.WAITING
    assert board("PUT", f"QUEUE/{jobs['completed']}/retry")[0] == 204
    assert store.state(jobs["completed"]) is JobState.WAITING
    assert board("PUT", f"QUEUE/{jobs['waiting']}/retry")[0] == 400
    assert board("PUT", f"QUEUE/{jobs['delayed']}/promote")[0] == 204
    assert store.state(jobs["delayed"]) is JobState.WAITING


def test_buttons_for_all_jobs_of_a_state(board, store):
    delayed, failed, ended = [], [], []
    for n in range(3):
        for place in (failed, ended):
            place.append(store.add(NewJob(name="t")))
            store.claim(TOKEN, LEASE)
        store.fail(failed[n], TOKEN, "boom")
        store.complete(ended[n], TOKEN, n)
        delayed.append(store.add(NewJob(name="t", options=JobOptions(delay=HOUR))))
    assert board("PUT", "QUEUE/promote")[0] == 200
    assert board("PUT", "QUEUE/retry/failed")[0] == 200
    counts = store.counts()
    assert counts[JobState.WAITING] == 6
    # The board cleans what is older than five seconds.
    for job_id in ended:
        store.redis.zadd(store.keys.completed, {job_id: store.clock() - 6_000})
    assert board("PUT", "QUEUE/clean/completed")[0] == 200
    assert store.counts()[JobState.COMPLETED] == 0
    assert board("PUT", "QUEUE/empty")[0] == 200
    assert sum(store.counts().values()) == 0


def test_removing_a_job(board, jobs, store):
    assert board("PUT", f"QUEUE/{jobs['active']}/clean")[0] == 409
    assert store.state(jobs["active"]) is JobState.ACTIVE
    assert board("PUT", f"QUEUE/{jobs['completed']}/clean")[0] == 204
    assert store.job(jobs["completed"]) is None


def test_editing_a_job(board, jobs, store):
    data = {"jobData": {"edited": True}}
    assert board("PATCH", f"QUEUE/{jobs['waiting']}/update-data", data)[0] == 200
    assert store.job(jobs["waiting"]).data == {"edited": True}
    due = {"runAt": store.clock() + 120_000}
    assert board("PATCH", f"QUEUE/{jobs['delayed']}/delay", due)[0] == 200
    assert store.job(jobs["delayed"]).delay < timedelta(minutes=5)
    priority = {"priority": 7}
    assert board("PATCH", f"QUEUE/{jobs['prioritized']}/priority", priority)[0] == 200
    assert store.job(jobs["prioritized"]).priority == 7


def test_adding_a_job_that_we_run(board, store, work):
    body = {"name": "certify", "data": {"x": 1}, "options": {"attempts": 2}}
    assert board("POST", "QUEUE/add", body)[0] == 200
    job = work({"ok": True})
    assert (job.name, job.data, job.max_attempts) == ("certify", {"x": 1}, 2)


def test_pause_and_resume_buttons(board, jobs, store):
    for scope in ("QUEUE", "queues"):
        assert board("PUT", f"{scope}/pause")[0] == 200
        assert store.is_paused()
        assert store.claim("myia:two", LEASE).job is None
        assert board("PUT", f"{scope}/resume")[0] == 200
    assert store.claim("myia:two", LEASE).job.id == jobs["waiting"]


def test_concurrency_of_the_board_binds_us(board, store, administration):
    first, second = (store.add(NewJob(name="t")) for _ in range(2))
    assert board("PUT", "QUEUE/concurrency", {"concurrency": 1})[0] == 200
    assert administration.concurrency() == 1
    assert store.claim(TOKEN, LEASE).job.id == first
    assert store.claim("myia:two", LEASE).job is None
    store.complete(first, TOKEN, None)
    assert store.claim("myia:two", LEASE).job.id == second
    assert board("PUT", "QUEUE/concurrency", {"concurrency": 0})[0] == 200
    assert administration.concurrency() is None


def test_rate_limit_of_the_board_binds_us(board, store, administration):
    for _ in range(2):
        store.add(NewJob(name="t"))
    limit = {"max": 1, "duration": 60_000}
    code, answer = board("PUT", "QUEUE/rate-limit", limit)
    assert code == 200, answer
    assert administration.rate_limit() == (1, timedelta(minutes=1))
    assert store.claim(TOKEN, LEASE).job is not None
    assert store.claim("myia:two", LEASE).limited_for > 0
    assert board("GET", "QUEUE/rate-limit")[0] == 200
    assert board("PUT", "QUEUE/rate-limit/release")[0] == 200
    assert store.claim("myia:two", LEASE).job is not None


def test_obliterate_button(board, jobs, store):
    assert board("PUT", "QUEUE/obliterate", {"force": False})[0] == 400
    assert board("PUT", "QUEUE/pause")[0] == 200
    assert board("PUT", "QUEUE/obliterate", {"force": False})[0] == 409
    assert store.job(jobs["waiting"]) is not None
    assert board("PUT", "QUEUE/obliterate", {"force": True})[0] == 200
    assert list(store.redis.scan_iter(f"{store.keys.base}*")) == []


def test_schedulers_of_ours(board, store):
    schedulers = JobSchedulers(store)
    scheduler = schedulers.upsert(
        "nightly", pattern="0 3 * * *", template=NewJob(name="report")
    )
    code, body = board("GET", "job-schedulers")
    assert code == 200
    assert "nightly" in json.dumps(body)
    assert board("PUT", f"QUEUE/{scheduler.next_run_id}/clean")[0] == 400
    assert schedulers.get("nightly") is not None
    assert board("PUT", "QUEUE/job-schedulers/nightly/run")[0] in {200, 204}
    assert store.claim(TOKEN, LEASE).job.name == "report"
    assert board("PUT", "QUEUE/job-schedulers/nightly/remove")[0] in {200, 204}
    assert schedulers.list() == []


def test_an_odd_job_does_not_break_the_lists(board, jobs, store, queue_name):
    """Whatever our API accepts, the board can list."""
    odd = {"nan-free": 1e300, "big": 2**53 + 1, "text": "\u2028</script>", "deep": [[]]}
    job_id = store.add(NewJob(name="<b>", data=odd))
    store.progress(job_id, "half way")
    code, body = board(
        "GET", f"queues?activeQueue={queue_name}&status=waiting&page=1&jobsPerPage=9"
    )
    assert code == 200
    shown = {job["id"]: job for job in body["queues"][0]["jobs"]}
    assert shown[job_id]["progress"] == "half way"
    assert shown[job_id]["data"]["text"] == "\u2028</script>"
