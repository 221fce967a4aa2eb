"""Reading jobs as frames from a real server: what comes, in how many round trips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import redis

from myia_sdk.client.query import JobQuery, aware, read_jobs, states_asked
from myia_sdk.errors import ConfigurationError, InvalidJobError
from myia_sdk.frames import jobs_frame
from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.store import JobStore
from myia_sdk.queue.store import hashes as listing

LEASE = timedelta(hours=1)


@pytest.fixture
def store(redis_client: redis.Redis, queue_name: str) -> JobStore:
    return JobStore(redis_client, queue_name)


def add(store: JobStore, count: int, *, labels=None, **options) -> list[str]:
    return store.add_many(
        [
            NewJob(
                name="certify",
                data={"secret": "payload"},
                options=JobOptions(**options),
                labels=labels or {},
            )
            for _ in range(count)
        ]
    )


def finish(store: JobStore, count: int, *, reason: str | None = None, labels=None):
    ids = []
    for i in range(count):
        job = store.claim(f"t{i}", LEASE, "w1").job
        assert job is not None
        if reason is None:
            store.complete(job.id, f"t{i}", {"ok": True}, labels=labels or {})
        else:
            store.fail(job.id, f"t{i}", reason, labels=labels or {})
        ids.append(job.id)
    return ids


class Trips:
    count = 0


@contextmanager
def counted(store: JobStore) -> Iterator[Trips]:
    """Count the writes to the server: what is sent together is one round trip."""
    pool = store.redis.connection_pool
    connection = pool.get_connection()
    pool.release(connection)
    trips, send = Trips(), connection.send_packed_command

    def counting(command, check_health=True):
        trips.count += 1
        return send(command, check_health)

    # The only connection of the store: other threads have others.
    connection.send_packed_command = counting
    try:
        yield trips
    finally:
        del connection.send_packed_command


def test_a_page_of_one_state_is_two_round_trips(store: JobStore) -> None:
    ids = add(store, 300)
    query = JobQuery(states=(JobState.WAITING,))
    with counted(store) as trips:
        frame = read_jobs(store, query, limit=100)
    assert trips.count == 2
    assert list(frame["id"]) == ids[::-1][:100]
    assert frame.attrs["truncated"]


def test_all_states_are_two_round_trips_when_they_fit(store: JobStore) -> None:
    add(store, 20)
    finish(store, 5)
    with counted(store) as trips:
        frame = read_jobs(store, JobQuery())
    assert trips.count == 2
    assert len(frame) == 20
    assert not frame.attrs["truncated"]


def test_the_newest_of_all_states_take_three_round_trips(store: JobStore) -> None:
    ids = add(store, 60)
    done = finish(store, 30)
    with counted(store) as trips:
        frame = read_jobs(store, JobQuery(), limit=40)
    assert trips.count == 3
    newest = sorted(ids, reverse=True)[:40]
    assert set(frame["created_at"]) == set(
        read_jobs(store, JobQuery(ids=tuple(newest)))["created_at"]
    )
    assert frame["created_at"].is_monotonic_decreasing
    assert frame.attrs["truncated"]
    assert set(done) & set(read_jobs(store, JobQuery(), limit=None)["id"]) == set(done)


def test_ids_are_two_round_trips_and_keep_their_order(store: JobStore) -> None:
    ids = add(store, 4)
    add(store, 1, delay=timedelta(hours=1))
    finish(store, 1)
    wanted = (ids[2], "nobody", ids[0], ids[3])
    with counted(store) as trips:
        frame = read_jobs(store, JobQuery(ids=wanted))
    assert trips.count == 2
    assert list(frame["id"]) == [ids[2], ids[0], ids[3]]
    assert list(frame["state"]) == ["waiting", "completed", "waiting"]


def test_every_state_is_told_for_ids(store: JobStore) -> None:
    first = add(store, 3)
    finish(store, 1)
    finish(store, 1, reason="ValueError: no")
    running = store.claim("t", LEASE).job
    assert running is not None
    late = add(store, 1, delay=timedelta(hours=1))
    ranked = add(store, 1, priority=3)
    waiting = add(store, 1)
    ids = (*first, *late, *ranked, *waiting)
    frame = read_jobs(store, JobQuery(ids=ids))
    states = ["completed", "failed", "active", "delayed", "prioritized", "waiting"]
    assert list(frame["state"]) == states
    by_listing = read_jobs(store, JobQuery(), limit=None).set_index("id")["state"]
    assert list(by_listing[list(ids)]) == states


def test_frame_is_the_one_that_records_make(store: JobStore) -> None:
    add(store, 3, labels={"model": "forest", "tags": "a,b"}, priority=2)
    add(store, 2, delay=timedelta(minutes=5), attempts=4)
    finish(store, 1, labels={"verdict": "certified", "score": "88.5", "rating": "B"})
    finish(store, 1, reason="TimeoutError: too slow", labels={"category": "TIMEOUT"})
    frame = read_jobs(store, JobQuery())
    records = jobs_frame([job for job in store.jobs(list(frame["id"])) if job])
    frame.attrs, records.attrs = {}, {}
    pd.testing.assert_frame_equal(frame, records)


def test_only_the_fields_of_the_columns_are_read(
    store: JobStore, redis_client: redis.Redis
) -> None:
    add(store, 1)
    with redis_client.monitor() as monitor:
        read_jobs(store, JobQuery(), columns=["state", "model"])
        redis_client.echo(f"end of {store.queue}")
        asked = []
        for seen in monitor.listen():
            if seen["command"] == f"ECHO end of {store.queue}":
                break
            if seen["command"].startswith("HMGET") and store.queue in seen["command"]:
                asked.append(seen["command"].split()[2:])
    assert asked == [["timestamp", "label:model"]]


def test_payload_and_result_only_come_when_named(store: JobStore) -> None:
    add(store, 1)
    finish(store, 1)
    assert "payload" not in read_jobs(store, JobQuery()).to_csv()
    row = read_jobs(store, JobQuery(), columns=["data", "result"]).iloc[0]
    assert (row["data"], row["result"]) == ('{"secret":"payload"}', '{"ok":true}')


def test_labels_and_words_find_jobs_in_every_state(store: JobStore) -> None:
    add(store, 3, labels={"model": "forest", "region": "eu", "tags": "a,b"})
    add(store, 2, labels={"model": "tree", "submitter": "ana", "batch": "b1"})
    finish(store, 1, labels={"verdict": "certified"})
    finish(store, 1, reason="TimeoutError: the endpoint was slow")

    def found(**wanted) -> int:
        return len(read_jobs(store, JobQuery(**wanted)))

    assert found(model="forest") == 3
    assert found(model="forest", states=(JobState.COMPLETED,)) == 1
    assert found(tag="b", region="eu") == 3
    assert found(tag="b", model="tree") == 0
    assert found(submitter="ana", batch="b1") == 2
    assert found(verdict="certified") == 1
    assert found(text="ENDPOINT slow") == 1
    assert found(text="endpoint fast") == 0


def test_search_respects_limit_and_order(store: JobStore) -> None:
    ids = add(store, 10, labels={"model": "forest"})
    frame = read_jobs(store, JobQuery(model="forest"), limit=4)
    assert frame.attrs["truncated"]
    assert len(frame) == 4
    assert frame["created_at"].is_monotonic_decreasing
    oldest = read_jobs(store, JobQuery(model="forest", newest_first=False), limit=None)
    assert set(oldest["id"]) == set(ids)
    assert not oldest.attrs["truncated"]


def test_filters_apply_to_named_ids_too(store: JobStore) -> None:
    forest = add(store, 2, labels={"model": "forest", "tags": "a,b"})
    tree = add(store, 2, labels={"model": "tree"})
    every = (*forest, *tree)
    assert list(read_jobs(store, JobQuery(ids=every, model="tree"))["id"]) == tree
    assert list(read_jobs(store, JobQuery(ids=every, tag="b"))["id"]) == forest
    assert read_jobs(store, JobQuery(ids=every, tag="a,b")).empty
    assert read_jobs(store, JobQuery(ids=every, text="slow")).empty
    finish(store, 1, reason="TimeoutError: too slow")
    assert list(read_jobs(store, JobQuery(ids=every, text="SLOW too"))["id"]) == [
        forest[0]
    ]
    assert read_jobs(store, JobQuery(ids=every, states=(JobState.ACTIVE,))).empty


def test_times_select_by_creation(redis_client: redis.Redis, queue_name: str) -> None:
    clock = [1_795_456_420_257]
    store = JobStore(redis_client, queue_name, clock=lambda: clock[0])
    moments = []
    for _ in range(6):
        add(store, 1)
        moments.append(datetime.fromtimestamp(clock[0] / 1000, UTC))
        clock[0] += 600_000
    finish(store, 4)
    middle = JobQuery(since=moments[1], until=moments[4])
    frame = read_jobs(store, middle)
    assert list(frame["created_at"]) == [pd.Timestamp(m) for m in moments[3:0:-1]]
    oldest = read_jobs(store, JobQuery(since=moments[1], newest_first=False), limit=2)
    assert list(oldest["created_at"]) == [pd.Timestamp(m) for m in moments[1:3]]
    assert oldest.attrs["truncated"]
    done = JobQuery(states=(JobState.COMPLETED,), since=moments[3])
    assert len(read_jobs(store, done)) == 1


def test_many_pages_come_complete_and_in_order(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "IDS_AT_ONCE", 7)
    monkeypatch.setattr(listing, "JOBS_AT_ONCE", 5)
    ids = add(store, 40)
    finish(store, 15)
    waiting = JobQuery(states=(JobState.WAITING,))
    assert list(read_jobs(store, waiting, limit=None)["id"]) == ids[:14:-1]
    assert list(read_jobs(store, waiting, limit=20)["id"]) == ids[:19:-1]
    oldest = JobQuery(states=(JobState.WAITING,), newest_first=False)
    assert list(read_jobs(store, oldest, limit=None)["id"]) == ids[15:]
    done = JobQuery(states=(JobState.COMPLETED,), newest_first=False)
    assert list(read_jobs(store, done, limit=None)["id"]) == ids[:15]
    assert set(read_jobs(store, JobQuery(), limit=None)["id"]) == set(ids)
    assert len(read_jobs(store, JobQuery(ids=tuple(ids)))) == 40


def test_paused_jobs_of_an_old_client_are_waiting(store: JobStore) -> None:
    ids = add(store, 3)
    store.redis.rename(store.keys.wait, store.keys.paused)
    later = add(store, 2)
    frame = read_jobs(store, JobQuery(states=(JobState.WAITING,)))
    assert list(frame["id"]) == [*later[::-1], *ids[::-1]]
    assert set(frame["state"]) == {"waiting"}


def test_ids_without_a_job_and_old_markers_are_left_out(store: JobStore) -> None:
    ids = add(store, 2)
    store.redis.lpush(store.keys.wait, "gone", "0:1795456420257")
    assert list(read_jobs(store, JobQuery())["id"]) == ids[::-1]


def test_hashes_that_make_no_sense_are_shown_as_such(store: JobStore) -> None:
    ids = add(store, 2)
    key = store.keys.job(ids[0])
    store.redis.hset(key, mapping={"opts": "{", "atm": "x", "progress": "NaN"})
    store.redis.hdel(key, "timestamp")
    frame = read_jobs(store, JobQuery()).set_index("id")
    assert frame.loc[ids[0], "malformed"]
    assert frame.loc[ids[0], "created_at"] is pd.NaT
    assert not frame.loc[ids[1], "malformed"]


def test_an_empty_queue_gives_an_empty_typed_frame(store: JobStore) -> None:
    for query in (
        JobQuery(),
        JobQuery(ids=()),
        JobQuery(model="x"),
        JobQuery(text="x"),
    ):
        frame = read_jobs(store, query)
        assert frame.dtypes.equals(jobs_frame([]).dtypes)
        assert frame.empty


def test_progress_bar_counts_what_was_read(
    store: JobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add(store, 3)
    read_jobs(store, JobQuery())
    assert capsys.readouterr().err == ""
    read_jobs(store, JobQuery(), progress=True)
    assert "Reading jobs" in capsys.readouterr().err


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(store: JobStore, limit: int) -> None:
    with pytest.raises(InvalidJobError, match=f"limit is {limit}"):
        read_jobs(store, JobQuery(), limit=limit)


def test_unknown_column_is_refused_before_jobs_are_read(store: JobStore) -> None:
    add(store, 1)
    with pytest.raises(ConfigurationError, match="no column 'nope'"):
        read_jobs(store, JobQuery(), columns=["nope"])


def test_states_are_checked() -> None:
    assert states_asked("failed") == (JobState.FAILED,)
    assert states_asked(["active", JobState.ACTIVE]) == (JobState.ACTIVE,)
    assert set(states_asked(None)) == set(JobState)
    with pytest.raises(ConfigurationError, match="'done' is not a state"):
        states_asked("done")


@pytest.mark.parametrize("moment", ["2026-01-31", "soon", datetime(2026, 1, 1)])  # noqa: DTZ001
def test_times_need_a_zone(moment) -> None:
    with pytest.raises(ConfigurationError, match="since is"):
        aware(moment, "since")


def test_times_may_be_text_or_of_any_zone() -> None:
    expected = datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert aware("2026-01-31T12:00+01:00", "since") == expected
    assert aware(pd.Timestamp(expected), "since") == expected
    assert aware(None, "since") is None
