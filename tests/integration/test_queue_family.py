"""Parent and children of a job, read in one round trip."""

from __future__ import annotations

from datetime import timedelta

import pytest

from myia_sdk.queue.family import Children, Relative, read_family
from myia_sdk.queue.job import JobOptions, NewJob
from myia_sdk.queue.store import JobStore

LEASE = timedelta(seconds=60)


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name)


def child(store: JobStore, parent: str, rule: str | None = None) -> str:
    options = JobOptions(parent_rule=rule) if rule else JobOptions()
    key = store.keys.job(parent)
    return store.add(NewJob(name="part", parent_key=key, options=options))


def end_next(store: JobStore, job_id: str, error: str = "") -> None:
    claimed = store.claim("t:1", LEASE, "w").job
    assert claimed is not None
    assert claimed.id == job_id
    if error:
        store.fail(job_id, "t:1", error, "")
    else:
        store.complete(job_id, "t:1", {"ok": True})


def test_children_are_told_by_what_became_of_them(store):
    parent = store.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))
    done = child(store, parent)
    end_next(store, done)
    failed = child(store, parent, "idof")
    end_next(store, failed, "no")
    fatal = child(store, parent, "fpof")
    pending = child(store, parent)
    found = read_family(store, parent)
    assert found.parent is None
    ids = {kind: [one.id for one in c.shown] for kind, c in found.children.items()}
    assert ids == {
        "processed": [done],
        "pending": sorted([fatal, pending]),
        "failed": [failed],
    }
    assert found.ids() == {done, failed, fatal, pending}
    parent_key = store.keys.job(parent)
    of_child = read_family(store, pending)
    assert of_child.parent == Relative(parent_key, parent, is_here=True)


def test_a_child_whose_failure_fails_its_parent_counts_as_failed(store):
    parent = store.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))
    fatal = child(store, parent, "fpof")
    end_next(store, fatal, "no")
    assert read_family(store, parent).children["failed"].total == 1


def test_a_parent_in_another_queue_is_named_but_not_here(store, redis_client):
    other = JobStore(redis_client, f"{store.queue}-other")
    parent = other.add(NewJob(name="whole"))
    key = other.keys.job(parent)
    job_id = store.add(NewJob(name="part", parent_key=key))
    found = read_family(store, job_id)
    assert found.parent == Relative(key, parent, is_here=False)
    assert found.ids() == frozenset()
    assert read_family(other, parent).children["pending"].shown[0].id == job_id


def test_many_children_are_counted_and_some_are_shown(store):
    parent = store.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))
    for _ in range(5):
        child(store, parent)
    pending = read_family(store, parent, limit=3).children["pending"]
    assert (len(pending.shown), pending.total) == (3, 5)


def test_a_job_that_is_gone_has_no_relatives(store):
    found = read_family(store, "nobody")
    assert found.parent is None
    assert set(found.children.values()) == {Children()}
