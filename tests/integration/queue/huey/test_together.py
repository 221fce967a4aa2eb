"""Tasks that work together: pipelines, groups, chords, locks, limits, listings."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from huey import crontab
from huey.api import chord, group
from huey.exceptions import RateLimitExceeded, TaskException, TaskLockedException
from huey.utils import ChordConfig, Error

from myia_sdk.queue import BullHuey, JobState
from myia_sdk.queue.huey.periodic import cron_pattern, register_periodic
from myia_sdk.queue.store import JobSchedulers
from tests.acceptance import app
from tests.acceptance.worker import consumer_here, ended, lines_of, wait_until
from tests.helpers.queue_probe import Clock


@pytest.fixture(scope="module", autouse=True)
def consumer(redis_server):
    with consumer_here(redis_server, workers=3) as running:
        yield running


def get(result):
    return result.get(blocking=True, timeout=120)


def test_pipeline_passes_values_on_and_spreads_tuples():
    results = app.huey.enqueue(app.pair.s(3).then(app.add).then(app.add, 10))
    assert get(results) == [[3, 4], 7, 17]


def test_failure_in_a_pipeline_reaches_all_that_wait(tmp_path):
    task = app.poison.s("unrecoverable").error(app.excuse, str(tmp_path / "ledger"))
    results = app.huey.enqueue(task.then(app.add).then(app.add, 1))
    for result in results:
        with pytest.raises(TaskException, match="no use"):
            get(result)
    wait_until(lambda: lines_of(tmp_path / "ledger"), what="the handler")
    assert lines_of(tmp_path / "ledger")[0][1:] == [
        "handled",
        "UnrecoverableError: no use",
    ]


def test_pipeline_delivered_twice_goes_on_once():
    results = app.huey.enqueue(app.quick.s(1).then(app.quick, 1))
    assert get(results) == [2, 3]
    store, first = app.huey.store, next(iter(results))
    following = app.huey.task_of(store.job(first.id)).on_complete
    before = store.job(following.id)
    app.huey.enqueue(following)
    assert store.job(following.id) == before
    assert before.state is JobState.COMPLETED


def test_group_and_map():
    results = app.huey.enqueue(group([app.quick.s(n) for n in range(4)]))
    assert get(results) == [1, 2, 3, 4]
    assert get(app.quick.map([(1, 2), (3, 4)])) == [3, 7]


def test_chord_gathers_values_in_order_and_failures_as_errors():
    members = [app.quick.s(1), app.poison.s("unrecoverable"), app.quick.s(2)]
    result = app.huey.enqueue(chord(members, app.total.s()))
    assert get(result) == 5
    (values,) = app.huey.store.job(result.callback.id).data.values()
    assert (values[0], values[2]) == (2, 3)
    assert values[1]["metadata"]["error"] == "UnrecoverableError: no use"
    members = [app.quick.s(1), app.quick.s(2).then(app.quick, 5)]
    assert get(app.huey.enqueue(chord(members, app.total.s()))) == 10


def test_empty_chord_calls_back_at_once():
    assert get(app.huey.enqueue(chord([], app.total.s()))) == 0


def test_member_delivered_twice_does_not_fire_the_chord_early():
    callback = app.total.s()
    config = [ChordConfig("c" + callback.id, 2, index, callback) for index in (0, 1)]
    app.huey._check_chord(config[0], 5)
    app.huey._check_chord(config[0], 5)
    assert app.huey.store.job(callback.id) is None
    app.huey._check_chord(config[1], Error({"error": "x"}))
    assert ended(app.huey.store, callback.id).return_value == 5
    app.huey._check_chord(config[1], 7)
    job = app.huey.store.job(callback.id)
    assert (job.return_value, job.attempts_made) == (5, 1)


def test_lock_belongs_to_its_owner():
    first = app.huey.lock_task("door", ttl=600)
    second = app.huey.lock_task("door")
    with first:
        with pytest.raises(TaskLockedException):
            second.acquire()
        store = app.huey.store
        (place,) = store.redis.keys(store.keys.sdk("lock", "*door"))
        assert 500 < store.redis.ttl(place) <= 600
        store.redis.pexpire(place, 1)
        wait_until(lambda: not first.is_locked(), what="the end of the lock")
        second.acquire()
    assert second.is_locked()
    assert app.huey.flush_locks("door") >= {"door"}
    assert not app.huey.is_locked("door")


def test_locked_task_does_not_run_twice_at_a_time(tmp_path):
    ledger = str(tmp_path / "ledger")
    results = [app.alone(ledger) for _ in range(3)]
    jobs = [ended(app.huey.store, result.id) for result in results]
    assert any(job.state == JobState.COMPLETED for job in jobs)
    for job in jobs:
        if job.state == JobState.FAILED:
            assert "unable to acquire lock single" in job.failed_reason
    words = [line[1] for line in lines_of(ledger)]
    assert words == ["enter", "leave"] * (len(words) // 2)


def test_rate_limit_holds_in_any_window(tmp_path):
    ledger = tmp_path / "ledger"
    results = [app.limited(str(ledger)) for _ in range(5)]
    for result in results:
        assert ended(app.huey.store, result.id).state == JobState.COMPLETED
    # Each passed some time between these two, however busy the machine.
    asked = sorted(line[2] for line in lines_of(ledger))
    passed = sorted(line[0] for line in lines_of(ledger))
    assert len(passed) == 5
    for first, third in zip(asked, passed[2:], strict=False):
        assert third - first > 0.49
    assert all(app.huey.store.job(r.id).attempts_made == 1 for r in results)


def test_rate_limit_by_hand():
    limit = app.huey.rate_limit("hand", 2, 600)
    limit.acquire()
    limit.acquire()
    with pytest.raises(RateLimitExceeded) as caught:
        limit.acquire()
    assert 0 < caught.value.delay <= 600
    assert limit.current_usage() == 2
    limit.reset()
    limit.acquire()


def own_huey(redis_server, queue_name, **options):
    huey = BullHuey(queue_name, url=redis_server.url, **options)
    order = []
    lock = threading.Lock()

    @huey.task(isolate=False)
    def mark(word):
        with lock:
            order.append(word)

    return huey, mark, order


def test_higher_priority_runs_first(redis_server, queue_name):
    huey, mark, order = own_huey(redis_server, queue_name, priorities=True)
    for word, priority in [("low", -5), ("plain", None), ("high", 9), ("mid", 5)]:
        mark.schedule((word,), delay=0, priority=priority)
    last = mark("plain too")
    assert next(task.kwargs["word"] for task in huey.pending()) == "high"
    consumer = huey.create_consumer(workers=1, periodic=False)
    consumer.start()
    try:
        get(last)
        wait_until(lambda: len(order) == 5)
    finally:
        consumer.stop(graceful=True)
    assert order == ["high", "mid", "plain", "plain too", "low"]


def test_delay_counts_by_the_clock_of_the_server(redis_server, queue_name):
    """The caller's clock is hours behind: the job is due in an hour all the same."""
    huey, mark, _ = own_huey(redis_server, queue_name)
    clock = huey.store.clock
    huey.store.clock = lambda: clock() + 2 * 3_600_000
    for result in (mark.schedule(3600), mark.schedule(delay=timedelta(hours=1))):
        job = huey.store.job(result.id)
        assert job.state is JobState.DELAYED
        assert timedelta(minutes=30) < job.options.delay <= timedelta(hours=1)


