"""How a worker waits for jobs, and shows that it does."""

from __future__ import annotations

import threading

import pytest

from myia_sdk.errors import QueueError
from myia_sdk.queue import BullHuey, NewJob
from myia_sdk.queue.consumer.claim import ClaimLoop
from myia_sdk.queue.consumer.doorbell import Doorbell
from myia_sdk.queue.consumer.leases import Leases
from myia_sdk.queue.store import JobStore, QueueAdministration
from myia_sdk.queue.wire import Outage
from tests.acceptance.worker import wait_until
from tests.helpers.queue_probe import LEASE


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name)


@pytest.fixture
def workers(store):
    return QueueAdministration(store).workers


@pytest.fixture
def doorbell(store):
    doorbell = Doorbell(store, "patient")
    yield doorbell
    doorbell.close()


@pytest.fixture
def waiting(store, doorbell, workers):
    """A thread that waits at the doorbell, seen from the server."""

    def wait():
        try:
            doorbell.wait()
        except QueueError as exc:
            ended.append(exc)

    ended = []
    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(workers)
    yield thread
    doorbell.ring()
    thread.join(timeout=120)
    assert not thread.is_alive()
    assert not ended


def test_a_worker_is_listed_before_its_first_wait(doorbell, workers):
    doorbell.announce()
    assert [worker.name for worker in workers()] == ["patient"]


def test_a_worker_that_waits_already_is_listed_once(doorbell, waiting, workers):
    doorbell.announce()
    assert [worker.name for worker in workers()] == ["patient"]


def test_a_ring_ends_the_wait(doorbell, waiting):
    doorbell.ring()
    waiting.join(timeout=120)
    assert not waiting.is_alive()


def test_closing_ends_the_wait_without_an_error(doorbell, waiting):
    doorbell.close()
    waiting.join(timeout=120)
    assert not waiting.is_alive()


def test_no_sleep_when_what_it_waits_for_came_before_it(doorbell, workers):
    """Nobody rings for a worker that does not wait yet: it asks once it does."""
    asked = []

    def came():
        asked.append(doorbell.is_waiting)
        return True

    doorbell.wait(unless=came)
    assert asked == [True]
    assert not doorbell.is_waiting
    assert workers() == []


class BusyStore(JobStore):
    """A store on which a job ends just after a claim found no room for another."""

    def claim(self, *arguments, **options):
        answer = super().claim(*arguments, **options)
        if answer.job is None:
            self.end_one()
        return answer


def test_a_job_that_ends_while_another_slot_asks_is_noticed(
    redis_client, queue_name, doorbell, workers
):
    """With one job at a time in the queue, the next one would wait for seconds."""
    store = BusyStore(redis_client, queue_name)
    administration = QueueAdministration(store)
    administration.set_concurrency(1)
    huey = BullHuey(queue_name, redis=redis_client, lease=LEASE)
    leases = Leases(store, administration, huey.lease)
    claims = ClaimLoop(
        *(store, leases, doorbell, Outage(), "patient", huey, threading.Event())
    )
    ids = store.add_many([NewJob(name="t", data={}) for _ in range(2)])
    first = claims.next()

    def end_one():
        store.complete(first.job.id, first.token, None)
        claims.free_slot()

    store.end_one = end_one
    assert claims.next() is None
    assert workers() == []
    assert claims.next().job.id == ids[1]
