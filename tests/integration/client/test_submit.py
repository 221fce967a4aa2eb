"""Jobs through the client, on a real server with a real worker process."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from myia_sdk import Client, JobState, ModelRef, Settings
from myia_sdk.certification.report.comparison import Change
from myia_sdk.client.wait import follow
from myia_sdk.errors import (
    CertificateError,
    InvalidTransitionError,
    JobFailedError,
    JobNotFoundError,
    QueueConnectionError,
    UnknownModelError,
    WaitTimeoutError,
)
from tests.helpers.coroutines import run_coroutine
from tests.helpers.processes import is_gone
from tests.helpers.shapes import until

SECONDS = 240
SUITE = "classifier-baseline"
CANARY = "sk-canary-0123456789abcdef"
X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
DATA = (X_test, y_test)
GOOD = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
BAD = DummyClassifier(strategy="most_frequent").fit(X_train, y_train)


@pytest.fixture(scope="module")
def idle(redis_server, tmp_path_factory) -> Iterator[Client]:
    """A queue without a worker."""
    settings = Settings(
        redis_url=redis_server.url,
        certification_queue_name="idle",
        myia_home=tmp_path_factory.mktemp("idle"),
    )
    with Client(settings) as client:
        yield client


@pytest.fixture(scope="module")
def client(redis_server, tmp_path_factory) -> Iterator[Client]:
    """A queue with a worker process of two slots."""
    settings = Settings(
        redis_url=redis_server.url,
        certification_queue_name="busy",
        certification_concurrency=2,
        certification_max_retries=0,
        worker_shutdown_grace=1,
        myia_home=tmp_path_factory.mktemp("busy"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARY_KEY", CANARY)
        with Client.local(settings) as opened:
            yield opened


@pytest.fixture(scope="module")
def batch(client):
    """A good and a bad model, certified."""
    return client.submit_batch(
        {"good": GOOD, "bad": BAD}, suite=SUITE, dataset=DATA, tags=["pair"]
    ).wait(SECONDS)


def test_report_certificate_logs_and_labels_of_a_certified_model(client, batch):
    good, bad = batch
    report = good.result()
    assert report.verdict == "certified"
    assert good.report() == report
    assert good.progress == 1.0
    assert dict(good.labels) | {"score": "", "submitter": ""} == {
        "model": "good",
        "suite": SUITE,
        "tags": "pair",
        "batch": batch.id,
        "verdict": "certified",
        "rating": report.rating,
        "score": "",
        "submitter": "",
        **({"category": report.error_category} if report.error_category else {}),
    }
    certificate = good.certificate()
    assert certificate.job_id == good.id
    assert certificate.verdict == "certified"
    assert len(good.logs())
    assert bad.result().verdict == "failed"
    assert bad.state is JobState.COMPLETED
    assert bad.report().reasons


def test_frames_show_the_batch(client, batch):
    frame = batch.to_frame().set_index("id")
    assert list(frame["verdict"]) == ["certified", "failed"]
    assert set(batch.counts()) == {JobState.COMPLETED}
    assert batch.progress == 1.0
    jobs = client.jobs().set_index("id")
    assert set(frame.index) <= set(jobs.index)
    checks = client.checks(batch)
    assert set(checks["job_id"]) == set(frame.index)
    assert {"good", "bad"} <= set(client.certificates()["model"])
    assert until(lambda: len(client.workers())) == 1
    assert {"completed", "active"} <= set(client.events()["event"])


def test_batch_is_found_again_by_id(client, batch):
    again = client.batch(batch.id)
    assert [job.id for job in again] == [job.id for job in batch]
    assert len(again.wait(SECONDS).to_frame()) == 2


def test_cleaning_jobs_keeps_certificates(client):
    job = client.submit(BAD, suite=SUITE, dataset=DATA, name="cleaned").wait(SECONDS)
    job.remove()
    with pytest.raises(JobNotFoundError):
        client.job(job.id)
    assert client.certificate_of(job.id).verdict == "failed"
    assert "cleaned" in set(client.certificates()["model"])


def test_await_and_retry(client):
    async def certify() -> str:
        job = client.submit(BAD, suite=SUITE, dataset=DATA)
        first = await job
        job.retry()
        second = await job
        return f"{first.verdict} {second.verdict}"

    assert run_coroutine(asyncio.wait_for(certify(), SECONDS)) == "failed failed"


def test_registered_models_are_certified_together_and_again(client):
    client.register("champion", GOOD, regions=["eu", "us"], dataset=DATA)
    with pytest.raises(UnknownModelError, match="champion"):
        client.submit("challenger", suite=SUITE)
    batch = client.certify_all(regions=["eu"]).wait(SECONDS)
    assert [job.labels["region"] for job in batch] == ["eu"]
    assert batch.to_frame()["verdict"].tolist() == ["certified"]
    assert len(client.recertify_expiring(timedelta(hours=1))) == 0
    again = client.recertify_expiring(timedelta(days=30))
    assert len(again) == 1
    again.cancel()
    models = client.models()
    assert "champion" in models.iloc[:, 0].tolist()


def test_revoked_certificate_is_not_valid(client, batch):
    frame = client.certificates().set_index("model")
    assert frame.loc["good", "is_valid"]
    client.revoke(frame.loc["good", "id"], "found wanting")
    frame = client.certificates().set_index("model")
    assert not frame.loc["good", "is_valid"]
    with pytest.raises(CertificateError, match="nosuch"):
        client.revoke("nosuch")


def test_reports_of_the_same_suite_and_data_are_compared(client, batch):
    good, bad = batch
    comparison = client.compare(good, bad.id)
    assert comparison.score_difference < 0
    assert "beats-dummy" in {c.id for c in comparison.with_change(Change.WORSENED)}


def test_scheduled_certification_runs(client):
    client.register("recurring", BAD, dataset=DATA)
    scheduler = client.schedule("recurring", every=timedelta(hours=1))
    try:
        assert scheduler in set(client.schedulers()["id"])
        # The first run is due at once; the worker may have made the second already.
        handle = client.job(client.scheduling.get(scheduler).next_run_id)
        with suppress(InvalidTransitionError):
            handle.promote()
        assert handle.result(SECONDS).verdict == "failed"
    finally:
        assert client.scheduling.remove(scheduler)


class Indiscreet(BaseHTTPRequestHandler):
    """Refuses every key, and repeats it in the refusal."""

    seen: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        key = self.headers["Authorization"]
        self.seen.add(key)
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"error": {"message": f"Incorrect API key: {key}"}}).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def indiscreet_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Indiscreet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_secret_reaches_one_child_and_shows_nowhere(
    client, redis_server, indiscreet_url
):
    """F38: a canary in the worker's environment; everything stored is searched."""
    model = ModelRef(
        kind="openai",
        name="echo",
        model="echo",
        url=indiscreet_url,
        secret="env:CANARY_KEY",
    )
    job = client.submit(model, suite="chat-baseline", timeout=60).wait(SECONDS)
    assert f"Bearer {CANARY}" in Indiscreet.seen
    assert job.state is JobState.FAILED
    with pytest.raises(JobFailedError) as caught:
        job.result()
    with redis_server.client() as redis:
        stored = "".join(
            json.dumps(dump(redis, key))
            for key in redis.scan_iter(f"*{client.queue.queue}*")
        )
    logs = "".join(
        path.read_text() for path in (client.settings.myia_home / "logs").iterdir()
    )
    artifacts = b"".join(contents(client.settings.myia_home / "artifacts"))
    assert CANARY not in stored + logs + str(caught.value) + repr(job)
    assert CANARY.encode() not in artifacts