def test_listings_and_flush(redis_server, queue_name):
    huey, mark, _ = own_huey(redis_server, queue_name)
    results = [mark("a"), mark("b"), mark.schedule(("c",), delay=3600)]
    assert [task.kwargs["word"] for task in huey.pending()] == ["a", "b"]
    (scheduled,) = huey.scheduled()
    assert scheduled.id == results[2].id
    assert scheduled.eta is not None
    assert (huey.pending_count(), huey.scheduled_count(), len(huey)) == (2, 1, 2)
    consumer = huey.create_consumer(workers=1, periodic=False)
    consumer.start()
    try:
        get(results[1])
        get(results[0])
    finally:
        consumer.stop(graceful=True)
    assert huey.all_results() == {results[0].id: "null", results[1].id: "null"}
    assert huey.result_count() == 2
    huey.flush()
    assert sum(huey.store.counts().values()) == 0


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        (crontab(minute="*/15", hour="3"), "0,15,30,45 3 * * *"),
        (crontab(day_of_week="1-5", minute="0"), "0 * * * 1,2,3,4,5"),
        (crontab(day="1", month="*/6", minute="0", hour="0"), "0 0 1 1,7 *"),
        (crontab(day="13", day_of_week="5"), None),
        (lambda moment: moment.minute == 3, None),
    ],
)
def test_crontab_becomes_a_cron_pattern(rule, pattern):
    assert cron_pattern(rule) == pattern


