"""Flows made by Node: what our consumer and our administration owe the parents."""

from __future__ import annotations

from datetime import timedelta

import pytest

from myia_sdk.errors import InvalidTransitionError
from myia_sdk.queue.jobs import JobState, NewJob
from myia_sdk.queue.store import JobStore, QueueAdministration
from myia_sdk.queue.store.flow import read_flow
from tests.interop.conftest import LEASE, until

pytestmark = pytest.mark.node

TOKEN = "myia:one"


@pytest.fixture
def elsewhere(redis_client, queue_name):
    """Another queue, for the children."""
    return JobStore(redis_client, f"{queue_name}-children")


@pytest.fixture
def flow(node, store):
    """Make a parent on the queue with children; return the ids."""

    def flow(children, queue=None, parent=None):
        queue = queue or store.queue
        tree = {
            "name": "parent",
            "queueName": store.queue,
            "data": {},
            "opts": parent or {},
            "children": [
                {"name": f"child-{n}", "queueName": queue, "data": {"n": n}, "opts": o}
                for n, o in enumerate(children)
            ],
        }
        made = node("flow", tree=tree)
        # In the order of the options, which BullMQ's answer does not promise.
        names = {
            store.redis.hget(f"myia:{queue}:{child['id']}", "name"): child["id"]
            for child in made["children"]
        }
        return made["id"], [names[f"child-{n}"] for n in range(len(children))]

    return flow


def end(store, outcome=None, fail=None):
    job = store.claim(TOKEN, LEASE).job
    if fail is None:
        store.complete(job.id, TOKEN, outcome)
    else:
        store.fail(job.id, TOKEN, fail, "trace")
    return job.id


def test_the_last_child_we_complete_releases_the_parent(
    store, flow, node, queue_name, work
):
    parent, children = flow([{}, {}])
    assert store.state(parent) is JobState.WAITING_CHILDREN
    assert end(store, {"a": 1}) in children
    assert store.state(parent) is JobState.WAITING_CHILDREN
    end(store, None)
    assert store.state(parent) is JobState.WAITING
    processed = store.redis.hgetall(store.keys.processed(parent))
    assert set(processed) == {store.keys.job(one) for one in children}
    assert sorted(processed.values()) == ["null", '{"a":1}']
    read = node.job(queue_name, parent, "getChildrenValues")
    assert {"a": 1} in read.values()
    assert work("done").id == parent


def test_children_in_another_queue_release_their_parent(store, elsewhere, flow, node):
    parent, (child,) = flow([{}], queue=elsewhere.queue)
    assert end(elsewhere, 7) == child
    assert store.state(parent) is JobState.WAITING
    assert store.redis.zscore(store.keys.marker, "0") == 0
    node("worker", key="parent", queue=store.queue)
    until(lambda: store.state(parent) is JobState.COMPLETED)
    node("workerStop", key="parent")


def test_a_parent_with_priority_or_delay_goes_where_it_belongs(store, flow):
    urgent, _ = flow([{}], parent={"priority": 3})
    end(store)
    assert store.state(urgent) is JobState.PRIORITIZED
    later, _ = flow([{}], parent={"delay": 60_000})
    end(store)
    assert store.state(later) is JobState.DELAYED


def test_a_flow_of_node_is_read_with_its_states(store, elsewhere, flow):
    parent, (first, second) = flow([{}, {}], queue=elsewhere.queue)
    assert elsewhere.claim(TOKEN, LEASE).job.id == first
    elsewhere.complete(first, TOKEN, {})
    for reader, start in ((store, parent), (elsewhere, second)):
        found = read_flow(reader, start)
        states = {node.relative.id: node.state for node in found.nodes}
        assert states == {
            parent: JobState.WAITING_CHILDREN,
            first: JobState.COMPLETED,
            second: JobState.WAITING,
        }
        key = store.keys.job(parent)
        assert {node.parent_key for node in found.nodes} == {None, key}
        assert found.nodes[0].name == "parent"


def test_a_failed_child_that_fails_its_parent(store, flow, work):
    parent, (child, _) = flow([{"failParentOnFailure": True}, {}])
    assert end(store, fail="boom") == child
    job = store.job(parent)
    assert job.state is JobState.WAITING
    assert job.deferred_failure == f"child {store.keys.job(child)} failed"
    assert work().id == parent
    assert store.state(parent) is JobState.FAILED


def test_a_failed_child_that_lets_its_parent_continue(store, flow):
    parent, (child, _) = flow([{"continueParentOnFailure": True}, {}])
    assert end(store, fail="boom") == child
    assert store.state(parent) is JobState.WAITING
    failed = store.redis.hgetall(f"{store.keys.job(parent)}:failed")
    assert failed == {store.keys.job(child): "boom"}


