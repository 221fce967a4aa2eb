"""The stock command ``huey_consumer`` on our queue, side by side with BullMQ."""

from __future__ import annotations

import pytest

from myia_sdk.queue.jobs import JobState, NewJob
from myia_sdk.queue.store import QueueAdministration
from myia_sdk.queue.store.administration import Cancellation
from tests.acceptance import app
from tests.acceptance.worker import Consumer
from tests.interop.conftest import until

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def consumer(redis_server, tmp_path_factory):
    log = tmp_path_factory.mktemp("consumer") / "log"
    with Consumer(redis_server, log, "-w", "2") as consumer:
        administration = QueueAdministration(consumer.store)
        until(administration.workers)
        yield consumer


def test_jobs_of_every_client_run_and_report_back(
    consumer, node5, node6, python_client
):
    store, name = consumer.store, app.huey.new_job(app.add.s(1, 2)).name
    node5("events", queue=consumer.queue)
    ids = []
    for client in (node5, node6, python_client):
        data = {"a": 2, "b": 40}
        added = client.queue(consumer.queue, "add", name, data, {"attempts": 2})
        until(lambda job_id=added["id"]: store.state(job_id) is JobState.COMPLETED)
        assert store.job(added["id"]).return_value == 42
        ids.append(added["id"])
    answer = node5("waitUntilFinished", queue=consumer.queue, id=ids[-1])
    assert answer == 42

    def told():
        heard = node5("eventsSeen", queue=consumer.queue)
        return [fields["jobId"] for event, fields in heard if event == "completed"]

    until(lambda: set(told()) >= set(ids))
    assert sorted(one for one in told() if one in ids) == sorted(ids)


def test_an_unknown_name_fails_with_a_reason_that_node_reads(consumer, node):
    job_id = node.queue(consumer.queue, "add", "nobody-knows-this", {}, {})["id"]
    until(lambda: consumer.store.state(job_id) is JobState.FAILED)
    read = node.queue(consumer.queue, "getJob", job_id)
    assert "nobody-knows-this" in read["failedReason"]


def test_node_and_board_see_our_worker(consumer, node):
    until(lambda: len(node.queue(consumer.queue, "getWorkers")) == 1)
    found = until(QueueAdministration(consumer.store).workers)
    assert [worker.is_listed for worker in found] == [True]


def test_a_running_job_is_cancelled_and_may_run_again(consumer, node5, tmp_path):
    store, administration = consumer.store, QueueAdministration(consumer.store)
    job_id = consumer.submit(app.effect.s(str(tmp_path / "ledger"), 600))
    until(lambda: store.state(job_id) is JobState.ACTIVE)
    assert administration.cancel(job_id) is Cancellation.REQUESTED
    until(lambda: store.state(job_id) is JobState.FAILED)
    job = store.job(job_id)
    assert job.failed_reason == "cancelled"
    assert job.attempts_started == 1
    # Retried by a client that knows nothing of our requests, it runs again.
    administration.update_data(job_id, {"ledger": str(tmp_path / "ledger")})
    node5.job(consumer.queue, job_id, "retry")
    until(lambda: store.state(job_id) is JobState.COMPLETED)


def test_a_mix_of_workers_ends_every_job_once(consumer, node5):
    store = consumer.store
    node5("worker", key="mixed", queue=consumer.queue)
    name = app.huey.new_job(app.quick.s(1)).name
    jobs = []

    def both_ran():
        ids = store.add_many([NewJob(name=name, data={"a": n}) for n in range(60)])
        until(lambda: all(job.is_finished for job in store.jobs(ids)))
        jobs.extend(store.job(job_id) for job_id in ids)
        return {job.return_value == {"by": "node"} for job in jobs} == {True, False}

    until(both_ran)
    node5("workerStop", key="mixed")
    assert {job.attempts_started for job in jobs} == {1}
    assert {job.state for job in jobs} == {JobState.COMPLETED}