def test_periodic_tasks_run_once_whatever_the_consumers(redis_server, queue_name):
    huey = BullHuey(queue_name, url=redis_server.url)
    # Stands still: no tick comes by itself.
    huey.store.clock = Clock()
    asked = []

    @huey.periodic_task(crontab(minute="*"), isolate=False)
    def tick():
        return "tock"

    @huey.periodic_task(lambda moment: bool(asked.append(moment)), isolate=False)
    def never():
        return "never"

    schedulers = JobSchedulers(huey.store)
    for _ in range(3):
        assert len(register_periodic(huey, schedulers)) == 2
    found = {item.name: item for item in schedulers.list()}
    assert sorted(found) == ["never", "tick"]
    assert huey.store.counts()[JobState.DELAYED] == 2
    for item in found.values():
        huey.store.redis.zadd(huey.store.keys.delayed, {item.next_run_id: 0})
    consumers = [huey.create_consumer(workers=1, periodic=False) for _ in range(2)]
    for consumer in consumers:
        consumer.start()
    try:
        runs = {
            name: ended(huey.store, item.next_run_id) for name, item in found.items()
        }
    finally:
        for consumer in consumers:
            consumer.stop(graceful=True)
    assert runs["tick"].return_value == "tock"
    assert runs["never"].return_value is None
    assert asked
    counts = huey.store.counts()
    assert (counts[JobState.COMPLETED], counts[JobState.DELAYED]) == (2, 2)


def test_odds_and_ends_behave_as_huey_says(redis_server, queue_name):
    huey, mark, order = own_huey(redis_server, queue_name)
    seen = []

    class Context:
        def __enter__(self):
            seen.append("in")

        def __exit__(self, *_):
            seen.append("out")

    @huey.context_task(Context(), isolate=False)
    def inside():
        seen.append("body")
        return "done"

    @huey.task(retries=2, retry_delay=0.05, retry_backoff=3, isolate=False)
    def failing():
        raise LookupError("again")

    huey.on_startup()(lambda: seen.append("started"))
    huey.on_shutdown(name="bye")(lambda: seen.append("stopped"))
    huey.put("note", {"a": 1})
    assert huey.get("note", peek=True) == {"a": 1}
    assert huey.get("note") == {"a": 1}
    assert huey.get("note") is None
    assert huey.get("wait") is None
    moved = mark.schedule(("moved",), delay=600).reschedule(delay=0)
    consumer = huey.create_consumer(workers=1, periodic=False)
    consumer.start()
    try:
        results = [inside(), moved]
        group_of = huey.enqueue(group([mark.s("x"), mark.s("y")]))
        assert get(results[0]) == "done"
        assert sorted(map(str, group_of.as_completed())) == ["None", "None"]
        job = ended(huey.store, failing().id)
        assert (job.state, job.attempts_made) == (JobState.FAILED, 3)
        get(moved)
    finally:
        consumer.stop(graceful=True)
    wait_until(lambda: "stopped" in seen, what="the end of the slot")
    assert seen == ["started", "in", "body", "out", "stopped"]
    assert sorted(order) == ["moved", "x", "y"]
