"""Job schedulers: one run a tick, whoever asks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.errors import ConfigurationError, InvalidJobError
from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.store import JobSchedulers, JobStore

LEASE = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
START = 1_800_000_000_000


class Clock:
    """Milliseconds that the test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(redis_client, queue_name, clock):
    return JobStore(redis_client, queue_name, clock=clock)


@pytest.fixture
def schedulers(store):
    return JobSchedulers(store)


@pytest.fixture
def run_due(store, schedulers):
    """Claim what is due as a worker does; return the runs."""

    def run_due(advance=True):
        runs = []
        while (job := store.claim(f"myia:{len(runs)}", LEASE).job) is not None:
            if advance:
                schedulers.advance(job)
            store.complete(job.id, f"myia:{len(runs)}", None)
            runs.append(job)
        return runs

    return run_due


def template(**over):
    return NewJob(**{"name": "report", "data": {"x": 1}, **over})


def test_every_runs_now_and_then_once_a_tick(schedulers, run_due, clock):
    scheduler = schedulers.upsert("s", every=MINUTE, template=template())
    assert scheduler.next_run_at == datetime.fromtimestamp(START / 1000, UTC)
    ids = [job.id for job in run_due()]
    for _ in range(3):
        clock.now += 60_000
        ids += [job.id for job in run_due()]
    assert ids == [f"repeat:s:{START + n * 60_000}" for n in range(4)]
    assert schedulers.get("s").iterations == 5


def test_a_run_is_an_ordinary_job_with_the_template(schedulers, store, run_due):
    schedulers.upsert(
        "s",
        every=MINUTE,
        template=template(
            labels={"model": "m"},
            fields={"timeout": "500"},
            options=JobOptions(attempts=3, priority=4),
        ),
    )
    (first,) = run_due()
    following = store.job(schedulers.get("s").next_run_id)
    for job in (first, following):
        assert job.name == "report"
        assert job.data == {"x": 1}
        assert job.priority == 4
        assert job.max_attempts == 3
        assert job.labels["model"] == "m"
        assert job.fields["timeout"] == "500"
        assert job.scheduler_id == "s"
    assert following.state is JobState.DELAYED


def test_missed_ticks_are_caught_up_with_one_run(schedulers, run_due, clock):
    schedulers.upsert("s", every=MINUTE, template=template())
    run_due()
    clock.now += 10 * 60_000 + 5_000
    late = run_due()
    assert [job.id for job in late] == [f"repeat:s:{START + 60_000}"]
    assert schedulers.get("s").next_run_id == f"repeat:s:{START + 11 * 60_000}"


def test_a_pattern_follows_its_time_zone(schedulers, clock, run_due):
    scheduler = schedulers.upsert(
        "s", pattern="0 9 * * *", tz="Europe/Paris", template=template()
    )
    assert scheduler.next_run_at == datetime(2027, 1, 15, 8, tzinfo=UTC) + timedelta(
        days=1
    )
    clock.now = round(scheduler.next_run_at.timestamp() * 1000)
    assert len(run_due()) == 1
    assert schedulers.get("s").next_run_at - scheduler.next_run_at == timedelta(days=1)


def test_advance_makes_the_next_run_only_once(schedulers, store):
    schedulers.upsert("s", every=MINUTE, template=template())
    job = store.claim("myia:1", LEASE).job
    assert schedulers.advance(job) == f"repeat:s:{START + 60_000}"
    assert schedulers.advance(job) is None
    assert store.counts()[JobState.DELAYED] == 1
    assert store.redis.hget(store.keys.job(job.id), "nrjid").endswith(
        str(START + 60_000)
    )


def test_a_run_that_comes_back_after_a_crash_still_advances(schedulers, store, run_due):
    schedulers.upsert("s", every=MINUTE, template=template())
    job = store.claim("myia:1", LEASE).job
    store.put_back(job.id, "myia:1")
    assert [one.id for one in run_due()] == [job.id]
    assert store.counts()[JobState.DELAYED] == 1


def test_an_unchanged_upsert_keeps_a_tick_that_is_just_due(
    schedulers, store, clock, run_due
):
    scheduler = schedulers.upsert("s", pattern="* * * * *", template=template())
    clock.now = round(scheduler.next_run_at.timestamp() * 1000) + 5
    again = schedulers.upsert("s", pattern="* * * * *", template=template(data={}))
    assert again.next_run_at == scheduler.next_run_at
    (job,) = run_due()
    assert job.id == scheduler.next_run_id
    assert job.data == {}


def test_upsert_while_a_run_is_active_goes_on_from_it(
    schedulers, store, run_due, clock
):
    schedulers.upsert("s", every=MINUTE, template=template())
    job = store.claim("myia:1", LEASE).job
    again = schedulers.upsert("s", every=MINUTE, template=template())
    assert again.next_run_id == f"repeat:s:{START + 60_000}"
    assert schedulers.advance(job) is None
    assert store.counts()[JobState.DELAYED] == 1


