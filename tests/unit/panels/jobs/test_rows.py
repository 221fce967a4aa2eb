from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.panels.controllers.queue import by_minute, last_beat
from myia_sdk.panels.controllers.search import matches, parse_query
from myia_sdk.panels.jobs.rows import check_rows, job_row, percent_of, step_of, timeline
from myia_sdk.panels.page.snapshot import static_html
from myia_sdk.panels.permissions import (
    Action,
    ActionRefusedError,
    Permissions,
    Redaction,
)
from myia_sdk.panels.permissions.redaction import masked, pretty
from myia_sdk.queue.jobs import Job, JobState, Metrics
from myia_sdk.queue.jobs.metrics import MetricsPoint

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_job(**over) -> Job:
    return Job(**{"id": "1", "name": "certify", "created_at": START, **over})


def row_of(job: Job) -> dict:
    return job_row(job, Redaction())


@pytest.mark.parametrize(
    ("progress", "percent"),
    [
        (0, 0.0),
        (0.4, 40.0),
        (1.0, 100.0),
        (1, 1.0),
        (55, 55.0),
        (250, 100.0),
        (-3, 0.0),
        ({"percent": 62, "check": "x"}, 62.0),
        ({"done": 3}, None),
        ("half", None),
        (True, None),
        (None, None),
        (float("nan"), None),
        ({"percent": {"percent": 5}}, 5.0),
    ],
)
def test_progress_of_any_shape(progress, percent):
    assert percent_of(progress) == percent


def test_the_step_is_what_the_job_says():
    assert step_of({"check": "noise", "done": 2, "total": 9}) == "noise (2/9)"
    assert step_of("loading") == "loading"
    assert step_of(5) == ""


def test_a_row_without_labels_has_a_name_and_no_verdict():
    row = row_of(make_job(state=JobState.WAITING))
    assert (row["name"], row["verdict"], row["progress"]) == ("certify", "", None)


def test_a_retried_job_does_not_show_its_old_end():
    job = make_job(
        state=JobState.WAITING,
        finished_at=START,
        labels={"verdict": "failed"},
        attempts_made=1,
        attempts_started=1,
        processed_at=START,
    )
    assert (row_of(job)["finished_at"], row_of(job)["verdict"]) == (None, "")


def test_the_timeline_is_in_order():
    job = make_job(
        state=JobState.COMPLETED,
        processed_at=START + timedelta(seconds=2),
        finished_at=START + timedelta(seconds=5),
        attempts_started=1,
        attempts_made=1,
        processed_by="w",
    )
    assert [step["what"] for step in timeline(job, row_of(job))] == [
        "created",
        "started",
        "completed",
    ]


def test_secrets_are_masked_at_any_depth_and_references_stay():
    value = {
        "a": [{"password": "x", "Api_Key": "y"}],
        "secret": "env:NAME",
        "token": None,
        "name": "z",
    }
    assert masked(value) == {
        "a": [{"password": "***", "Api_Key": "***"}],
        "secret": "env:NAME",
        "token": None,
        "name": "z",
    }


def test_long_texts_are_cut_with_a_note():
    shown = pretty({"a": "x" * 100_000})
    assert not shown.is_whole
    assert json.loads(shown.text)["a"].endswith("… 98,000 characters more")


@pytest.mark.parametrize(
    "value", [{"a": list(range(100_000))}, {str(n): n for n in range(100_000)}]
)
def test_long_values_are_shortened_and_stay_json(value):
    shown = pretty(value)
    assert len(shown.text) < 70_000
    assert "entries more" in str(json.loads(shown.text))[-40:]


def test_a_value_that_is_deeper_than_anyone_looks_is_cut():
    value: object = "x" * 60_000
    for _ in range(300):
        value = [value]
    assert "1 entries more" in pretty(value).text


@pytest.mark.parametrize("hook", [None, lambda _, value: value])
def test_a_value_that_cannot_be_walked_is_told(hook):
    value = json.loads('{"password": ' * 900 + '"canary"' + "}" * 900)
    shown = Redaction(hook).json("data", value)
    assert "canary" not in shown.text
    assert json.loads(shown.text).startswith("[")
    assert not shown.is_whole


