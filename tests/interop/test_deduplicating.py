"""Deduplication across clients: line 40 of the checklist."""

from __future__ import annotations

from datetime import timedelta

import pytest

from myia_sdk.queue.jobs import Deduplication, JobOptions, JobState, NewJob
from tests.interop.conftest import LEASE, until

pytestmark = pytest.mark.node


def ours(store, once, **options):
    return store.add(
        NewJob(
            name="t",
            data={"by": "us"},
            options=JobOptions(deduplication=once, **options),
        )
    )


@pytest.fixture
def theirs(node, queue_name):
    def theirs(**once):
        options = {"deduplication": once}
        return node.queue(queue_name, "add", "t", {"by": "node"}, options)["id"]

    return theirs


def test_the_id_is_free_when_our_worker_has_ended_the_job(store, theirs, work):
    first = theirs(id="d")
    assert theirs(id="d") == first
    assert ours(store, Deduplication(id="d")) == first
    assert work().id == first
    assert not store.redis.exists(store.keys.deduplication("d"))
    assert theirs(id="d") != first


def test_the_id_is_free_when_a_node_worker_has_ended_ours(
    store, node, theirs, queue_name
):
    first = ours(store, Deduplication(id="d"))
    assert theirs(id="d") == first
    node("worker", key=queue_name, queue=queue_name)
    until(lambda: store.state(first) is JobState.COMPLETED)
    node("workerStop", key=queue_name)
    assert ours(store, Deduplication(id="d")) != first


def test_a_ttl_outlives_the_job(store, theirs, work):
    first = theirs(id="d", ttl=60_000)
    assert work().id == first
    assert ours(store, Deduplication(id="d", ttl=timedelta(minutes=1))) == first
    assert 0 < store.redis.pttl(store.keys.deduplication("d")) <= 60_000
    short = theirs(id="e", ttl=30)
    until(lambda: theirs(id="e", ttl=30) != short)


def test_replace_takes_the_place_of_a_delayed_job(store, theirs, node, queue_name):
    once = Deduplication(id="d", replace=True)
    first = ours(store, once, delay=timedelta(hours=1))
    second = theirs(id="d", replace=True)
    assert store.job(first) is None
    assert store.redis.get(store.keys.deduplication("d")) == second
    assert node.job(queue_name, second, "getState") == "waiting"


def test_keep_last_if_active_runs_the_last_one_afterwards(store, theirs, work):
    first = theirs(id="d", keepLastIfActive=True)
    token = "myia:t"
    job = store.claim(token, LEASE).job
    assert job.id == first
    theirs(id="d", keepLastIfActive=True)
    assert ours(store, Deduplication(id="d", keep_last_if_active=True)) == first
    assert store.counts()[JobState.WAITING] == 0
    store.complete(first, token, None)
    kept = work()
    assert kept.data == {"by": "us"}
    assert kept.id != first
    assert store.counts()[JobState.WAITING] == 0


def test_removal_by_either_side_frees_the_id(
    store, theirs, administration, node, queue_name
):
    first = theirs(id="d")
    administration.remove(first)
    second = ours(store, Deduplication(id="d"))
    assert second != first
    node.job(queue_name, second, "remove")
    third = theirs(id="d")
    administration.drain()
    assert store.job(third) is None
    assert ours(store, Deduplication(id="d")) != third