@pytest.mark.parametrize(
    "rule", ["ignoreDependencyOnFailure", "removeDependencyOnFailure"]
)
def test_a_failed_child_that_is_ignored(store, flow, rule):
    parent, _ = flow([{rule: True}, {}])
    end(store, fail="boom")
    assert store.state(parent) is JobState.WAITING_CHILDREN
    end(store, 1)
    assert store.state(parent) is JobState.WAITING


def test_a_failed_child_without_a_rule_keeps_its_parent_waiting(
    store, flow, administration
):
    parent, (child,) = flow([{}])
    end(store, fail="boom")
    assert store.state(parent) is JobState.WAITING_CHILDREN
    administration.retry(child)
    end(store, 1)
    assert store.state(parent) is JobState.WAITING


def test_retrying_a_child_puts_it_back_on_the_parents_books(
    store, flow, administration
):
    parent, (child,) = flow([{"ignoreDependencyOnFailure": True}])
    end(store, fail="boom")
    assert store.state(parent) is JobState.WAITING
    administration.retry(child)
    assert store.redis.smembers(store.keys.dependencies(parent)) == {
        store.keys.job(child)
    }
    assert store.redis.hgetall(f"{store.keys.job(parent)}:failed") == {}


def test_a_parent_cannot_complete_before_its_children(store, flow):
    parent, _ = flow([{}])
    assert store.redis.zrem(store.keys.waiting_children, parent)
    store.redis.rpush(store.keys.wait, parent)
    assert store.claim(TOKEN, LEASE).job.id == parent
    with pytest.raises(InvalidTransitionError, match="children"):
        store.complete(parent, TOKEN, 1)


def test_retention_keeps_the_parents_books(store, flow, node, queue_name):
    parent, children = flow([{"removeOnComplete": True}] * 2)
    for _ in children:
        end(store, 5)
    assert [store.job(child) for child in children] == [None, None]
    assert store.state(parent) is JobState.WAITING
    assert list(node.job(queue_name, parent, "getChildrenValues").values()) == [5, 5]


def test_removing_the_last_child_releases_the_parent(
    store, flow, administration, events_of
):
    parent, (child,) = flow([{}])
    administration.remove(child)
    assert store.state(parent) is JobState.WAITING
    assert events_of(store.queue)[-1]["event"] == "removed"
    assert {"event": "waiting", "jobId": parent, "prev": "waiting-children"} in (
        events_of(store.queue)
    )


def test_removing_a_parent_takes_its_children_along(
    store, elsewhere, flow, administration, node
):
    parent, children = flow([{}, {}], queue=elsewhere.queue)
    end(elsewhere, 1)
    held = elsewhere.claim(TOKEN, LEASE).job
    with pytest.raises(InvalidTransitionError):
        administration.remove(parent)
    elsewhere.complete(held.id, TOKEN, 2)
    administration.remove(parent)
    assert store.job(parent) is None
    assert [elsewhere.job(child) for child in children] == [None, None]


def test_removing_a_parent_alone_leaves_its_children(
    store, elsewhere, flow, administration
):
    parent, (child,) = flow([{}], queue=elsewhere.queue)
    administration.remove(parent, children=False)
    assert store.job(parent) is None
    assert elsewhere.state(child) is JobState.WAITING
    end(elsewhere, 1)
    assert elsewhere.state(child) is JobState.COMPLETED


def test_draining_children_runs_a_parent_elsewhere(store, elsewhere, flow):
    parent, _ = flow([{}, {}], queue=elsewhere.queue)
    assert QueueAdministration(elsewhere).drain() == 2
    assert store.state(parent) is JobState.WAITING


def test_cleaning_children_deletes_a_parent_in_the_same_queue(
    store, flow, administration
):
    parent, children = flow([{}, {}])
    removed = administration.clean(timedelta(0), None, JobState.WAITING)
    assert sorted(removed) == sorted(children)
    assert store.job(parent) is None


def test_obliterate_takes_waiting_parents_too(store, flow, administration):
    flow([{}, {}])
    administration.obliterate()
    assert list(store.redis.scan_iter(f"{store.keys.base}*")) == []


def test_cancelling_a_child_follows_its_rule(store, flow, administration):
    parent, (child,) = flow([{"ignoreDependencyOnFailure": True}])
    administration.cancel(child)
    assert store.state(parent) is JobState.WAITING
    failed = store.redis.hgetall(f"{store.keys.job(parent)}:failed")
    assert failed == {store.keys.job(child): "cancelled"}


def test_our_child_of_a_node_parent(store, flow, node):
    parent, (first,) = flow([{}])
    second = store.add(NewJob(name="ours", parent_key=store.keys.job(parent)))
    assert end(store, 1) == first
    assert store.state(parent) is JobState.WAITING_CHILDREN
    node("worker", key="any", queue=store.queue)
    until(lambda: store.state(parent) is JobState.COMPLETED)
    node("workerStop", key="any")
    assert store.state(second) is JobState.COMPLETED
