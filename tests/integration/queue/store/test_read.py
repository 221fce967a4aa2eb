"""Reading: counts, pages, one job, states, and what malformed data does to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.errors import InvalidJobError, QueueError
from myia_sdk.queue.jobs import JobState, NewJob
from myia_sdk.queue.store import EventReader, JobStore
from myia_sdk.queue.wire import ConnectionOptions, connect
from tests.helpers.queue_probe import LEASE, Clock, claimed, new_job


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name, clock=Clock())


def test_counts_name_every_state_also_of_an_empty_queue(store):
    assert store.counts() == dict.fromkeys(JobState, 0)
    store.add_many([new_job(), new_job(), new_job(priority=1)])
    store.add(new_job(delay=LEASE))
    done = claimed(store)
    store.complete(done, "token", None)
    claimed(store)
    assert store.counts() == {
        **dict.fromkeys(JobState, 0),
        JobState.ACTIVE: 1,
        JobState.COMPLETED: 1,
        JobState.DELAYED: 1,
        JobState.PRIORITIZED: 1,
    }


def test_jobs_of_a_paused_queue_count_and_list_as_waiting(store):
    old = store.add(new_job())
    store.redis.rename(store.keys.wait, store.keys.paused)
    assert store.counts()[JobState.WAITING] == 1
    assert store.state(old) is JobState.WAITING
    assert [job.id for job in store.page(JobState.WAITING)] == [old]


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_walk_wait_and_paused_as_one_line(store, newest_first):
    first = store.add_many([new_job() for _ in range(7)])
    store.redis.rename(store.keys.wait, store.keys.paused)
    line = [*first, *store.add_many([new_job() for _ in range(6)])]
    expected = line[::-1] if newest_first else line
    for size in (1, 3, 5, 20):
        pages = [
            job.id
            for start in range(0, 15, size)
            for job in store.page(
                JobState.WAITING, start, start + size - 1, newest_first=newest_first
            )
        ]
        assert pages == expected


def test_pages_of_every_state_have_the_asked_order(store):
    ids = store.add_many([new_job(priority=n) for n in (1, 2, 3)])
    assert [j.id for j in store.page(JobState.PRIORITIZED, newest_first=False)] == ids
    assert [j.id for j in store.page(JobState.PRIORITIZED)] == ids[::-1]
    assert [claimed(store) for _ in ids] == ids
    assert [j.id for j in store.page(JobState.ACTIVE)] == ids[::-1]
    assert [j.id for j in store.page(JobState.ACTIVE, 1, 1)] == [ids[1]]
    for job_id in ids:
        store.clock.advance(1)
        store.complete(job_id, "token", None)
    assert [j.id for j in store.page(JobState.COMPLETED, 0, 1)] == ids[:0:-1]
    assert store.page(JobState.COMPLETED, 5, 9) == []


def test_listing_leaves_out_payload_and_result_unless_asked(store):
    job_id = store.add(NewJob(name="certify", data={"big": 1}, labels={"model": "m"}))
    (listed,) = store.page(JobState.WAITING)
    assert listed.data is None
    assert listed.labels == {"model": "m"}
    assert listed.created_at == datetime.fromtimestamp(store.clock() / 1000, UTC)
    (full,) = store.page(JobState.WAITING, fields=["data", "label:model"])
    assert full.data == {"big": 1}
    assert (full.id, full.labels, full.priority) == (job_id, {"model": "m"}, 0)
    with pytest.raises(InvalidJobError, match="'status' is not an attribute"):
        store.page(JobState.WAITING, fields=["status"])


def test_several_jobs_keep_the_order_asked_and_carry_their_states(store):
    waiting, delayed = store.add(new_job()), store.add(new_job(delay=LEASE))
    jobs = store.jobs([delayed, "nobody", waiting])
    assert [job and job.state for job in jobs] == [
        JobState.DELAYED,
        None,
        JobState.WAITING,
    ]
    assert store.jobs([waiting], fields=["name"])[0].state is None
    assert store.jobs([]) == []


def test_unknown_job_is_none_and_key_names_are_no_jobs(store):
    store.add(new_job())
    assert store.job("nobody") is None
    assert store.state("nobody") is None
    for name in ("wait", "meta", "events", ""):
        with pytest.raises(InvalidJobError):
            store.job(name)


def test_job_in_no_state_is_told_from_a_waiting_one(store):
    job_id = store.add(new_job())
    store.redis.delete(store.keys.wait)
    assert store.job(job_id).state is None


def test_job_deep_in_a_long_line_is_waiting(store):
    ids = [f"job-{n}" for n in range(5_000)]
    store.redis.lpush(store.keys.wait, *ids)
    store.redis.hset(store.keys.job(ids[2500]), "name", "certify")
    assert store.state(ids[2500]) is JobState.WAITING


MALFORMED = {
    "data": "{",
    "opts": "[1]",
    "timestamp": "yesterday",
    "delay": "-",
    "priority": "NaN",
    "processedOn": "1e400",
    "finishedOn": "99999999999999999999",
    "ats": "many",
    "progress": "NaN",
    "returnvalue": "undefined",
    "stacktrace": '{"a":',
}


def test_malformed_hash_is_listed_with_its_bad_fields_named(store):
    job_id = store.add(new_job())
    store.redis.hset(store.keys.job(job_id), mapping=MALFORMED)
    job = store.job(job_id)
    assert set(job.malformed) == set(MALFORMED)
    assert job.state is JobState.WAITING
    (listed,) = store.page(JobState.WAITING)
    assert "opts" in listed.malformed
    claim = store.claim("t", LEASE)
    assert claim.job.id == job_id
    store.fail(job_id, "t", "malformed")
    assert store.state(job_id) is JobState.FAILED


def test_foreign_bytes_are_shown_not_raised(redis_server, queue_name):
    client = connect(ConnectionOptions(url=redis_server.url))
    store = JobStore(client, queue_name)
    job_id = store.add(new_job())
    store.redis.hset(store.keys.job(job_id), "name", b"caf\xe9")
    store.redis.rpush(store.keys.wait, b"\xff\xfe")
    assert store.claim("t", LEASE).job.name == "caf\ufffd"
    client.close()


def test_wrong_type_of_a_key_is_an_error_that_says_what_to_do(store):
    store.redis.set(store.keys.wait, "text")
    for call in (store.counts, lambda: store.add(new_job())):
        with pytest.raises(QueueError, match=r"WRONGTYPE.*another queue name"):
            call()


def test_broken_events_stream_does_not_stop_the_queue(store):
    store.redis.set(store.keys.events, "text")
    job_id = store.add(new_job())
    assert claimed(store) == job_id
    store.complete(job_id, "token", None)
    assert store.state(job_id) is JobState.COMPLETED


class TestEventReader:
    def test_pinned_reader_sees_all_that_follows_in_order(self, store):
        store.add(new_job())
        reader = EventReader(store.redis, store.keys)
        reader.pin()
        assert reader.read(block=None) == []
        job_id = store.add(new_job())
        seen = reader.read()
        assert [(e.name, e.job_id) for e in seen] == [
            ("added", job_id),
            ("waiting", job_id),
        ]
        assert seen[0].fields == {"name": "certify"}
        assert abs(seen[0].at - datetime.now(UTC)) < timedelta(minutes=5)
        assert reader.read(block=timedelta(milliseconds=1)) == []
        assert not reader.has_gap

    def test_reader_of_a_queue_without_events_misses_nothing(self, store):
        reader = EventReader(store.redis, store.keys)
        reader.pin()
        store.add(new_job())
        assert len(reader.read()) == 2
        assert not reader.has_gap

    def test_reader_left_behind_by_trimming_is_told_so(self, store):
        store.add(new_job())
        reader = EventReader(store.redis, store.keys)
        reader.pin()
        store.add_many([new_job() for _ in range(5)])
        store.redis.xtrim(store.keys.events, maxlen=2, approximate=False)
        assert len(reader.read()) == 2
        assert reader.has_gap
        store.add(new_job())
        assert len(reader.read()) == 2
        assert not reader.has_gap

    def test_reader_survives_the_deletion_of_the_stream(self, store):
        store.add(new_job())
        reader = EventReader(store.redis, store.keys)
        reader.pin()
        store.redis.delete(store.keys.events)
        assert reader.read(block=None) == []
        assert reader.has_gap
        store.add(new_job())
        assert len(reader.read()) == 2

    def test_stopped_reader_returns_at_once(self, store):
        reader = EventReader(store.redis, store.keys, last_id="0")
        store.add(new_job())
        assert len(reader.read(block=None)) == 2
        reader.stop()
        assert reader.is_stopped
        assert reader.read() == []
