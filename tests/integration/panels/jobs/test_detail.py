"""What the details of one job hold: its flow, and its values as far as allowed."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from myia_sdk.panels.controllers.monitor import MonitorController
from myia_sdk.panels.live import Changes, ControllerOptions
from myia_sdk.panels.permissions import Redaction
from myia_sdk.queue.jobs import JobOptions, NewJob
from tests.helpers.panel_probe import *  # noqa: F403
from tests.helpers.panel_probe import TOKEN


@pytest.fixture
def monitor(client):
    controller = MonitorController(client.connection)
    controller.load()
    return controller


@pytest.fixture
def flow(client):
    """A delayed parent with two children; gives the three ids."""
    queue = client.queue
    later = JobOptions(delay=timedelta(hours=1))
    parent = queue.add(NewJob(name="whole", options=later))
    key = queue.keys.job(parent)
    return parent, *(
        queue.add(NewJob(name="part", parent_key=key, labels={"model": model}))
        for model in ("first", "second")
    )


def shown_flow(monitor) -> dict[str, tuple[str, str]]:
    nodes = monitor.snapshot()["detail"]["flow"]["nodes"].values()
    return {node["id"]: (node["name"], node["state"]) for node in nodes}


def test_the_flow_is_read_while_it_is_shown_and_follows_its_jobs(
    client, jobs, monitor, flow
):
    parent, first, second = flow
    monitor.handle({"event": "open", "id": first})
    assert monitor.snapshot()["detail"]["flow"] is None
    monitor.handle({"event": "flow", "is_open": True})
    assert shown_flow(monitor) == {
        parent: ("whole", "delayed"),
        first: ("first", "waiting"),
        second: ("second", "waiting"),
    }
    assert jobs.claim() == first
    assert jobs.claim() == second
    client.queue.complete(second, TOKEN, {})
    monitor.apply(Changes(moved={second}))
    assert shown_flow(monitor)[second] == ("second", "completed")
    monitor.handle({"event": "open", "id": parent})
    assert shown_flow(monitor).keys() == {parent, first, second}
    monitor.handle({"event": "flow", "is_open": False})
    assert monitor.snapshot()["detail"]["flow"] is None


def test_a_job_without_relatives_has_no_flow(jobs, monitor):
    monitor.handle({"event": "flow", "is_open": True})
    monitor.handle({"event": "open", "id": jobs.waiting()})
    assert monitor.snapshot()["detail"]["flow"] is None
    assert monitor.snapshot()["detail"]["family"] is None


def test_a_hook_is_asked_about_every_value_of_a_job(client, jobs):
    seen = {}

    def hook(field, value):
        seen[field] = value
        return f"[{field}]"

    controller = MonitorController(
        client.connection, ControllerOptions(redaction=Redaction(hook))
    )
    job_id = client.queue.add(NewJob(name="certify", data={"a": 1}))
    assert jobs.claim() == job_id
    client.queue.log(job_id, ["line"])
    client.queue.progress(job_id, {"percent": 5, "check": "noise"})
    client.queue.fail(job_id, TOKEN, "no", "Traceback")
    controller.handle({"event": "open", "id": job_id})
    controller.load()
    state = controller.snapshot()
    detail = state["detail"]
    assert detail["log"]["lines"] == ["[log]"]
    assert detail["error"]["reason"] == detail["row"]["reason"] == "[error]"
    assert detail["error"]["stacktrace"] == ["[stacktrace]"]
    assert json.loads(detail["data"]) == "[data]"
    assert not detail["is_data_whole"]
    assert json.loads(detail["options"]) == "[options]"
    assert state["rows"][job_id]["step"] == "[progress]"
    assert seen["data"] == {"a": 1}
    done = jobs.completed(value={"checks": [{"id": "noise", "message": "Ana"}]})
    controller.handle({"event": "open", "id": done})
    detail = controller.snapshot()["detail"]
    assert json.loads(detail["result"]) == "[result]"
    assert detail["checks"] == []


def test_details_say_whether_the_data_are_shown_as_they_are(client, monitor):
    plain, secret = (
        client.queue.add(NewJob(name="certify", data=data))
        for data in ({"a": 1}, {"token": "x"})
    )
    for job_id, is_whole in ((plain, True), (secret, False)):
        monitor.handle({"event": "open", "id": job_id})
        assert monitor.snapshot()["detail"]["is_data_whole"] is is_whole