def contents(directory: Path) -> Iterator[bytes]:
    for path in directory.rglob("*"):
        # What another job writes has a name for the moment only.
        with suppress(FileNotFoundError, IsADirectoryError):
            content = path.read_bytes()
            is_packed = content.startswith(b"\x1f\x8b")
            yield gzip.decompress(content) if is_packed else content


def dump(redis, key: str) -> object:
    match redis.type(key):
        case "hash":
            return redis.hgetall(key)
        case "list":
            return redis.lrange(key, 0, -1)
        case "zset":
            return redis.zrange(key, 0, -1)
        case "stream":
            return redis.xrange(key)
        case "set":
            return sorted(redis.smembers(key))
        case _:
            return redis.get(key)


@pytest.mark.parametrize(
    ("name", "match"),
    [("NO_KEY", "env:NO_KEY"), ("REDIS_URL", "of the queue itself")],
)
def test_secret_that_a_job_may_not_have_fails_it_at_once(client, name, match):
    model = ModelRef(
        kind="openai",
        name="m",
        model="m",
        url="http://127.0.0.1:9",
        secret=f"env:{name}",
    )
    job = client.submit(model, suite="chat-baseline", max_retries=3)
    with pytest.raises(JobFailedError, match=match):
        job.result(SECONDS)
    assert job.job.attempts_made <= 1
    assert job.labels["category"] == "CONFIGURATION_ERROR"


def test_waiting_without_a_worker_times_out_and_touches_nothing(idle):
    job = idle.submit(GOOD, suite=SUITE, dataset=DATA)
    with pytest.raises(WaitTimeoutError, match="goes on") as caught:
        job.wait(0.2)
    assert isinstance(caught.value, TimeoutError)
    assert job.state is JobState.WAITING
    with pytest.raises(InvalidTransitionError, match="Wait"):
        job.report()
    with pytest.raises(CertificateError, match="no certificate"):
        job.certificate()
    job.cancel("not needed")
    with pytest.raises(JobFailedError, match="not needed"):
        job.result(SECONDS)