def test_a_hook_sees_values_and_decides_what_is_shown():
    seen = []

    def hook(field, value):
        seen.append((field, value))
        return {"name": "[person]"} if field == "data" else value

    redaction = Redaction(hook)
    value = {"name": "Ana", "password": "x"}
    assert json.loads(redaction.json("data", value).text) == {"name": "[person]"}
    assert redaction.text("log", "line") == "line"
    assert json.loads(redaction.json("result", value).text)["password"] == "***"
    assert seen == [("data", value), ("log", "line"), ("result", value)]


def test_a_hook_that_raises_hides_the_value_and_is_told_once(caplog):
    def hook(field, value):
        raise ValueError(f"cannot read {value}")

    redaction = Redaction(hook)
    shown = [redaction.text("log", "top secret") for _ in range(3)]
    assert shown == ["[redaction failed]"] * 3
    assert redaction.json("data", {"a": 1}).text == '"[redaction failed]"'
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"The redaction of {f} failed with ValueError" for f in ("log", "data")
    ]
    assert "top secret" not in caplog.text


def test_a_hook_cannot_change_the_job_itself():
    value = {"a": {"b": 1}}
    Redaction(lambda _, data: data["a"].clear()).json("data", value)
    assert value == {"a": {"b": 1}}


def test_only_a_value_shown_as_it_is_counts_as_whole():
    assert Redaction().json("data", {"a": [1]}).is_whole
    assert not Redaction().json("data", {"token": "x"}).is_whole
    assert not Redaction(lambda *_: 0).json("data", 1).is_whole


@pytest.mark.parametrize("value", [None, 5, "x", [], {"checks": "x"}, {"checks": [1]}])
def test_results_that_are_no_report_have_no_checks(value):
    assert check_rows(value) == []


def test_numbers_that_json_cannot_hold_become_null():
    (row,) = check_rows(
        {"checks": [{"id": "a", "value": float("inf"), "ci_low": True}]}
    )
    assert (row["value"], row["ci_low"]) == (None, None)


def test_queries_split_into_words_and_labels():
    query = parse_query("digits model:tree Verdict:failed a:b :c x:")
    assert query.words == ("digits", "a:b", ":c", "x:")
    assert query.labels == {"model": "tree", "verdict": "failed"}
    job = make_job(
        labels={"model": "Tree-2", "verdict": "failed", "tags": "digits,a:b"}
    )
    assert matches(job, parse_query("model:tree verdict:failed digits"))
    assert not matches(job, parse_query("model:forest"))
    assert not matches(job, parse_query("digits nightly"))


@pytest.mark.parametrize("beat", [{}, {"beat": "x"}, {"beat": 1, "running": 5}])
def test_workers_without_a_readable_heartbeat_are_shown_without_it(beat):
    unknown = {"running": None, "slots": None, "is_silent": False}
    assert last_beat(beat, 0) == unknown


def test_an_old_heartbeat_is_silence():
    beat = {"running": ["a"], "slots": 3, "beat": 1000}
    assert last_beat(beat, 2_000) == {"running": 1, "slots": 3, "is_silent": False}
    assert last_beat(beat, 90_000)["is_silent"] is True


def test_minutes_are_placed_by_their_time():
    now = START + timedelta(minutes=10, seconds=30)
    points = (
        MetricsPoint(START + timedelta(minutes=9), 4),
        MetricsPoint(START + timedelta(minutes=7), 2),
        MetricsPoint(START - timedelta(days=1), 9),
    )
    metrics = Metrics(state=JobState.COMPLETED, count=15, points=points)
    minutes = by_minute(metrics, int(now.timestamp() * 1000))
    assert (len(minutes), minutes[-4:], sum(minutes)) == (60, [2, 0, 4, 0], 6)


def test_static_copies_escape_everything():
    html = static_html(
        {
            "kind": "monitor",
            "queue": {"name": "<q>"},
            "counts": {"waiting": 1},
            "order": ["1"],
            "rows": {"1": row_of(make_job(labels={"model": "<script>x</script>"}))},
        },
        "en",
    )
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;q&gt;" in html
    assert "As of 20" in html
    assert static_html(None, "pt-BR") == "<p>Nenhum dado foi carregado.</p>"


def test_read_only_allows_reading_only():
    permissions = Permissions(is_read_only=True)
    allowed = {action for action in Action if permissions.allows(action)}
    assert allowed == {Action.EXPORT, Action.VERIFY, Action.DOWNLOAD}
    with pytest.raises(ActionRefusedError, match="switched off"):
        Permissions(denied=frozenset({Action.CLEAN})).check(Action.CLEAN)