def test_a_changed_timetable_replaces_the_pending_run(schedulers, store):
    first = schedulers.upsert(
        "s", every=MINUTE, offset=timedelta(seconds=7), template=template()
    )
    second = schedulers.upsert("s", pattern="0 0 1 1 *", template=template())
    assert store.job(first.next_run_id) is None
    assert store.state(second.next_run_id) is JobState.DELAYED
    assert second.timetable.every is None
    assert len(store.page(JobState.DELAYED)) == 1


def test_limit_ends_the_schedule(schedulers, clock, run_due):
    schedulers.upsert("s", every=MINUTE, limit=2, template=template())
    runs = run_due()
    for _ in range(4):
        clock.now += 60_000
        runs += run_due()
    assert len(runs) == 2


def test_end_ends_the_schedule_and_a_past_end_is_refused(schedulers, clock, run_due):
    end = datetime.fromtimestamp(START / 1000 + 90, UTC)
    schedulers.upsert("s", every=MINUTE, end_at=end, template=template())
    runs = run_due()
    for _ in range(4):
        clock.now += 60_000
        runs += run_due()
    assert len(runs) == 3
    with pytest.raises(ConfigurationError, match="end lies in the past"):
        schedulers.upsert("t", every=MINUTE, end_at=end, template=template())


def test_start_delays_the_first_run(schedulers, store):
    start = datetime.fromtimestamp(START / 1000 + 3600, UTC)
    scheduler = schedulers.upsert(
        "s", every=MINUTE, start_at=start, template=template()
    )
    assert scheduler.next_run_at == start
    assert store.state(scheduler.next_run_id) is JobState.DELAYED


def test_remove_ends_the_schedule(schedulers, store, run_due):
    scheduler = schedulers.upsert("s", pattern="0 0 * * *", template=template())
    assert schedulers.remove("s")
    assert not schedulers.remove("s")
    assert schedulers.get("s") is None
    assert store.job(scheduler.next_run_id) is None
    schedulers.upsert("now", every=MINUTE, template=template())
    job = store.claim("myia:1", LEASE).job
    schedulers.remove("now")
    assert schedulers.advance(job) is None
    assert store.counts()[JobState.DELAYED] == 0


def test_list_is_in_order_of_the_next_run(schedulers, store, caplog):
    schedulers.upsert("year", pattern="0 0 1 1 *", template=template())
    schedulers.upsert("day", pattern="0 0 * * *", template=template())
    store.redis.zadd(store.keys.repeat, {"broken": 1})
    found = schedulers.list()
    assert [one.id for one in found] == ["day", "year"]
    assert found[0].timetable.pattern == "0 0 * * *"
    assert found[0].data == {"x": 1}
    assert "broken is malformed" in caplog.text


def test_a_finished_run_in_the_way_moves_the_tick_on(schedulers, store, run_due):
    schedulers.upsert("s", every=MINUTE, template=template())
    run_due()
    schedulers.remove("s")
    taken = store.keys.job(f"repeat:s:{START}")
    assert store.redis.exists(taken)
    again = schedulers.upsert("s", every=MINUTE, template=template())
    assert again.next_run_id == f"repeat:s:{START + 60_000}"


def test_a_paused_queue_keeps_the_run_and_loses_nothing(schedulers, store, run_due):
    store.redis.hset(store.keys.meta, "paused", 1)
    schedulers.upsert("s", every=MINUTE, template=template())
    assert store.redis.llen(store.keys.paused) == 1
    schedulers.upsert("s", every=MINUTE, template=template())
    assert store.redis.llen(store.keys.paused) == 1
    assert run_due() == []


@pytest.mark.parametrize("scheduler_id", ["", "  ", "a:b:c:d:e"])
def test_bad_scheduler_ids_are_refused(schedulers, scheduler_id):
    with pytest.raises((ConfigurationError, InvalidJobError)):
        schedulers.upsert(scheduler_id, every=MINUTE, template=template())


def test_a_schedule_that_cannot_go_on_does_not_stop_the_worker(
    schedulers, store, run_due, caplog
):
    schedulers.upsert("s", every=MINUTE, template=template())
    store.redis.hset(store.keys.scheduler("s"), "every", "soon")
    assert len(run_due()) == 1
    assert "cannot go on" in caplog.text


def test_many_upserts_at_once_make_one_run(redis_server, queue_name):
    """Every consumer of a fleet upserts its schedules when it starts."""
    clients = [redis_server.client() for _ in range(6)]
    stores = [JobStore(client, queue_name) for client in clients]
    start = threading.Barrier(len(stores))

    def upsert(store):
        start.wait()
        for _ in range(5):
            JobSchedulers(store).upsert("s", every=MINUTE, template=template())

    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(upsert, stores))
    counts = stores[0].counts()
    assert counts[JobState.WAITING] + counts[JobState.DELAYED] == 1
    for client in clients:
        client.close()
