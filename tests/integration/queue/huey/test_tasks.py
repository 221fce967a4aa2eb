"""Tasks on BullHuey: arguments, results, retries, time limits, signals, hooks."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from huey.exceptions import CancelExecution, ResultTimeout, TaskException

from myia_sdk.errors import ConfigurationError, InvalidJobError
from myia_sdk.queue import BullHuey, JobState, NewJob, current_job
from myia_sdk.queue.store import QueueAdministration
from tests.acceptance import app
from tests.acceptance.worker import consumer_here, ended, lines_of, wait_until
from tests.helpers import sandbox_bodies as bodies


@pytest.fixture(scope="module")
def consumer(redis_server):
    with consumer_here(redis_server, workers=3) as running:
        yield running


@pytest.fixture
def store(consumer):
    return app.huey.store


def get(result):
    return result.get(blocking=True, timeout=120)


def failure(result):
    with pytest.raises(TaskException) as caught:
        get(result)
    return caught.value


def test_result_comes_back_and_stays(store):
    result = app.add(2, 3)
    assert get(result) == 5
    assert app.huey.result(result.id) == 5
    assert app.huey.result(result.id) == 5
    job = store.job(result.id)
    assert (job.name, job.data, job.return_value) == ("add", {"a": 2, "b": 3}, 5)
    assert job.attempts_made == 1


def test_none_is_a_result_and_a_pending_one_times_out(store, tmp_path):
    assert get(app.alone(str(tmp_path / "ledger"))) is None
    waiting = app.add.schedule((1, 2), delay=600)
    assert waiting.get() is None
    with pytest.raises(ResultTimeout):
        waiting.get(blocking=True, timeout=0.05)
    waiting.revoke()


def test_arguments_travel_by_name_where_they_can(store):
    assert store.job(app.add(1, b=2).id).data == {"a": 1, "b": 2}
    assert store.job(app.describe(x=[1], y={"z": None}).id).data["y"] == {"z": None}
    assert store.job(app.add(1, 2, 3).id).data == {"*": [1, 2, 3]}
    assert "TypeError" in str(failure(app.add(1, 2, 3)))


def test_datetimes_and_tuples_travel(store):
    moment = datetime(2030, 5, 17, 8, 30, tzinfo=UTC)
    found = get(app.describe(at=moment, pair=(1, 2)))["facts"]
    assert found == {"at": moment, "pair": [1, 2]}


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), float("nan")])
def test_what_is_not_json_is_refused_at_the_call(store, value):
    added = store.command("GET", f"{store.keys.base}id")
    with pytest.raises(InvalidJobError):
        app.describe(value=value)
    with pytest.raises(InvalidJobError):
        app.add.schedule((value,), delay=10)
    assert store.command("GET", f"{store.keys.base}id") == added


def test_isolated_task_runs_in_a_child_and_the_other_in_the_thread():
    assert get(app.describe())["pid"] != os.getpid()
    assert get(app.here()) == {"pid": os.getpid(), "attempt": 1}


def test_foreign_job_runs_by_its_short_name(store):
    job_id = store.add(NewJob(name="add", data={"a": 20, "b": 22}))
    assert ended(store, job_id).return_value == 42
    job_id = store.add(NewJob(name="reported", data={}))
    assert ended(store, job_id).return_value == 1


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (NewJob(name="no_such_task"), "No task is named 'no_such_task'"),
        (NewJob(name="add", data=[1, 2]), "not an object"),
        (NewJob(name="add", data={"wrong": 1}), "TypeError"),
        (NewJob(name="add", data={"a": 1}, fields={"huey": "{"}), "not JSON"),
        (NewJob(name="add", data={"a": 1}, fields={"huey": "[]"}), "not an object"),
        (
            NewJob(name="add", data={"a": 1}, fields={"huey": '{"chord": {"id": 1}}'}),
            "malformed",
        ),
        (NewJob(name="add", data={"a": 1}, fields={"timeout": "soon"}), "malformed"),
        (
            NewJob(name="add", data={"a": {"__huey__": "datetime", "text": "x"}}),
            "malformed",
        ),
    ],
)
def test_malformed_job_fails_with_the_reason(store, job, words):
    found = ended(store, store.add(job))
    assert found.state == JobState.FAILED
    assert words in found.failed_reason


def test_broken_json_in_the_hash_fails_the_job(store):
    administration = QueueAdministration(store)
    administration.pause()
    job_id = store.add(NewJob(name="add", data={"a": 1}))
    store.command("HSET", store.keys.job(job_id), "data", "{truncated")
    administration.resume()
    assert "cannot be read" in ended(store, job_id).failed_reason


def test_retries_count_attempts_and_keep_traces(store, tmp_path):
    result = app.flaky(str(tmp_path / "ledger"), 3)
    job = ended(store, result.id)
    assert (job.state, job.return_value, job.attempts_made) == ("completed", 3, 3)
    assert [words[1:] for words in lines_of(tmp_path / "ledger")] == [
        ["attempt", 1],
        ["attempt", 2],
        ["attempt", 3],
    ]
    assert "ConnectionError: attempt 2" in job.stacktrace[-1]


def test_last_failure_is_a_task_exception(store, tmp_path):
    result = app.flaky(str(tmp_path / "ledger"), 9)
    job = ended(store, result.id)
    assert (job.state, job.attempts_made) == ("failed", 4)
    error = failure(result)
    assert str(error) == "ConnectionError: attempt 4"
    assert error.metadata["task_id"] == result.id
    assert "in flaky" in error.metadata["traceback"]


@pytest.mark.parametrize(
    ("kind", "words", "attempts"),
    [
        ("segfault", "SIGSEGV", 2),
        ("exit", "exit code 0", 2),
        ("sysexit", "SystemExit: 3", 2),
        ("unserialisable", "set", 2),
        ("unrecoverable", "UnrecoverableError: no use", 1),
    ],
)
def test_bad_ends_are_failures(store, kind, words, attempts):
    job = ended(store, app.poison(kind).id)
    assert job.state == JobState.FAILED
    assert words in job.failed_reason
    assert job.attempts_made == attempts


def test_task_may_ask_for_another_try_without_using_one(store):
    job = ended(store, app.later(0.05).id)
    assert (job.return_value, job.attempts_made, job.attempts_started) == (1, 1, 2)


def test_context_gives_the_task(store):
    result = app.told("x")
    assert get(result) == ["x", result.id, 2]


def test_finalize_signs_in_the_worker_and_labels_the_job(store):
    job = ended(store, app.signed().id)
    assert job.return_value["by"] == os.getpid()
    assert job.return_value["signed"] == {"secret": "given", "names": []}
    assert job.labels["verdict"] == "certified"
    assert "ZeroDivisionError" in str(failure(app.unfinishable()))


@pytest.mark.parametrize("task", [app.report, app.here])
def test_progress_and_log_reach_the_job(store, task):
    result = task()
    job = ended(store, result.id)
    assert job.progress in (0.5, {"percent": 100})
    assert sorted(store.logs(result.id).lines) in (
        ["logged words", "printed words"],
        ["from the thread"],
    )


def test_time_limits_of_task_call_and_job(store):
    assert "timed out after 0.5 s" in str(failure(app.slow(60)))
    assert get(app.slow.schedule((0.6,), delay=0, timeout=100)) == "slept"
    job_id = store.add(
        NewJob(name="slow", data={"seconds": 60}, fields={"timeout": "300"})
    )
    assert ended(store, job_id).failed_reason.startswith("timed out after 0.3 s")


def test_schedule_by_delay_and_by_time(store):
    moment = datetime.now(UTC) + timedelta(hours=1)
    early = app.add.schedule((1, 2), delay=0.3)
    late = [app.add.schedule((3, 4), delay=3600), app.add.schedule((5, 6), eta=moment)]
    assert get(early) == 3
    job = store.job(early.id)
    assert job.processed_at - job.created_at >= timedelta(seconds=0.3)
    assert {store.state(result.id) for result in late} == {JobState.DELAYED}
    for result in late:
        QueueAdministration(store).promote(result.id)
    assert [get(result) for result in late] == [7, 11]


def test_revoked_and_restored_tasks(store):
    gone = app.add.schedule((1, 2), delay=3600)
    gone.revoke()
    assert gone.is_revoked()
    kept = app.add.schedule((1, 2), delay=3600)
    kept.revoke()
    assert kept.restore()
    for result in (gone, kept):
        QueueAdministration(store).promote(result.id)
    assert str(failure(gone)) == "revoked"
    assert get(kept) == 3


def test_all_tasks_of_a_kind_are_revoked_once(store):
    app.told.revoke(revoke_once=True)
    assert str(failure(app.told(1))) == "revoked"
    assert get(app.told(2))[0] == 2


def test_expired_task_fails(store):
    result = app.add.schedule((1, 2), delay=0.4, expires=0.05)
    assert "expired" in str(failure(result))


def test_signals_and_hooks_tell_the_story(store, tmp_path):
    seen, hooks = [], []
    watched = {f"watched-{number}" for number in range(3)}

    @app.huey.signal()
    def listen(signal, task, *extra):
        if task.id in watched:
            seen.append((task.name, signal))

    @app.huey.post_execute()
    def after(task, value, exception):
        if task.id in watched:
            hooks.append((value, str(exception) if exception else None))

    @app.huey.pre_execute()
    def before(task):
        if task.name == "add" and task.kwargs.get("a") == "stop":
            raise CancelExecution

    try:
        good = app.add.s(1, id="watched-0")
        bad = app.poison.s("value", id="watched-1")
        stopped = app.add.s("stop", id="watched-2")
        results = [app.huey.enqueue(task) for task in (good, bad, stopped)]
        assert get(results[0]) == 2
        ended(store, results[1].id)
        assert str(failure(results[2])) == "cancelled by a hook"
        wait_until(lambda: len(hooks) == 3 and len(seen) == 11, what="the signals")
    finally:
        app.huey.disconnect_signal(listen)
        app.huey.unregister_post_execute(after)
        app.huey.unregister_pre_execute(before)
    by_task = [s for name, s in seen if name == "poison"]
    assert by_task == [
        "enqueued", "executing", "error", "retrying", "executing", "error",
    ]  # fmt: skip
    assert sorted(s for name, s in seen if name == "add") == [
        "canceled", "complete", "enqueued", "enqueued", "executing",
    ]  # fmt: skip
    assert (2, None) in hooks
    assert hooks.count((None, "ValueError: value")) == 2


def test_cancel_stops_a_running_job_for_good(store, tmp_path):
    ledger = tmp_path / "ledger"
    result = app.hang(str(ledger), "native")
    wait_until(lambda: lines_of(ledger), what="the start")
    QueueAdministration(store).cancel(result.id)
    job = ended(store, result.id)
    assert (job.state, job.failed_reason) == ("failed", "cancelled")
    assert job.attempts_made == 1
    assert job.labels["category"] == "CANCELLED"


def test_child_reaches_the_queue_only_through_the_worker(store):
    ids = get(app.fan_out(2))
    assert [ended(store, job_id).return_value for job_id in ids] == [1, 2]
    assert get(app.ask(ids[0])) == 1
    assert get(app.ask(app.add.schedule((1, 2), delay=0.5).id)) == 3
    assert "not offered" in str(failure(app.confined()))


def test_health_and_heartbeat(consumer, store):
    wait_until(lambda: consumer.health()["is_alive"], what="a claim")
    wait_until(lambda: consumer.health()["is_redis_up"], what="an answer")
    assert consumer.health()["slots"] == 3
    key = store.keys.sdk("workers")
    text = wait_until(lambda: store.command("HGET", key, consumer.name))
    assert f'"pid": {os.getpid()}' in text


def test_process_workers_isolate_everything(redis_server):
    huey = BullHuey(f"p{uuid4().hex}", url=redis_server.url)
    task = huey.task(isolate=False, name="pid")(bodies.surroundings)
    consumer = huey.create_consumer(worker_type="process", periodic=False)
    consumer.start()
    try:
        assert get(task())["is_session_leader"]
    finally:
        consumer.stop(graceful=True)


def test_options_that_make_no_sense_are_refused(redis_server):
    with pytest.raises(ConfigurationError, match="greenlet"):
        app.huey.create_consumer(worker_type="greenlet")
    for options in (
        {"compression": True},
        {"url": redis_server.url, "redis": redis_server.client()},
        {"hots": "typo"},
        {"lease": timedelta(0)},
    ):
        with pytest.raises(ConfigurationError):
            BullHuey("q", **options)
    with pytest.raises(ConfigurationError):
        BullHuey("a:b")


def test_immediate_mode_runs_here_and_still_refuses_what_is_not_json():
    huey = BullHuey("now", immediate=True)
    seen = []

    @huey.task(retries=1)
    def twice(number):
        seen.append(current_job().name)
        return number * 2

    assert twice(4)() == 8
    assert seen == ["twice"]
    with pytest.raises(InvalidJobError):
        twice({1})
    chained = huey.enqueue(twice.s(1).then(twice))
    assert chained.get() == [2, 4]
    with huey.lock_task("here"):
        assert huey.is_locked("here")
