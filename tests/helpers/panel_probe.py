"""What the tests of the panels share: a client, jobs in every state, recorded comms."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import comm
import ipywidgets
import pytest
from comm.base_comm import BaseComm

from myia_sdk import Client, Settings
from myia_sdk.certification.certificate import Certificate, Signer
from myia_sdk.panels.displayed import Displayed
from myia_sdk.panels.live import LiveFeed
from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from tests.helpers.reports import make_report

#: Nobody renews these leases, however long a test takes.
LEASE = timedelta(hours=1)
#: Marks a worker of ours: others cannot be asked to cancel.
TOKEN = "myia:token"


def settings_for(port: int, password: str, queue: str, home: Path) -> Settings:
    return Settings(
        redis_host="127.0.0.1",
        redis_port=port,
        redis_password=password,
        certification_queue_name=queue,
        myia_home=home,
        myia_lang="en",
        _env_file=None,
    )


@pytest.fixture
def client(redis_server, queue_name, tmp_path: Path) -> Iterator[Client]:
    server = redis_server
    settings = settings_for(server.port, server.password, queue_name, tmp_path)
    with Client(settings) as client:
        yield client


def wait_until(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for what must happen, and return it; the deadline only ends a failure."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def threads_named(*beginnings: str) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith(beginnings)]


def wait_for_panels() -> None:
    """Wait until no closed panel uses its client any more; readers end in silence."""
    wait_until(lambda: not threads_named("myia-feed-worker", "myia-form"))


class Jobs:
    """Puts jobs into a wanted state, as real workers do."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.queue = client.queue

    def waiting(
        self, model: str = "digits", *, lifo: bool = False, **labels: str
    ) -> str:
        return self.queue.add(
            NewJob(
                name="certify",
                data={"model": {"name": model}},
                labels={"model": model, "suite": "classifier-baseline", **labels},
                options=JobOptions(attempts=2, lifo=lifo),
            )
        )

    def delayed(self, model: str = "digits", hours: float = 1.0) -> str:
        return self.queue.add(
            NewJob(
                name="certify",
                labels={"model": model},
                options=JobOptions(delay=timedelta(hours=hours)),
            )
        )

    def claim(self, token: str = TOKEN) -> str:
        # A worker that asks twice with the same token gets the same job again.
        worker = f"worker-{1 + self.queue.counts()[JobState.ACTIVE]}"
        job = self.queue.claim(token, LEASE, worker).job
        assert job is not None
        return job.id

    def active(self, model: str = "digits") -> str:
        wanted = self.waiting(model, lifo=True)
        assert self.claim() == wanted
        return wanted

    def completed(self, model: str = "digits", value: Any = None, **labels: str) -> str:
        job_id = self.active(model)
        labels = {"verdict": "certified", "score": "93.5", "rating": "A", **labels}
        self.queue.complete(job_id, "myia:token", value or {"ok": True}, labels=labels)
        return job_id

    def failed(self, model: str = "digits", reason: str = "ValueError: no") -> str:
        job_id = self.active(model)
        self.queue.fail(job_id, "myia:token", reason, "Traceback ...\nValueError: no")
        return job_id

    def certified(
        self,
        model: str = "iris",
        region: str = "",
        *,
        age: timedelta = timedelta(hours=1),
        **over: Any,
    ) -> str:
        """Complete a job with a report and a certificate of the development key."""
        job_id = self.active(model)
        digest = hashlib.sha256(model.encode()).hexdigest()
        report = make_report(
            model={"kind": "sklearn", "name": model, "artifact": f"sha256:{digest}"},
            region=region or None,
            **over,
        )
        certificate = Certificate.issue(
            report,
            job_id=job_id,
            signer=Signer.load(None, self.client.settings.myia_home),
            now=datetime.now(UTC) - age,
        )
        self.client.certificate_store.add(certificate, report, job_id)
        value = {**report.to_record(), "certificate": certificate.to_record()}
        labels = {
            "verdict": report.verdict.value,
            "score": f"{report.score:g}",
            "rating": report.rating,
            "region": region,
        }
        self.queue.complete(job_id, TOKEN, value, labels=labels)
        return job_id


@pytest.fixture
def jobs(client: Client) -> Jobs:
    return Jobs(client)


class RecordingComm(BaseComm):
    """A comm that keeps what would go to the browser."""

    log: ClassVar[list[tuple[str, str, dict[str, Any]]]] = []

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        RecordingComm.log.append((msg_type, self.comm_id, data or {}))


@pytest.fixture
def comms(monkeypatch) -> Iterator[list[tuple[str, str, dict[str, Any]]]]:
    """All messages to the browser; open widgets are closed at the end."""
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    RecordingComm.log = []
    yield RecordingComm.log
    for panel in list(Displayed._open_panels):
        panel.close()
    for widget in list(ipywidgets.widgets.widget._instances.values()):
        widget.close()
    wait_for_panels()
    assert LiveFeed.open_feeds() == 0


@pytest.fixture(autouse=True)
def no_swallowed_errors(caplog) -> Iterator[None]:
    """Fail on exceptions that widgets and threads log instead of raising."""
    caplog.set_level(logging.WARNING)
    yield
    swallowed = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.exc_info and "expected" not in record.getMessage()
    ]
    assert not swallowed


def sent(log: list[Any], widget: Any) -> list[dict[str, Any]]:
    """Custom messages a widget sent, oldest first."""
    return [
        data["content"]
        for kind, comm_id, data in list(log)
        if kind == "comm_msg" and comm_id == widget.model_id and "content" in data
    ]


def browser_says(widget: Any, **content: Any) -> None:
    """Deliver a custom message as the front end does."""
    widget._handle_msg(
        {
            "content": {
                "comm_id": widget.model_id,
                "data": {"method": "custom", "content": content},
            },
            "buffers": [],
        }
    )


def browser_sets(widget: Any, **state: Any) -> None:
    """Deliver a change of traits as the front end does."""
    widget._handle_msg(
        {
            "content": {
                "comm_id": widget.model_id,
                "data": {"method": "update", "state": state, "buffer_paths": []},
            },
            "buffers": [],
        }
    )


def browser_clicks(button: Any) -> None:
    browser_says(button, event="click")


def at_once(work: Callable[[], None]) -> None:
    """Run the background work of a form in the foreground."""
    work()
