"""Producing: what one `add` leaves in Redis, line by line of BullMQ's layout."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from myia_sdk.errors import DuplicateJobError, InvalidJobError, PayloadTooLargeError
from myia_sdk.queue.jobs import (
    Backoff,
    Deduplication,
    JobOptions,
    JobState,
    NewJob,
    Retention,
)
from myia_sdk.queue.store import JobStore
from tests.helpers.queue_probe import (
    LEASE,
    Clock,
    all_keys,
    claimed,
    events,
    hash_of,
    names,
    new_job,
    wake_up,
)


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name, clock=Clock())


def test_plain_job_has_bullmqs_hash_events_and_wake_up(store):
    first, second = store.add(new_job()), store.add(new_job({"n": 2}))
    assert store.redis.lrange(store.keys.wait, 0, -1) == [second, first]
    assert hash_of(store, second) == {
        "name": "certify",
        "data": '{"n":2}',
        "opts": "{}",
        "timestamp": str(store.clock()),
        "delay": "0",
        "priority": "0",
    }
    assert events(store)[:2] == [
        {"event": "added", "jobId": first, "name": "certify"},
        {"event": "waiting", "jobId": first},
    ]
    assert wake_up(store) == {"0": 0}
    assert store.redis.get(store.keys.base + "id") == "2"
    assert store.redis.hget(store.keys.meta, "opts.maxLenEvents") == "10000"


def test_second_add_of_a_chosen_id_changes_nothing_but_counter_and_events(store):
    store.add(new_job(job_id="mine"))
    assert store.add(new_job({"other": 1}, job_id="mine")) == "mine"
    assert hash_of(store, "mine")["data"] == '{"model":"a"}'
    assert store.redis.get(store.keys.base + "id") == "2"
    assert events(store)[-1] == {"event": "duplicated", "jobId": "mine"}
    assert store.counts()[JobState.WAITING] == 1


def test_chosen_id_is_in_the_options_where_bullmq_looks_for_it(store):
    store.add(new_job(job_id="a:b:c"))
    assert json.loads(hash_of(store, "a:b:c")["opts"])["jobId"] == "a:b:c"


def test_resent_add_makes_one_job_and_no_duplicate_event(store):
    arguments = store._add_arguments(new_job(), must_be_new=False)
    assert store.run("add", *arguments)[1] == "added"
    assert store.run("add", *arguments)[1] == "resent"
    assert store.counts()[JobState.WAITING] == 1
    assert "duplicated" not in names(store)


def test_resent_add_of_a_chosen_id_is_not_reported_as_duplicate(store):
    job = new_job(job_id="mine")
    arguments = store._add_arguments(job, must_be_new=True)
    assert [store.run("add", *arguments)[1] for _ in range(2)] == ["added", "resent"]
    with pytest.raises(DuplicateJobError, match="'mine' exists already"):
        store.add(job, must_be_new=True)


def test_delayed_job_waits_under_its_due_time(store):
    job_id = store.add(new_job(delay=timedelta(milliseconds=400)))
    due = store.clock() + 400
    score = store.redis.zscore(store.keys.delayed, job_id)
    assert due * 4096 <= score <= due * 4096 + 4095
    assert hash_of(store, job_id)["delay"] == "400"
    assert events(store)[-1] == {"event": "delayed", "jobId": job_id, "delay": str(due)}
    assert wake_up(store) == {"1": due}


def test_jobs_due_in_the_same_millisecond_keep_their_order(store):
    ids = [store.add(new_job(delay=timedelta(seconds=1))) for _ in range(5)]
    assert store.redis.zrange(store.keys.delayed, 0, -1) == ids


def test_priorities_run_after_waiting_ones_lowest_number_first(store):
    fives = [store.add(new_job(priority=5)) for _ in range(2)]
    one = store.add(new_job(priority=1))
    plain = store.add(new_job())
    scores = [store.redis.zscore(store.keys.prioritized, one) for one in fives]
    assert scores == [5 * 2**32 + 1, 5 * 2**32 + 2]
    assert [claimed(store) for _ in range(4)] == [plain, one, *fives]


def test_lifo_job_is_the_next(store):
    store.add(new_job())
    last = store.add(new_job(lifo=True))
    assert claimed(store) == last


def test_bulk_add_keeps_call_order_and_mixes_kinds(store):
    ids = store.add_many(
        [new_job(), new_job(job_id="own"), new_job(delay=timedelta(1)), new_job()]
    )
    assert ids[1] == "own"
    assert [claimed(store) for _ in range(3)] == [ids[0], "own", ids[3]]
    assert store.state(ids[2]) is JobState.DELAYED
    assert store.add_many([]) == []


def test_bulk_add_is_one_round_trip(own_redis_server, queue_name):
    with own_redis_server.client() as client:
        store = JobStore(client, queue_name, clock=Clock())
        store.add(new_job())
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        reads = client.info("stats")["total_reads_processed"]
        store.add_many([new_job() for _ in range(200)])
        after = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert after - before >= 200
        # One round trip a job would be 200 reads; a batch comes in pieces of 6 kB.
        assert client.info("stats")["total_reads_processed"] - reads < 100


def test_bulk_add_with_one_bad_job_sends_none(store):
    with pytest.raises(InvalidJobError, match=r"\$\.rate"):
        store.add_many([new_job(), new_job({"rate": float("nan")})])
    assert all_keys(store) == set()


def test_options_reach_redis_under_bullmqs_short_names(store):
    job_id = store.add(
        new_job(
            attempts=3,
            backoff=Backoff(type="exponential", delay=timedelta(seconds=2), jitter=0.5),
            keep_logs=20,
            remove_on_complete=Retention(age=timedelta(hours=1), count=100),
            remove_on_fail=Retention(count=0),
            stack_trace_limit=2,
        )
    )
    assert json.loads(hash_of(store, job_id)["opts"]) == {
        "attempts": 3,
        "backoff": {"type": "exponential", "delay": 2000, "jitter": 0.5},
        "kl": 20,
        "removeOnComplete": {"age": 3600, "count": 100},
        "removeOnFail": 0,
        "stackTraceLimit": 2,
    }
    assert store.job(job_id).options.backoff.jitter == 0.5


def test_labels_and_private_fields_are_flat_hash_fields(store):
    job_id = store.add(
        NewJob(
            name="certify",
            labels={"model": "credit", "tags": "eu,nightly"},
            fields={"timeout": "5000"},
        )
    )
    raw = hash_of(store, job_id)
    assert raw["label:model"] == "credit"
    assert raw["timeout"] == "5000"
    job = store.job(job_id)
    assert job.labels == {"model": "credit", "tags": "eu,nightly"}
    assert job.fields == {"timeout": "5000"}


@pytest.mark.parametrize(
    "job_id",
    [
        "wait",
        "meta",
        "id",
        "stalled-check",
        "0",
        "12",
        "-3",
        "0:a:b",
        "a:b",
        "a:b:c:d",
        "",
        "  ",
        "a\nb",
        "x" * 201,
        "repeat:a:b",
        "de:a:b",
        "\ud800",
    ],
)
def test_reserved_or_malformed_id_is_refused_and_nothing_enqueued(store, job_id):
    with pytest.raises(InvalidJobError, match="cannot be a job id"):
        store.add(new_job(job_id=job_id))
    assert all_keys(store) == set()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"delay": timedelta(milliseconds=-1)}, "delay"),
        ({"delay": timedelta(days=9999)}, "delay"),
        ({"priority": -1}, "priority"),
        ({"priority": 2_097_152}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"attempts": -1}, "attempts"),
        ({"keep_logs": -1}, "keep_logs"),
    ],
)
def test_option_out_of_range_is_refused_by_name(options, what):
    with pytest.raises(InvalidJobError, match=what):
        JobOptions(**options)


def test_payload_over_the_limit_is_refused_with_both_sizes(redis_client, queue_name):
    store = JobStore(redis_client, queue_name, payload_limit=100)
    store.add(new_job("é" * 49))
    with pytest.raises(PayloadTooLargeError, match=r"102 bytes.*limit of 100"):
        store.add(new_job("é" * 50))
    assert store.counts()[JobState.WAITING] == 1


def test_child_is_registered_with_its_parent(store):
    parent = store.add(new_job(job_id="parent"))
    key = store.keys.job(parent)
    child = store.add(NewJob(name="part", parent_key=key))
    assert store.redis.smembers(f"{key}:dependencies") == {store.keys.job(child)}
    assert json.loads(hash_of(store, child)["parent"]) == {
        "id": "parent",
        "queueKey": f"myia:{store.queue}",
    }


def test_child_of_a_missing_parent_is_refused(store):
    job = NewJob(name="part", parent_key=store.keys.job("nobody"))
    with pytest.raises(InvalidJobError, match=r"parent .* does not exist"):
        store.add(job)
    assert all_keys(store) == set()


def test_completed_job_added_again_under_a_parent_hands_over_its_value(store):
    child = store.add(new_job(job_id="child"))
    claimed(store)
    store.complete(child, "token", {"score": 1})
    key = store.keys.job(store.add(new_job(job_id="parent")))
    options = JobOptions(job_id="child")
    store.add(NewJob(name="certify", options=options, parent_key=key))
    processed = store.redis.hgetall(f"{key}:processed")
    assert processed == {store.keys.job("child"): '{"score":1}'}
    other = store.keys.job(store.add(new_job(job_id="other")))
    with pytest.raises(InvalidJobError, match="another parent"):
        store.add(NewJob(name="certify", options=options, parent_key=other))


def once(**options: object) -> JobOptions:
    return JobOptions(deduplication=Deduplication(id="d", **options))


def add_once(store: JobStore, **options: object) -> str:
    return store.add(NewJob(name="certify", options=once(**options)))


def test_duplicate_returns_the_job_that_holds_the_id(store):
    first = add_once(store)
    assert add_once(store) == first
    assert store.counts()[JobState.WAITING] == 1
    assert names(store)[-2:] == ["debounced", "deduplicated"]
    assert events(store)[-1]["jobId"] == first
    assert store.job(first).deduplication_id == "d"


def test_end_of_the_job_frees_its_deduplication_id(store):
    first = add_once(store)
    claimed(store)
    store.complete(first, "token", None)
    assert not store.redis.exists(store.keys.deduplication("d"))
    assert add_once(store) != first


def test_deduplication_with_ttl_outlives_the_job(store):
    first = add_once(store, ttl=timedelta(minutes=10))
    claimed(store)
    store.complete(first, "token", None)
    assert add_once(store, ttl=timedelta(minutes=10)) == first
    assert 0 < store.redis.pttl(store.keys.deduplication("d")) <= 600_000


def test_extending_duplicate_starts_the_ttl_anew(store):
    first = add_once(store, ttl=timedelta(minutes=10))
    store.redis.pexpire(store.keys.deduplication("d"), 60_000)
    assert add_once(store, ttl=timedelta(minutes=10), extend=True) == first
    assert store.redis.pttl(store.keys.deduplication("d")) > 60_000


def test_replacing_duplicate_takes_the_place_of_a_delayed_job(store):
    waiting = once(replace=True, ttl=timedelta(minutes=10))
    job = NewJob(
        name="certify",
        options=JobOptions(
            delay=timedelta(seconds=9), deduplication=waiting.deduplication
        ),
    )
    first, second = store.add(job), store.add(job)
    assert first != second
    assert store.job(first) is None
    assert store.redis.get(store.keys.deduplication("d")) == second
    assert store.counts()[JobState.DELAYED] == 1
    assert names(store)[2:5] == ["removed", "debounced", "deduplicated"]


def test_last_duplicate_of_a_running_job_runs_after_it(store):
    first = add_once(store, keep_last_if_active=True)
    claimed(store)
    for n in range(2):
        job = NewJob(
            name="certify", data={"n": n}, options=once(keep_last_if_active=True)
        )
        assert store.add(job) == first
    store.complete(first, "token", None)
    job = store.claim("t", LEASE).job
    assert job is not None
    assert job.data == {"n": 1}
    store.complete(job.id, "t", None)
    assert not store.redis.exists(store.keys.deduplication("d"))


def test_deduplication_id_whose_job_vanished_is_free(store):
    first = add_once(store)
    store.redis.delete(store.keys.job(first))
    assert add_once(store) != first


def test_paused_queue_takes_new_jobs_without_waking_anyone(store):
    store.redis.hset(store.keys.meta, "paused", 1)
    job_id = store.add(new_job())
    assert store.redis.lrange(store.keys.paused, 0, -1) == [job_id]
    assert store.state(job_id) is JobState.WAITING
    assert store.is_paused()
    assert wake_up(store) == {}
    assert store.claim("t", LEASE).job is None


def test_queue_and_prefix_names_that_break_keys_are_refused(redis_client):
    for queue, prefix in [("a:b", "myia"), ("", "myia"), ("sdk", "myia"), ("q", " ")]:
        with pytest.raises(ValueError, match=r"queue|prefix"):
            JobStore(redis_client, queue, prefix)
