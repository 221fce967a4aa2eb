"""Operations of people on one job, and on the settings of a queue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from myia_sdk.errors import (
    ConfigurationError,
    InvalidJobError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
)
from myia_sdk.queue.jobs import Deduplication, JobOptions, JobState, NewJob
from myia_sdk.queue.store import JobStore, QueueAdministration
from myia_sdk.queue.wire.workers import worker_client_name

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
    def add(name="task", labels=None, **options):
        return store.add(
            NewJob(name=name, options=JobOptions(**options), labels=labels or {})
        )

    return add


@pytest.fixture
def run(store):
    """Claim the next job and end it: completed, failed, or left active."""

    def run(outcome="active", token=OURS):
        job = store.claim(token, LEASE).job
        if outcome == "completed":
            store.complete(job.id, token, {"ok": True}, labels={"verdict": "certified"})
        elif outcome == "failed":
            store.fail(job.id, token, "boom", "trace", labels={"category": "TIMEOUT"})
        return job.id

    return run


def events(store, name=None):
    found = [fields for _, fields in store.redis.xrange(store.keys.events)]
    return [one for one in found if name is None or one["event"] == name]


def test_retry_runs_a_failed_job_again_and_forgets_how_it_ended(
    store, administration, add, run
):
    job_id = add()
    run("failed")
    administration.retry(job_id)
    job = store.job(job_id)
    assert job.state is JobState.WAITING
    assert job.failed_reason is None
    assert job.finished_at is None
    assert job.attempts_made == 1
    assert job.stacktrace == ("trace",)
    assert "category" not in job.labels
    assert list(store.redis.scan_iter(store.keys.sdk("index", "reason", "*"))) == []
    assert events(store)[-1] == {"event": "waiting", "jobId": job_id, "prev": "failed"}
    assert store.redis.zscore(store.keys.marker, "0") == 0


def test_retry_resets_the_attempts_when_asked(store, administration, add, run):
    job_id = add()
    run("completed")
    administration.retry(job_id, reset_attempts=True)
    job = store.job(job_id)
    assert (job.attempts_made, job.attempts_started) == (0, 0)
    assert job.return_value is None


def test_retry_honours_priority_and_lifo(store, administration, add, run):
    important = add(priority=3)
    run("failed")
    administration.retry(important)
    assert store.state(important) is JobState.PRIORITIZED
    first = add(lifo=True)
    assert run("failed") == first
    add()
    administration.retry(first)
    assert run() == first


@pytest.mark.parametrize("operation", ["retry", "promote"])
def test_operations_refuse_a_job_in_the_wrong_state(administration, add, operation):
    job_id = add()
    with pytest.raises(InvalidTransitionError, match=f"Cannot {operation}.*waiting"):
        getattr(administration, operation)(job_id)


@pytest.mark.parametrize(
    "operation", ["retry", "promote", "remove", "cancel", "change_delay", "update_data"]
)
def test_operations_name_a_job_that_does_not_exist(administration, operation):
    arguments = {"change_delay": [timedelta(0)], "update_data": [{}]}
    with pytest.raises(JobNotFoundError, match="'nowhere'"):
        getattr(administration, operation)("nowhere", *arguments.get(operation, []))


def test_promote_puts_a_delayed_job_in_line(store, administration, add):
    job_id = add(delay=timedelta(hours=1))
    administration.promote(job_id)
    job = store.job(job_id)
    assert job.state is JobState.WAITING
    assert job.delay == timedelta(0)
    assert events(store)[-1] == {"event": "waiting", "jobId": job_id, "prev": "delayed"}


def test_remove_deletes_every_trace_of_a_job(store, administration, add):
    job_id = add(labels={"model": "m"}, deduplication=Deduplication(id="once"))
    store.log(job_id, "a line")
    administration.remove(job_id)
    assert store.job(job_id) is None
    leftovers = list(store.redis.scan_iter(f"{store.keys.base}*{job_id}*"))
    assert leftovers == []
    assert store.redis.get(store.keys.deduplication("once")) is None
    assert store.redis.zcard(store.keys.sdk("index", "model", "m")) == 0
    assert events(store)[-1] == {"event": "removed", "jobId": job_id, "prev": "wait"}


def test_remove_refuses_a_job_that_a_worker_holds(store, administration, add, run):
    job_id = add()
    run()
    with pytest.raises(InvalidTransitionError, match=r"active.*worker holds it"):
        administration.remove(job_id)
    store.redis.delete(store.keys.lock(job_id))
    administration.remove(job_id)
    assert store.redis.llen(store.keys.active) == 0


def test_remove_takes_a_dangling_id_out_of_the_line(store, administration):
    store.redis.lpush(store.keys.wait, "ghost")
    administration.remove("ghost")
    assert store.redis.llen(store.keys.wait) == 0


def test_change_delay_moves_the_due_time(store, administration, add):
    job_id = add(delay=timedelta(hours=1))
    before = store.clock()
    administration.change_delay(job_id, timedelta(minutes=1))
    due = store.redis.zscore(store.keys.delayed, job_id) // 4096
    assert before + 60_000 <= due <= store.clock() + 60_000
    assert store.job(job_id).delay == timedelta(minutes=1)
    assert events(store, "delayed")[-1]["delay"] == str(int(due))
    assert store.redis.zscore(store.keys.marker, "1") == due
    waiting = add()
    with pytest.raises(InvalidTransitionError, match="change the delay"):
        administration.change_delay(waiting, timedelta(0))
    with pytest.raises(InvalidJobError, match="delay"):
        administration.change_delay(job_id, timedelta(-1))


def test_change_priority_moves_a_job_between_the_lines(store, administration, add, run):
    first, second, third = add(), add(), add()
    administration.change_priority(first, 5)
    administration.change_priority(second, 5, lifo=True)
    assert store.state(first) is JobState.PRIORITIZED
    assert [run(), run(), run()] == [third, second, first]
    running = third
    administration.change_priority(running, 7)
    assert store.job(running).priority == 7
    with pytest.raises(InvalidJobError, match="priority"):
        administration.change_priority(running, -1)


def test_change_priority_keeps_a_paused_job_paused(store, administration, add):
    job_id = add()
    administration.pause()
    administration.change_priority(job_id, 0, lifo=True)
    assert store.redis.lrange(store.keys.paused, 0, -1) == [job_id]
    assert store.claim(OURS, LEASE).job is None


def test_update_data_replaces_the_data(store, administration, add):
    job_id = add()
    administration.update_data(job_id, {"model": "é"})
    assert store.job(job_id).data == {"model": "é"}
    with pytest.raises(InvalidJobError):
        administration.update_data(job_id, {"x": float("nan")})


def test_global_concurrency_holds_back_further_jobs(store, administration, add, run):
    first, second = add(), add()
    administration.set_concurrency(1)
    assert administration.concurrency() == 1
    assert run("active") == first
    assert store.claim(OURS, LEASE).job is None
    administration.set_concurrency(None)
    assert administration.concurrency() is None
    assert store.redis.zscore(store.keys.marker, "0") == 0
    assert run("active") == second
    with pytest.raises(ConfigurationError, match="pause it"):
        administration.set_concurrency(0)


def test_global_rate_limit_holds_back_further_jobs(store, administration, add, run):
    add()
    second = add()
    administration.set_rate_limit(1, timedelta(minutes=5))
    assert administration.rate_limit() == (1, timedelta(minutes=5))
    run("active")
    claim = store.claim(OURS, LEASE)
    assert claim.job is None
    assert 0 < claim.limited_for <= 300_000
    administration.set_rate_limit(None)
    assert administration.rate_limit() is None
    assert run("active") == second
    with pytest.raises(ConfigurationError, match="rate limit"):
        administration.set_rate_limit(3)


def test_workers_are_found_by_their_connection_names(redis_server, administration):
    queue, prefix = administration._store.queue, administration._store.prefix
    assert administration.workers() == []
    names = [
        worker_client_name(prefix, queue, "host 1"),
        worker_client_name(prefix, queue),
        f"{prefix}:{queue}:w:official-python",
        worker_client_name(prefix, queue) + ":qe",
        worker_client_name(prefix, queue + "x", "elsewhere"),
    ]
    clients = [redis_server.client(client_name=name) for name in names]
    try:
        for client in clients:
            client.ping()
        found = administration.workers()
    finally:
        for client in clients:
            client.close()
    assert [(one.name, one.is_listed) for one in found] == [
        ("host-1", True),
        ("", True),
        ("official-python", False),
    ]
    assert all(one.address.startswith("127.0.0.1:") for one in found)


def test_metrics_count_what_ended_by_the_minute(redis_client, queue_name):
    minute = 60_000
    now = 30_000_000 * minute
    clock = iter([])
    store = JobStore(redis_client, queue_name, clock=lambda: next(clock))
    administration = QueueAdministration(store)
    ids = [JobOptions(job_id=f"job-{n}") for n in range(4)]
    times = [now] * 4
    for moment in (now, now + 5, now + 9, now + 3 * minute):
        times += [moment, moment]
    clock = iter(times)
    for options in ids:
        store.add(NewJob(name="t", options=options))
    for options in ids:
        store.claim(OURS, LEASE)
        store.complete(options.job_id, OURS, None)
    metrics = administration.metrics(JobState.COMPLETED)
    assert metrics.count == 4
    assert [point.jobs for point in metrics.points] == [0, 0, 3]
    newest = metrics.points[0].minute_at.timestamp() * 1000
    assert newest == now + 2 * minute
    assert administration.metrics(JobState.COMPLETED, 1, 1).points == (
        metrics.points[1],
    )
    assert administration.metrics(JobState.FAILED).points == ()


def test_info_describes_the_server(administration, redis_server):
    info = administration.info()
    assert info.product == redis_server.kind
    assert info.version[0].isdigit()
    assert info.port == redis_server.port
    assert info.used_memory > 0
    assert info.eviction_policy == "noeviction"
    assert not info.is_evicting
    assert info.has_append_only_file
    assert info.is_persistence_healthy


def test_a_removed_running_job_drops_the_result(store, administration, add, run):
    job_id = add()
    run()
    administration.pause()
    administration.obliterate(force=True)
    with pytest.raises((JobNotFoundError, LeaseLostError)):
        store.complete(job_id, OURS, None)