def test_waiting_ends_when_somebody_else_ends_the_job(idle):
    job = idle.submit(GOOD, suite=SUITE, dataset=DATA)
    other = threading.Timer(0.3, lambda: idle.job(job.id).cancel())
    other.start()
    assert job.wait(SECONDS).job.failed_reason == "cancelled"
    other.join()


def test_wait_survives_a_restart_of_the_server(own_redis_server, tmp_path):
    settings = Settings(redis_url=own_redis_server.url, myia_home=tmp_path)
    with Client(settings) as client:
        job = client.submit(GOOD, suite=SUITE, dataset=DATA)
        begun = threading.Event()

        def restart() -> None:
            begun.wait(SECONDS)
            own_redis_server.kill()
            own_redis_server.start()
            with Client(settings) as other:
                other.job(job.id).cancel("after the restart")

        other = threading.Thread(target=restart)
        other.start()
        follow(client.queue, [job.id], timeout=SECONDS, on_change=lambda _: begun.set())
        other.join()
        assert job.refresh().job.failed_reason == "after the restart"


def test_wait_may_begin_while_the_server_is_away(own_redis_server, tmp_path):
    settings = Settings(redis_url=own_redis_server.url, myia_home=tmp_path)
    with Client(settings) as client:
        job = client.submit(GOOD, suite=SUITE, dataset=DATA)
        job.cancel()
        own_redis_server.kill()
        with pytest.raises(QueueConnectionError):
            follow(client.queue, [job.id], timeout=0.1)
        back = threading.Timer(1.0, own_redis_server.start)
        back.start()
        assert follow(client.queue, [job.id], timeout=SECONDS)[job.id].is_finished
        back.join()


def test_worker_ends_with_the_process_that_asked_for_it(redis_server, tmp_path):
    code = (
        "import sys, time\nfrom myia_sdk import Client, Settings\n"
        "client = Client.local(Settings(redis_url=sys.argv[1], "
        "certification_queue_name='orphan', myia_home=sys.argv[2]))\n"
        "print('ready', flush=True)\ntime.sleep(120)"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", code, redis_server.url, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with user:
        assert user.stdout.readline() == "ready\n"
        workers = psutil.Process(user.pid).children()
        assert len(workers) == 1
        user.kill()
    until(lambda: is_gone(workers[0].pid))


def test_submitting_an_id_twice_adds_one_job(idle):
    first = idle.submit(GOOD, suite=SUITE, dataset=DATA, job_id="once")
    second = idle.submit(BAD, suite=SUITE, dataset=DATA, job_id="once")
    assert first == second
    assert second.refresh().labels["model"] == "LogisticRegression"
    first.remove()


def test_options_become_the_job(idle):
    job = idle.submit(
        GOOD,
        suite=SUITE,
        dataset=DATA,
        priority=5,
        delay=timedelta(hours=1),
        timeout=90,
        max_retries=2,
        tags=["a", "b"],
        region="eu-west-1",
        name="tuned",
    ).refresh()
    assert job.state is JobState.DELAYED
    assert job.job.max_attempts == 3
    assert job.job.priority == 5
    assert job.job.fields["timeout"] == "90000"
    assert job.job.options.backoff.type == "exponential"
    assert job.job.options.backoff.delay == timedelta(seconds=2)
    assert job.labels["tags"] == "a,b"
    assert job.labels["region"] == "eu-west-1"
    assert job.promote().state is JobState.PRIORITIZED
    job.remove()


def test_reprs_escape_and_read_nothing(idle, redis_server):
    job = idle.submit(GOOD, suite=SUITE, dataset=DATA, name="<script>alert(1)</script>")
    job.refresh()
    idle.queue.redis.close()
    bundle = job._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    assert bundle["text/plain"] == repr(job) == f"<Job {job.id} waiting>"
    assert redis_server.password not in idle.describe() + repr(idle)
    job.remove()


def test_interrupted_wait_says_how_to_come_back(idle, redis_server):
    job = idle.submit(GOOD, suite=SUITE, dataset=DATA)
    code = (
        # A shell that starts the tests in the background lets its children ignore it.
        "import signal, sys\nfrom myia_sdk import Client, Settings\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "client = Client(Settings(redis_url=sys.argv[1], "
        "certification_queue_name='idle'))\n"
        "client.job(sys.argv[2]).wait()"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", code, redis_server.url, job.id],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def is_waiting() -> bool:
        own = psutil.Process(waiting.pid).net_connections()
        ports = {str(connection.laddr.port) for connection in own}
        return any(
            one["cmd"] == "xread" and one["addr"].rpartition(":")[2] in ports
            for one in idle.queue.redis.client_list()
        )

    until(is_waiting)
    os.kill(waiting.pid, signal.SIGINT)
    _, errors = waiting.communicate(timeout=100)
    assert f"client.job('{job.id}').wait()" in errors
    assert job.state is JobState.WAITING
    job.remove()
