"""Search: exact labels, time, words of the reason; healed where others wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.jobs import JobOptions, JobState, NewJob, Retention
from myia_sdk.queue.store import JobStore, QueueAdministration
from tests.helpers.queue_probe import Clock, claimed, new_job


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name, clock=Clock())


def add(store, **labels):
    store.clock.advance(1000)
    return store.add(NewJob(name="certify", labels=labels))


def ids(jobs):
    return [job.id for job in jobs]


def fail(store, reason, **labels):
    job_id = add(store, **labels)
    assert claimed(store) == job_id
    store.fail(job_id, "token", reason)
    return job_id


def index_entries(store):
    keys = list(store.redis.scan_iter(store.keys.sdk("index", "*"), count=10_000))
    return {key: store.redis.zcard(key) for key in keys}


def test_labels_are_matched_exactly_and_together(store):
    first = add(store, model="credit", suite="base", region="eu")
    second = add(store, model="credit", suite="chat", region="eu")
    add(store, model="credit2", suite="base")
    assert ids(store.find({"model": "credit"})) == [second, first]
    assert ids(store.find({"model": "credit", "suite": "base"})) == [first]
    assert store.find({"model": "credit", "region": "us"}) == []
    assert store.find({"nonsense": "x"}) == []
    (job,) = store.find({"suite": "chat"})
    assert job.labels == {"model": "credit", "suite": "chat", "region": "eu"}
    assert job.state is JobState.WAITING


def test_each_tag_is_found_by_itself_and_several_narrow(store):
    both, one = add(store, tags="eu,nightly"), add(store, tags="eu")
    assert ids(store.find({"tags": "eu"})) == [one, both]
    assert ids(store.find({"tags": ["nightly", "eu"]})) == [both]
    assert store.find({"tags": "eu,nightly"}) == []


def test_states_times_order_and_limit_narrow(store):
    found = [add(store, model="m") for _ in range(4)]
    claimed(store)
    assert ids(store.find({"model": "m"}, states=[JobState.ACTIVE])) == [found[0]]
    moment = datetime.fromtimestamp(store.clock() / 1000, UTC)
    since, until = moment - timedelta(seconds=2), moment - timedelta(seconds=1)
    assert ids(store.find({"model": "m"}, since=since, until=until)) == found[2:0:-1]
    assert ids(store.find({"model": "m"}, newest_first=False, limit=2)) == found[:2]
    assert store.find({"model": "m"}, limit=0) == []


def test_search_without_labels_walks_the_states(store):
    first, second = add(store), add(store, model="m")
    assert ids(store.find()) == [second, first]
    assert store.find(states=[JobState.FAILED]) == []


def test_search_reads_only_the_fields_asked_for(store):
    job_id = store.add(NewJob(name="certify", data={"n": 1}, labels={"model": "m"}))
    assert store.find({"model": "m"})[0].data is None
    assert store.find({"model": "m"}, fields=["data"])[0].data == {"n": 1}
    assert ids(store.find({"model": "m"}, fields=["data"])) == [job_id]


def test_words_of_the_reason_are_found_in_any_case(store):
    timeout = fail(store, "TimeoutError: endpoint gave no answer", model="a")
    value = fail(store, "ValueError: größe passt nicht", model="b")
    assert ids(store.find(text="timeouterror")) == [timeout]
    assert ids(store.find(text="ENDPOINT answer")) == [timeout]
    assert ids(store.find(text="größe")) == [value]
    assert store.find({"model": "b"}, text="endpoint") == []


def test_part_of_a_word_is_found_among_the_newest_failures(store):
    timeout = fail(store, "TimeoutError: no answer")
    assert ids(store.find(text="meoutErr")) == [timeout]
    assert ids(store.find(text="no")) == [timeout]


def test_label_set_at_the_end_or_later_is_found(store):
    job_id = add(store, model="m")
    claimed(store)
    store.complete(job_id, "token", None, labels={"verdict": "failed"})
    assert ids(store.find({"verdict": "failed"})) == [job_id]
    store.set_labels(job_id, {"verdict": "certified", "model": ""})
    assert store.find({"verdict": "failed"}) == []
    assert store.find({"model": "m"}) == []
    assert ids(store.find({"verdict": "certified"})) == [job_id]
    with pytest.raises(InvalidJobError, match="label"):
        store.find({"model": "x" * 300})


def test_index_forgets_removed_and_outdated_jobs(store):
    admin = QueueAdministration(store)
    admin.remove(add(store, model="m", tags="a,b"))
    assert index_entries(store) == {}
    done = store.add(
        NewJob(
            name="certify",
            labels={"model": "m"},
            options=JobOptions(remove_on_fail=Retention(count=0)),
        )
    )
    claimed(store)
    store.fail(done, "token", "ValueError: boom", labels={"category": "X"})
    assert index_entries(store) == {}
    fail(store, "ValueError: boom", model="m")
    assert admin.clean(timedelta(0), 10, JobState.FAILED)
    assert index_entries(store) == {}


def test_entries_of_jobs_that_others_deleted_are_dropped_when_met(store):
    gone, kept = add(store, model="m"), add(store, model="m")
    store.redis.delete(store.keys.job(gone))
    store.redis.lrem(store.keys.wait, 1, gone)
    store.redis.zadd(store.keys.sdk("index", "model", "m"), {"older": 5})
    assert ids(store.find({"model": "m"})) == [kept]
    assert index_entries(store) == {store.keys.sdk("index", "model", "m"): 1}


def test_many_stale_entries_do_not_hide_the_jobs_behind_them(store):
    kept = add(store, model="m")
    key = store.keys.sdk("index", "model", "m")
    store.redis.zadd(key, {f"gone-{n}": 2e12 + n for n in range(700)})
    assert ids(store.find({"model": "m"})) == [kept]
    assert store.redis.zcard(key) == 1


def test_jobs_added_by_others_are_labelled_when_searched(redis_client, queue_name):
    foreign = JobStore(redis_client, queue_name)
    store = JobStore(
        redis_client, queue_name, labeller=lambda job: {"model": job.data["model"]}
    )
    job_id = foreign.add(new_job({"model": "theirs"}))
    assert ids(store.find({"model": "theirs"})) == [job_id]
    assert store.heal() == 0
    other = foreign.add(new_job({"model": "theirs"}))
    assert ids(store.find({"model": "theirs"})) == [other, job_id]
