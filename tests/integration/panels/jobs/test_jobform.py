"""The form for one job: add, duplicate with edits, edit the data of a waiting one."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from myia_sdk.panels.controllers.monitor import MonitorController
from myia_sdk.panels.live import ControllerOptions
from myia_sdk.panels.permissions import (
    Action,
    ActionRefusedError,
    Permissions,
    Redaction,
)
from myia_sdk.queue.jobs import Deduplication, JobOptions, JobState, NewJob
from tests.helpers.panel_probe import *  # noqa: F403

REQUEST = {
    "model": {"kind": "openai", "name": "tiny", "model": "tiny"},
    "suite": "chat-baseline",
    "dataset": None,
    "region": "eu-west-1",
    "parameters": {},
}


@pytest.fixture
def monitor(client):
    controller = MonitorController(client.connection)
    controller.load()
    return controller


def form(monitor):
    return monitor.snapshot()["form"]


def add(monitor, name="square", data="{}", options="{}"):
    monitor.handle({"event": "compose", "mode": "add"})
    event = {"event": "add", "name": name, "data": data, "options": options}
    monitor.handle(event)


def test_a_job_is_added_with_data_and_options(client, monitor):
    options = {
        "attempts": 5,
        "backoff": {"type": "exponential", "delay": 1000, "jitter": 0.5, "cap": 9000},
        "delay": 60_000,
        "priority": 3,
        "jobId": "by-hand",
        "timeout": 2500,
        "removeOnComplete": {"age": 60, "count": 5},
        "removeOnFail": True,
        "keepLogs": 7,
        "stackTraceLimit": 2,
        "deduplication": {"id": "once", "ttl": 5000},
    }
    add(monitor, data='{"n": 3}', options=json.dumps(options))
    job = client.queue.job("by-hand")
    assert (job.name, job.data, job.state) == ("square", {"n": 3}, JobState.DELAYED)
    assert (job.max_attempts, job.priority) == (5, 3)
    assert job.options.backoff.cap == timedelta(seconds=9)
    assert (job.options.remove_on_complete.count, job.options.keep_logs) == (5, 7)
    assert job.options.deduplication == Deduplication(
        id="once", ttl=timedelta(seconds=5)
    )
    assert job.fields["timeout"] == "2500"
    assert form(monitor) is None
    assert "by-hand" in monitor.notice["text"]
    assert "by-hand" in monitor.snapshot()["rows"]


def test_a_certification_added_by_hand_has_its_labels(client, monitor):
    add(monitor, name="certify", data=json.dumps(REQUEST))
    (job,) = client.queue.page(JobState.WAITING)
    assert job.labels == {
        "model": "tiny",
        "suite": "chat-baseline",
        "region": "eu-west-1",
    }


WRONG = [
    ("name", {"name": " "}, "Name the task"),
    ("data", {"data": '{"a": 1,}'}, "line 1, column 9"),
    ("data", {"data": '{"a": NaN}'}, "NaN"),
    ("data", {"name": "certify", "data": "{}"}, "lacks the key 'suite'"),
    ("data", {"name": "certify", "data": '"x"'}, "request"),
    ("options", {"options": "[1]"}, "An object"),
    ("options", {"options": '{"atempts": 1}'}, "no option atempts"),
    ("options", {"options": '{"attempts": 0}'}, "attempts is 0"),
    ("options", {"options": '{"attempts": true}'}, "whole number"),
    ("options", {"options": '{"delay": -1}'}, "delay is -1"),
    ("options", {"options": '{"priority": 2097152}'}, "2,097,151"),
    ("options", {"options": '{"priority": 1.5}'}, "whole number"),
    ("options", {"options": '{"lifo": 1}'}, "true or false"),
    ("options", {"options": '{"backoff": {"type": "mine"}}'}, "fixed or exponential"),
    ("options", {"options": '{"backoff": {"jitter": 2}}'}, "jitter"),
    ("options", {"options": '{"removeOnFail": {}}'}, "count"),
    ("options", {"options": '{"deduplication": {"ttl": 1}}'}, "an object with id"),
    ("options", {"options": '{"jobId": "5"}'}, "cannot be a job id"),
    ("options", {"options": '{"jobId": 5}'}, "a text"),
    ("options", {"options": '{"parent": {}}'}, "no option parent"),
]


@pytest.mark.parametrize(
    ("field", "over", "text"), WRONG, ids=[str(case[1])[:40] for case in WRONG]
)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_added(
    client, monitor, field, over, text
):
    event = {"name": "square", "data": "{}", "options": "{}", **over}
    monitor.handle({"event": "compose", "mode": "add"})
    monitor.handle({"event": "check_job", **event})
    checked = form(monitor)["errors"]
    monitor.handle({"event": "add", **event})
    assert form(monitor)["errors"] == checked
    assert set(checked) == {field}
    assert text in checked[field]
    assert sum(client.queue.counts().values()) == 0


def test_a_text_beyond_the_limit_is_refused(client, monitor):
    with pytest.raises(ActionRefusedError, match="at most"):
        add(monitor, data=f'"{"x" * 200_000}"')
    assert sum(client.queue.counts().values()) == 0


def test_errors_go_as_soon_as_the_text_is_right(monitor):
    monitor.handle({"event": "compose", "mode": "add"})
    monitor.handle({"event": "check_job", "name": "a", "data": "{", "options": "{}"})
    assert form(monitor)["errors"]
    monitor.handle({"event": "check_job", "name": "a", "data": "{}", "options": ""})
    assert form(monitor)["errors"] == {}
    monitor.handle({"event": "close_form"})
    assert form(monitor) is None


def test_an_id_in_use_is_told_beside_the_options(client, monitor):
    add(monitor, options='{"jobId": "mine"}')
    add(monitor, data='{"other": 1}', options='{"jobId": "mine"}')
    assert "exists already" in form(monitor)["errors"]["options"]
    assert client.queue.job("mine").data == {}


def test_a_duplicate_starts_from_data_and_options_and_leaves_the_bound_ones(
    client, jobs, monitor
):
    source = client.queue.add(
        NewJob(
            name="certify",
            data=REQUEST,
            labels={"model": "tiny", "tags": "nightly", "verdict": "certified"},
            fields={"timeout": "9000"},
            options=JobOptions(
                attempts=4,
                job_id="first",
                keep_logs=50,
                deduplication=Deduplication(id="once"),
            ),
        )
    )
    monitor.handle({"event": "compose", "mode": "duplicate", "ids": [source]})
    shown = form(monitor)
    assert (shown["name"], json.loads(shown["data"])) == ("certify", REQUEST)
    assert json.loads(shown["options"]) == {
        "attempts": 4,
        "keepLogs": 50,
        "timeout": 9000,
    }
    # It may be gone meanwhile: what was read is what is copied.
    client.administration.remove(source)
    edited = {**REQUEST, "region": None, "model": {**REQUEST["model"], "name": "big"}}
    monitor.handle(
        {
            "event": "duplicate",
            "ids": [source],
            "name": "certify",
            "data": json.dumps(edited),
            "options": '{"attempts": 2}',
        }
    )
    (row,) = client.queue.page(JobState.WAITING)
    job = client.queue.job(row.id)
    assert (job.data, job.max_attempts) == (edited, 2)
    assert job.labels == {"model": "big", "suite": "chat-baseline", "tags": "nightly"}
    assert "timeout" not in job.fields


def test_hidden_data_are_copied_and_cannot_be_edited(client, jobs):
    source = client.queue.add(NewJob(name="square", data={"api_key": "sk-1", "n": 2}))
    monitor = MonitorController(
        client.connection, ControllerOptions(redaction=Redaction())
    )
    monitor.handle({"event": "compose", "mode": "duplicate", "ids": [source]})
    shown = form(monitor)
    assert "sk-1" not in str(monitor.snapshot())
    assert shown["is_data_whole"] is False
    event = {"event": "duplicate", "ids": [source], "name": "square", "options": ""}
    monitor.handle({**event, "data": shown["data"].replace("2", "3")})
    assert "hidden" in form(monitor)["errors"]["data"]
    monitor.handle({**event, "data": shown["data"]})
    assert form(monitor) is None
    copies = [client.queue.job(row.id) for row in client.queue.page(JobState.WAITING)]
    assert [job.data for job in copies] == [{"api_key": "sk-1", "n": 2}] * 2


def test_data_of_a_waiting_job_can_be_edited(client, monitor):
    job_id = client.queue.add(NewJob(name="square", data=[1]))
    monitor.handle({"event": "compose", "mode": "update", "ids": [job_id]})
    monitor.handle({"event": "update", "ids": [job_id], "data": "{"})
    assert "No JSON" in form(monitor)["errors"]["data"]
    monitor.handle({"event": "update", "ids": [job_id], "data": "[1, 2]"})
    assert form(monitor) is None
    assert client.queue.job(job_id).data == [1, 2]


def test_edited_data_of_a_certification_change_its_labels(client, monitor):
    add(monitor, name="certify", data=json.dumps(REQUEST))
    (row,) = client.queue.page(JobState.WAITING)
    data = json.dumps({**REQUEST, "region": "us-east-1"})
    monitor.handle({"event": "update", "ids": [row.id], "data": data})
    assert client.queue.job(row.id).labels["region"] == "us-east-1"
    with pytest.raises(ActionRefusedError, match="suite"):
        monitor.handle({"event": "update", "ids": [row.id], "data": '{"model": {}}'})


def test_jobs_in_a_wrong_state_or_gone_open_no_form(jobs, monitor):
    with pytest.raises(ActionRefusedError, match="active"):
        monitor.handle({"event": "compose", "mode": "update", "ids": [jobs.active()]})
    with pytest.raises(ActionRefusedError, match="gone"):
        monitor.handle({"event": "compose", "mode": "duplicate", "ids": ["nobody"]})
    with pytest.raises(ActionRefusedError, match="no form"):
        monitor.handle({"event": "compose", "mode": "obliterate"})
    assert form(monitor) is None


@pytest.mark.parametrize("mode", ["add", "duplicate", "update"])
def test_what_is_denied_opens_no_form_and_sends_nothing(client, jobs, mode):
    job_id = jobs.waiting()
    permissions = Permissions(denied=frozenset({Action(mode)}))
    monitor = MonitorController(
        client.connection, ControllerOptions(permissions=permissions)
    )
    event = {"ids": [job_id], "name": "x", "data": "{}", "options": "{}"}
    for name in ("compose", mode):
        with pytest.raises(ActionRefusedError, match="switched off"):
            monitor.handle({"event": name, "mode": mode, **event})
    assert client.queue.counts()[JobState.WAITING] == 1
    assert mode not in monitor.snapshot()["permissions"]


def test_problems_are_told_in_portuguese(client):
    monitor = MonitorController(client.connection, ControllerOptions(language="pt-BR"))
    add(monitor, options='{"attempts": 0}')
    assert "informe um número inteiro" in form(monitor)["errors"]["options"]
