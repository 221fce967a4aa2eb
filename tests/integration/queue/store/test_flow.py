"""Parent and children of a job, read in one round trip."""

from __future__ import annotations

from datetime import timedelta

import pytest

from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.store import JobStore
from myia_sdk.queue.store.flow import (
    SIBLINGS_SHOWN,
    Children,
    Flow,
    Relative,
    read_family,
    read_flow,
    relative_of,
)

LEASE = timedelta(hours=1)


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
    assert of_child.parent == Relative(
        parent_key, parent, is_here=True, queue=store.queue
    )


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
    assert found.parent == Relative(key, parent, is_here=False, queue=other.queue)
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


@pytest.mark.parametrize(
    ("key", "queue", "job_id"),
    [
        ("myia:other:1", "other", "1"),
        ("myia:other:repeat:nightly:17", "other", "repeat:nightly:17"),
        ("bull:other:1", "other", "1"),
        ("broken", "", ""),
    ],
)
def test_a_key_tells_queue_and_id(store, key, queue, job_id):
    found = relative_of(store, key)
    assert (found.queue, found.id, found.is_here) == (queue, job_id, False)


def edges(flow: Flow) -> dict[str, str | None]:
    return {
        node.relative.id: node.parent_key and node.parent_key.rpartition(":")[2]
        for node in flow.nodes
    }


def states(flow: Flow) -> dict[str, JobState | None]:
    return {node.relative.id: node.state for node in flow.nodes}


def test_a_flow_is_the_same_from_each_of_its_jobs(store):
    root = store.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))
    left, right = child(store, root, "idof"), child(store, root)
    leaf = child(store, right)
    end_next(store, left, "no")
    for start in (root, left, right, leaf):
        found = read_flow(store, start)
        assert edges(found) == {root: None, left: root, right: root, leaf: right}
        assert states(found) == {
            root: JobState.DELAYED,
            left: JobState.FAILED,
            right: JobState.WAITING,
            leaf: JobState.WAITING,
        }
        assert found.ids() == {root, left, right, leaf}
        assert [node.name for node in found.nodes].count("part") == 3


def test_a_flow_crosses_queues_and_names_them(store, redis_client):
    other = JobStore(redis_client, f"{store.queue}-other")
    root = other.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))
    job_id = store.add(NewJob(name="part", parent_key=other.keys.job(root)))
    leaf = other.add(NewJob(name="leaf", parent_key=store.keys.job(job_id)))
    found = read_flow(store, job_id)
    assert edges(found) == {root: None, job_id: root, leaf: job_id}
    assert [node.relative.queue for node in found.nodes] == [
        other.queue,
        store.queue,
        other.queue,
    ]
    assert found.ids() == {job_id}


def test_of_a_large_flow_a_part_is_read_and_the_rest_counted(store):
    root = store.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))
    kids = [child(store, root) for _ in range(60)]
    chosen = kids[37]
    grandchildren = [child(store, chosen) for _ in range(3)]
    first = read_flow(store, chosen)
    found = edges(first)
    assert {chosen, *grandchildren} <= found.keys()
    assert sum(parent == root for parent in found.values()) == SIBLINGS_SHOWN + 1
    assert first.nodes[0].hidden_children == 60 - SIBLINGS_SHOWN - 1
    again = read_flow(store, chosen, before=first)
    assert edges(again) == found
    small = read_flow(store, chosen, limit=3)
    assert len(small.nodes) == 3
    assert small.nodes[1].hidden_children == 2


def test_a_deep_flow_is_cut_on_both_ends(store):
    chain = [store.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))]
    for _ in range(6):
        chain.append(child(store, chain[-1]))
    found = read_flow(store, chain[3], depth=2)
    assert list(edges(found)) == chain[1:6]
    assert found.has_hidden_parent
    assert found.nodes[-1].hidden_children == 1


def test_a_child_that_was_removed_stays_in_the_flow_without_a_state(store):
    parent = store.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))
    done = child(store, parent)
    end_next(store, done)
    store.redis.delete(store.keys.job(done))
    assert states(read_flow(store, parent)) == {parent: JobState.DELAYED, done: None}


def test_a_queue_that_may_not_be_read_hides_its_jobs_only(
    store, redis_client, redis_server
):
    import redis

    other = JobStore(redis_client, f"closed-{store.queue}")
    root = other.add(NewJob(name="whole", options=JobOptions(delay=LEASE)))
    job_id = store.add(NewJob(name="part", parent_key=other.keys.job(root)))
    leaf = child(store, job_id)
    rules = {"keys": [f"{store.keys.base}*"], "commands": ["+@all"]}
    redis_client.acl_setuser(
        store.queue, enabled=True, passwords=["+only-this-queue"], **rules
    )
    with redis.Redis(
        host="127.0.0.1",
        port=redis_server.port,
        username=store.queue,
        password="only-this-queue",
        decode_responses=True,
    ) as connection:
        found = read_flow(JobStore(connection, store.queue), job_id)
    redis_client.acl_deluser(store.queue)
    assert edges(found) == {root: None, job_id: root, leaf: job_id}
    assert states(found)[root] is None
