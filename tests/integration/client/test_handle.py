"""Changes of a pending job and limits of the queue, through client and handle."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

from myia_sdk import Batch, Client, Settings
from myia_sdk.errors import ConfigurationError, InvalidJobError, InvalidTransitionError
from myia_sdk.queue import JobOptions, JobState, NewJob
from myia_sdk.queue.jobs import QueueDefaults


@pytest.fixture
def client(redis_server, queue_name, tmp_path):
    settings = Settings(
        redis_url=redis_server.url,
        certification_queue_name=queue_name,
        myia_home=tmp_path,
    )
    with Client(settings) as client:
        yield client


def test_delayed_job_gets_another_delay_priority_and_data(client):
    options = JobOptions(delay=timedelta(hours=1))
    added = client.queue.add(NewJob(name="certify", data={"a": 1}, options=options))
    job = client.job(added)
    assert job.change_delay(7200).job.delay == timedelta(hours=2)
    assert job.change_priority(5).job.priority == 5
    assert job.update_data({"a": 2}).job.data == {"a": 2}
    assert job.promote().state is JobState.PRIORITIZED
    with pytest.raises(InvalidTransitionError, match="prioritized"):
        job.change_delay(10)
    with pytest.raises(InvalidJobError, match="-1"):
        job.change_delay(-1)
    with pytest.raises(InvalidJobError, match="priority"):
        job.change_priority(-1)


def test_limits_of_the_queue(client):
    client.set_concurrency(2)
    client.set_rate_limit(10, per=0.5)
    assert client.administration.concurrency() == 2
    assert client.administration.rate_limit() == (10, timedelta(milliseconds=500))
    client.set_concurrency(None)
    client.set_rate_limit(None)
    assert client.administration.concurrency() is None
    assert client.administration.rate_limit() is None
    with pytest.raises(ConfigurationError, match="0"):
        client.set_concurrency(0)


def test_defaults_of_the_queue_stand_between_argument_and_settings(client):
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = GaussianNB().fit(X, y)

    def submit(**options):
        options |= {"suite": "classifier-baseline", "dataset": (X, y)}
        return client.submit(model, **options).job

    settled = submit()
    assert settled.max_attempts == 1 + client.settings.certification_max_retries
    assert "timeout" not in settled.fields
    defaults = QueueDefaults(timeout=timedelta(seconds=90), max_retries=1)
    client.administration.set_defaults(defaults)
    assert client.administration.defaults() == defaults
    settled = submit()
    assert (settled.max_attempts, settled.fields["timeout"]) == (2, "90000")
    settled = submit(max_retries=0, timeout=5)
    assert (settled.max_attempts, settled.fields["timeout"]) == (1, "5000")
    client.administration.set_defaults(QueueDefaults())
    assert client.administration.defaults() == QueueDefaults()
    with pytest.raises(ConfigurationError, match="-1"):
        QueueDefaults(max_retries=-1)
    with pytest.raises(ConfigurationError, match="millisecond"):
        QueueDefaults(timeout=timedelta(0))


def test_failed_jobs_of_a_batch_are_retried_and_others_left(client):
    options = JobOptions(delay=timedelta(hours=1))
    jobs = [NewJob(name="certify", data={"n": n}, options=options) for n in range(2)]
    first, second = client.queue.add_many(jobs)
    batch = Batch(client.connection, "together", [first, second])
    batch.jobs[0].cancel()
    assert batch.counts() == {JobState.DELAYED: 1, JobState.FAILED: 1}
    assert batch.retry_failed() == 0
    assert batch.retry_failed(cancelled=True) == 1
    assert batch.jobs[0].state is JobState.WAITING
    assert batch.jobs[1].state is JobState.DELAYED
    bundle = batch._repr_mimebundle_()
    assert bundle["text/plain"] == repr(batch) == "<Batch together of 2 jobs>"
    assert first in bundle["text/html"]
    assert batch.cancel() == 2
    assert batch.cancel() == 0


def test_panels_come_from_the_client(client):
    makers = {
        "BoardPanel": client.board,
        "CertificatesPanel": client.certificates_panel,
        "CleanPanel": client.clean_panel,
        "MonitorPanel": client.monitor,
        "SubmitPanel": client.submit_panel,
    }
    for name, make in makers.items():
        panel = make()
        assert type(panel).__name__ == name
        panel.close()
