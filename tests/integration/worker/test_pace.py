"""Requests to one endpoint keep one rate, however many jobs send them."""

from __future__ import annotations

import socket
import threading
from importlib import import_module

import pytest

from myia_sdk import Client, Settings
from myia_sdk.queue.bullhuey import BullHuey
from myia_sdk.queue.jobs import Job, JobState
from myia_sdk.queue.sandbox import channel
from myia_sdk.queue.sandbox.child import ChildChannel
from myia_sdk.queue.sandbox.current import CurrentJob
from myia_sdk.worker.worker import Finisher
from tests.acceptance.worker import wait_until

REQUEST = {
    "model": {
        "kind": "openai",
        "name": "m",
        "model": "m",
        "url": "http://localhost/v1",
    },
    "suite": "chat-baseline",
    "parameters": {},
}


@pytest.fixture
def huey(redis_server, queue_name):
    made = BullHuey(queue_name, url=redis_server.url)
    yield made
    made.storage.close()


def test_starts_are_reserved_one_interval_apart_by_all_who_ask(
    huey, redis_server, queue_name
):
    other = BullHuey(queue_name, url=redis_server.url)
    askers = [huey.storage, other.storage] * 3
    waits = [one.reserve_start("endpoint", 1000.0) for one in askers]
    assert waits[0] == 0
    # Each was asked a little later than the one before.
    for number, wait in enumerate(waits):
        assert 1000 * number - 100 < wait <= 1000 * number
    assert huey.storage.reserve_start("another", 1000.0) == 0
    other.storage.close()


def test_a_reservation_is_forgotten_when_it_binds_nobody(huey):
    store = huey.storage.store
    huey.storage.reserve_start("endpoint", 1000.0)
    huey.storage.reserve_start("endpoint", 1000.0)
    left = store.command("PTTL", store.keys.sdk("pace", "endpoint"))
    assert 1_900_000 < left <= 2_000_000


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("enqueue", {"requests_per_second": 1}), ("storage.put_data", {}), ("pace", {})],
)
def test_a_certification_may_ask_the_worker_for_nothing_else(
    huey, tmp_path, method, parameters
):
    finisher = Finisher(huey, Settings(myia_home=tmp_path))
    data = {**REQUEST, "parameters": parameters}
    job = Job(id="1", name="certify", state=JobState.ACTIVE, data=data)
    with pytest.raises(LookupError):
        finisher.answer(job, method, {})


def test_a_job_takes_its_turn_after_those_of_other_workers(
    huey, redis_server, redis_client, queue_name, tmp_path
):
    settings = Settings(
        redis_url=redis_server.url,
        certification_queue_name=queue_name,
        myia_home=tmp_path,
    )
    with Client.local(settings, workers=1) as client:
        data = {**REQUEST, "parameters": {"requests_per_second": 0.001}}
        other = Job(id="1", name="certify", state=JobState.ACTIVE, data=data)
        assert Finisher(huey, settings).answer(other, "pace", {}) == 0
        (key,) = redis_client.scan_iter(
            huey.storage.store.keys.sdk("pace", "*"), count=1000
        )
        reserved = float(redis_client.get(key))
        job = client.submit(
            REQUEST["model"], suite="chat-baseline", parameters=data["parameters"]
        )
        next_turn = reserved + 1000e6
        wait_until(lambda: float(redis_client.get(key)) >= next_turn, 120)
        job.cancel()
        wait_until(lambda: job.refresh().state == "failed", 60)


class Reports:
    """Where a job's progress and lines go."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, value: object) -> None:
        raise AssertionError(value)

    def log(self, text: str) -> None:
        self.lines.append(text)


def test_a_refused_question_is_told_once_and_the_run_goes_on(monkeypatch):
    module = import_module("myia_sdk.worker.certify")
    worker, child = socket.socketpair()
    line = ChildChannel(child, 1_000)
    monkeypatch.setattr(module, "current_channel", lambda: line)

    def refuse() -> None:
        reader = channel.FrameReader(1_000_000)
        while chunk := worker.recv(65_536):
            for frame in reader.feed(chunk):
                assert frame["method"] == "pace"
                worker.sendall(
                    channel.encode_frame(
                        "fault", type="OSError", message="away", details={}
                    )
                )

    thread = threading.Thread(target=refuse)
    thread.start()
    try:
        reports = Reports()
        pace = module._pace_of(CurrentJob("1", "certify", 1, reports))
        assert [pace(), pace()] == [0.0, 0.0]
    finally:
        child.close()
        thread.join(60)
        worker.close()
    (told,) = reports.lines
    assert "OSError: away" in told
