from __future__ import annotations

from datetime import timedelta

import pytest

from myia_sdk.arguments import to_timedelta
from myia_sdk.client.submit import Draft
from myia_sdk.client.wait import ProgressBar, progress_share
from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.jobs import Job, JobState
from myia_sdk.worker.certify import redact, secret_names


@pytest.mark.parametrize(
    ("progress", "share"),
    [
        (0, 0.0),
        (0.4, 0.4),
        (1, 1.0),
        (40, 0.4),
        (250, 1.0),
        (-3, 0.0),
        ({"percent": 31}, 0.31),
        ({"percent": "31"}, 0.0),
        ({}, 0.0),
        ("half", 0.0),
        (True, 0.0),
        (None, 0.0),
    ],
)
def test_progress_is_a_share_whatever_the_task_reports(progress, share):
    assert progress_share(Job(id="a", progress=progress)) == share


def test_completed_job_is_done_whatever_it_reported():
    assert progress_share(Job(id="a", state=JobState.COMPLETED, progress=3)) == 1.0


def test_bar_names_state_check_and_verdict(capsys):
    bar = ProgressBar("job a", is_shown=True)
    active = Job(id="a", state=JobState.ACTIVE, progress={"percent": 50, "check": "c"})
    bar.show({"a": active})
    done = Job(id="a", state=JobState.COMPLETED, labels={"verdict": "certified"})
    bar.show({"a": done, "b": active})
    bar.show({"a": done})
    bar.close()
    shown = capsys.readouterr().err
    assert "active, c" in shown
    assert "1 active, 1 completed" in shown
    assert "completed, verdict certified" in shown


def test_durations_are_seconds_or_timedelta():
    assert to_timedelta(1.5, "delay") == timedelta(seconds=1.5)
    assert to_timedelta(timedelta(hours=1), "delay") == timedelta(hours=1)
    assert to_timedelta(None, "delay") is None
    for wrong in (-1, "1", True, float("nan"), float("inf"), timedelta(-1)):
        with pytest.raises(InvalidJobError, match="delay"):
            to_timedelta(wrong, "delay")


def test_labels_leave_out_what_is_empty():
    draft = Draft(tags=(" a", "b"), timeout=timedelta(seconds=2))
    assert draft.labels(model="m", region=None) == {"model": "m", "tags": "a,b"}
    assert draft.fields() == {"timeout": "2000"}
    assert Draft().fields() == {}


def test_secrets_are_replaced_by_value():
    secrets = {"env:KEY": "sk-0123456789", "env:SHORT": "a"}
    assert redact("key sk-0123456789 a", secrets) == "key *** a"
    assert secret_names({"secret": "env:KEY"}) == ("KEY",)
    assert secret_names({"secret": None}) == secret_names({}) == ()
