"""Every frame has exactly these columns and dtypes, whatever the number of rows."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from myia_sdk import frames
from myia_sdk.errors import ConfigurationError
from myia_sdk.queue.jobs import JobState, Metrics
from myia_sdk.queue.jobs.metrics import MetricsPoint
from myia_sdk.queue.jobs.timetable import Timetable
from myia_sdk.queue.store import Event
from myia_sdk.queue.store.schedulers import JobScheduler
from myia_sdk.queue.wire.workers import WorkerRecord
from tests.helpers.frame_records import NOW, make_check, make_job, make_report

#: pandas 3 has a text dtype of its own; pandas 2 keeps texts as objects.
T = str(pd.Series([], dtype="str").dtype)
INT, N, F = "Int64", "Float64", "boolean"
AT, SPAN, WORD = "datetime64[us, UTC]", "timedelta64[us]", "category"

SCHEMAS = {
    "jobs": {
        "id": T, "state": WORD, "name": T, "model": T, "suite": T, "region": T,
        "verdict": WORD, "score": N, "rating": WORD, "error_category": T,
        "progress": N, "created_at": AT, "processed_at": AT, "finished_at": AT,
        "waited": SPAN, "duration": SPAN, "delay": SPAN, "priority": INT,
        "attempts_made": INT, "max_attempts": INT, "stalled_count": INT, "worker": T,
        "reason": T, "tags": T, "batch": T, "submitter": T, "malformed": F,
    },
    "jobs with everything": {
        "id": T, "data": T, "result": T, "traceback": T, "parent": T, "scheduler": T,
        "deduplication": T,
    },
    "batch": {
        "id": T, "model": T, "region": T, "suite": T, "state": WORD, "progress": N,
        "verdict": WORD, "score": N, "rating": WORD, "error_category": T,
        "attempts_made": INT, "max_attempts": INT, "created_at": AT, "processed_at": AT,
        "finished_at": AT, "waited": SPAN, "duration": SPAN, "worker": T, "reason": T,
        "batch": T,
    },
    "counts": {"state": WORD, "jobs": INT},
    "logs": {"job_id": T, "line": INT, "text": T},
    "events": {
        "id": T, "at": AT, "event": T, "job_id": T, "from_state": T, "reason": T,
        "detail": T,
    },
    "workers": {
        "client_id": INT, "name": T, "address": T, "connected_at": AT, "idle": SPAN,
        "library": T, "is_listed": F,
    },
    "metrics": {"period": AT, "completed": INT, "failed": INT},
    "checks": {
        "job_id": T, "check": T, "outcome": WORD, "severity": WORD, "value": N,
        "unit": T, "comparator": T, "passed_at": N, "warned_at": N, "ci_low": N,
        "ci_high": N, "sample_size": INT, "needed": INT, "duration": SPAN,
        "retries": INT,
        "error_category": T, "message": T, "model": T, "suite": T, "region": T,
    },
    "certificates": {
        "id": T, "model": T, "region": T, "suite": T, "suite_version": T,
        "verdict": WORD, "score": N, "rating": WORD, "coverage": N, "level": INT,
        "suite_origin": T, "error_category": T,
        "issued_at": AT, "expires_at": AT, "is_valid": F, "is_development": F,
        "key_id": T, "subject": T, "artifact": T, "job_id": T,
    },
    "models": {
        "name": T, "kind": T, "suite": T, "regions": T, "has_dataset": F, "model": T,
        "artifact": T, "registered_at": AT,
    },
    "schedulers": {
        "id": T, "name": T, "every": SPAN, "pattern": T, "tz": T, "next_run_at": AT,
        "runs": INT, "limit": INT, "start_at": AT, "end_at": AT, "model": T, "suite": T,
    },
    "calibration": {
        "job_id": T, "low": N, "high": N, "count": INT, "confidence": N, "accuracy": N,
    },
    "samples": {
        "job_id": T, "sample": INT, "check": T, "outcome": T, "first_token": SPAN,
        "latency": SPAN, "tokens": INT, "finish_reason": T, "retries": INT, "error": T,
    },
}  # fmt: skip
OPT_IN = ["data", "result", "traceback", "parent", "scheduler", "deduplication"]


def jobs(n: int) -> list[Any]:
    return [make_job(f"j{i}") for i in range(n)]


def reports(n: int) -> list[Any]:
    bins = [{"low": 0.9, "high": 1.0, "count": 3, "confidence": 0.95, "accuracy": 1.0}]
    check = make_check("calibration", details={"bins": bins})
    return [(f"j{i}", make_report(check)) for i in range(n)]


def metrics(n: int) -> list[Any]:
    minutes = [MetricsPoint(NOW - timedelta(minutes=i), i) for i in range(n)]
    return [Metrics(state=JobState.COMPLETED, count=n, points=tuple(minutes))]


def certificate(i: int, **over: Any) -> dict[str, Any]:
    return {
        "id": f"c{i}", "job": f"j{i}", "model": f"m{i}", "region": None,
        "suite": "s", "suite_version": "1", "verdict": "certified", "score": 92.5,
        "rating": "A", "category": None,
        "issued_at": (NOW + timedelta(hours=i)).isoformat(),
        "expires_at": (NOW + timedelta(days=7)).isoformat(), "key_id": "k",
        "is_development": True, "subject": "sha256:0", "artifact": "sha256:1", **over,
    }  # fmt: skip


def model(i: int) -> SimpleNamespace:
    return SimpleNamespace(
        name=f"m{i}", kind="openai", suite="chat-baseline", dataset=None,
        model={"kind": "openai", "model": "gpt", "url": "https://user:pw@host/"},
        regions=("eu-west-1", "us-east-1"), registered_at=NOW,
    )  # fmt: skip


def worker(i: int) -> WorkerRecord:
    return WorkerRecord(
        name="", address="127.0.0.1:1", connected_for=timedelta(seconds=i),
        idle_for=timedelta(0), client_id=i, library="redis-py 8", is_listed=True,
    )  # fmt: skip


def event(i: int) -> Event:
    fields = {"prev": "active", "returnvalue": '{"secret": 1}'}
    return Event(
        id=f"{1795456420257 + i}-0", name="completed", job_id="j", fields=fields
    )


def scheduler(i: int) -> JobScheduler:
    hourly = Timetable(every=timedelta(hours=1))
    return JobScheduler(
        id=f"s{i}", name="certify", timetable=hourly, next_run_at=NOW, iterations=i
    )


BUILDERS = {
    "jobs": lambda n: frames.jobs_frame(jobs(n)),
    "jobs with everything": lambda n: frames.jobs_frame(jobs(n), columns=OPT_IN),
    "batch": lambda n: frames.batch_frame(jobs(n)),
    "counts": lambda n: frames.counts_frame(dict.fromkeys(list(JobState)[:n], 2)),
    "logs": lambda n: frames.logs_frame("j1", ["line"] * n),
    "events": lambda n: frames.events_frame([event(i) for i in range(n)]),
    "workers": lambda n: frames.workers_frame([worker(i) for i in range(n)]),
    "metrics": lambda n: frames.metrics_frame(metrics(n)),
    "checks": lambda n: frames.checks_frame(reports(n)),
    "certificates": lambda n: frames.certificates_frame(map(certificate, range(n))),
    "models": lambda n: frames.models_frame([model(i) for i in range(n)]),
    "schedulers": lambda n: frames.schedulers_frame(list(map(scheduler, range(n)))),
    "calibration": lambda n: frames.calibration_frame(reports(n)),
    "samples": lambda n: frames.samples_frame([("j1", {"check": "ttft"})] * n),
}


@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_exact_for_any_number_of_rows(name: str, rows: int) -> None:
    frame = BUILDERS[name](rows)
    assert {k: str(v) for k, v in frame.dtypes.items()} == SCHEMAS[name]
    assert list(frame.columns) == list(SCHEMAS[name])
    assert len(frame) == rows
    assert frame.index.equals(pd.RangeIndex(rows))


@pytest.mark.parametrize("name", SCHEMAS)
def test_categories_are_the_same_without_rows(name: str) -> None:
    empty, full = BUILDERS[name](0), BUILDERS[name](3)
    for column, dtype in empty.dtypes.items():
        assert dtype == full[column].dtype
        if isinstance(dtype, pd.CategoricalDtype):
            assert dtype.ordered
    pd.testing.assert_frame_equal(full.iloc[:0].reset_index(drop=True), empty)


def test_documentation_lists_every_column_of_every_frame() -> None:
    documented = inspect.cleandoc(frames.__doc__ or "").partition("::\n\n")[2]
    assert inspect.cleandoc(documented) == frames.describe_columns()
    makers = {name for name in frames.__all__ if name.endswith("_frame")}
    assert makers == {*frames.FRAMES, "batch_frame"}


def test_states_are_ordered_from_far_to_done() -> None:
    found = [
        make_job("a", state=JobState.ACTIVE),
        make_job("b", state=JobState.WAITING),
    ]
    frame = frames.jobs_frame(found).sort_values("state")
    assert list(frame["id"]) == ["b", "a"]
    assert (frame["state"] < "completed").all()
    assert len(frame["state"].dtype.categories) == len(JobState)


def test_values_of_a_job() -> None:
    row = frames.jobs_frame([make_job()]).iloc[0]
    assert row["created_at"] == pd.Timestamp(NOW)
    assert row["waited"] == timedelta(seconds=2)
    assert row["duration"] == timedelta(seconds=3)
    assert (row["score"], row["rating"], row["verdict"]) == (92.5, "A", "certified")
    assert row["progress"] == 100.0
    assert row["max_attempts"] == 4
    assert pd.isna(row["reason"])
    assert pd.isna(row["batch"])


def test_unfinished_jobs_have_missing_times_and_spans() -> None:
    job = make_job(processed_at=None, finished_at=None, state=JobState.WAITING)
    row = frames.jobs_frame([job]).iloc[0]
    for column in ("processed_at", "finished_at", "waited", "duration"):
        assert row[column] is pd.NaT


def test_words_that_are_no_category_are_missing() -> None:
    job = make_job(state=None, labels={"verdict": "splendid", "rating": "Z"})
    row = frames.jobs_frame([job]).iloc[0]
    assert row[["state", "verdict", "rating"]].isna().all()


@pytest.mark.parametrize("score", ["", "many", "nan?"])
def test_a_score_that_is_no_number_is_missing(score: str) -> None:
    assert pd.isna(frames.jobs_frame([make_job(labels={"score": score})])["score"][0])


def test_payloads_are_opt_in() -> None:
    job = make_job(data={"key": "value"}, return_value=[1], stacktrace=("a", "b"))
    listing = frames.jobs_frame([job])
    assert not {"data", "result", "traceback"} & set(listing)
    row = frames.jobs_frame([job], columns=["data", "result", "traceback"]).iloc[0]
    assert (row["data"], row["result"]) == ('{"key":"value"}', "[1]")
    assert row["traceback"] == "b"


def test_long_payloads_are_cut_when_shown() -> None:
    frame = frames.jobs_frame([make_job(data="x" * 9_000)], columns=["data"])
    assert len(frame.to_string(max_colwidth=50)) < 200
    assert "x" * 100 not in repr(frame)
    assert "x" * 100 not in frame._repr_html_()


def test_identity_comes_first_and_asked_order_follows() -> None:
    frame = frames.jobs_frame([], columns=["state", "model", "id"])
    assert list(frame) == ["id", "state", "model"]


def test_unknown_column_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no column 'stat'.*state"):
        frames.jobs_frame([], columns=["stat"])


def test_attrs_say_when_and_how_fully() -> None:
    frame = frames.jobs_frame([], as_of=NOW, truncated=True)
    assert frame.attrs == {"as_of": NOW.isoformat(), "truncated": True}
    before = datetime.now(UTC)
    now = datetime.fromisoformat(frames.jobs_frame([]).attrs["as_of"])
    assert before <= now <= datetime.now(UTC)


def test_records_are_not_changed() -> None:
    job = make_job()
    frame = frames.jobs_frame([job])
    frame.loc[0, "model"] = "other"
    assert job.labels["model"] == "forest"


def test_logs_say_whether_lines_are_missing() -> None:
    frame = frames.logs_frame("j1", ["b", "c"], start=1, total=3)
    assert list(frame["line"]) == [1, 2]
    assert frame.attrs["truncated"]


def test_events_keep_results_out() -> None:
    frame = frames.events_frame([event(0)])
    assert "secret" not in frame.to_csv()
    assert "secret" in frames.events_frame([event(0)], columns=["result"]).to_csv()


def test_event_of_a_broken_id_has_no_time() -> None:
    odd = Event(id="x", name="odd", job_id=None, fields={"a": "1"})
    row = frames.events_frame([odd]).iloc[0]
    assert row["at"] is pd.NaT
    assert row["detail"] == '{"a": "1"}'


def test_metrics_fill_gaps_and_sum_periods() -> None:
    done = Metrics(
        state=JobState.COMPLETED,
        count=7,
        points=(MetricsPoint(NOW, 4), MetricsPoint(NOW - timedelta(minutes=3), 3)),
    )
    minutes = frames.metrics_frame([done])
    assert list(minutes["completed"]) == [3, 0, 0, 4]
    assert list(minutes["failed"]) == [0, 0, 0, 0]
    hours = frames.metrics_frame([done], period="1h")
    assert list(hours["completed"]) == [3, 4]
    assert str(hours["period"].dtype) == AT


@pytest.mark.parametrize("period", ["90s", "soon", "-5min", "0min", "NaT"])
def test_metrics_refuse_what_is_not_whole_minutes(period: str) -> None:
    with pytest.raises(ConfigurationError, match="whole minutes"):
        frames.metrics_frame([], period=period)


def test_certificates_show_the_latest_of_each_model_region_and_suite() -> None:
    rows = [certificate(i, model="m") for i in range(3)]
    rows.append(certificate(4, model="m", region="eu"))
    latest = frames.certificates_frame(rows, as_of=NOW)
    assert list(latest["id"]) == ["c4", "c2"]
    assert len(frames.certificates_frame(rows, history=True)) == 4


def test_certificate_is_valid_until_it_expires_or_is_revoked() -> None:
    rows = [certificate(0), certificate(1), certificate(2, expires_at=None)]
    frame = frames.certificates_frame(rows, revoked=["c1"], as_of=NOW).set_index("id")
    assert frame.loc["c0", "is_valid"]
    assert not frame.loc["c1", "is_valid"]
    assert pd.isna(frame.loc["c2", "is_valid"])
    later = frames.certificates_frame(rows[:1], as_of=NOW + timedelta(days=8))
    assert not later["is_valid"].any()


def test_models_show_no_addresses() -> None:
    text = frames.models_frame([model(0)]).to_csv()
    assert "pw@" not in text
    assert "eu-west-1,us-east-1" in text


def test_checks_carry_threshold_interval_and_report() -> None:
    broken = make_check(
        "ttft", outcome="error", value=None, threshold=None, ci_low=None, ci_high=None,
        sample_size=None, category="TIMEOUT",
    )  # fmt: skip
    frame = frames.checks_frame([("j1", make_report(make_check(), broken))])
    first, second = frame.iloc[0], frame.iloc[1]
    assert (first["passed_at"], first["warned_at"], first["ci_low"]) == (
        0.85,
        0.8,
        0.88,
    )
    assert first["duration"] == timedelta(milliseconds=12.5)
    assert (first["model"], first["suite"]) == ("forest", "classifier-baseline")
    assert second[["value", "passed_at", "comparator", "sample_size"]].isna().all()
    assert (second["outcome"], second["error_category"]) == ("error", "TIMEOUT")


def test_calibration_ignores_reports_without_bins() -> None:
    odd = make_check("calibration", details={"bins": [{"low": 0.1}, 3]})
    assert frames.calibration_frame(
        [("a", make_report()), ("b", make_report(odd))]
    ).empty


def test_samples_read_what_is_there() -> None:
    sample = {
        "check": "ttft", "first_text_ms": 90.5, "elapsed_ms": 800, "retries": [{}, {}],
        "messages": [{"role": "user"}], "usage": {"completion_tokens": 12},
    }  # fmt: skip
    rows = [("j1", sample), ("j2", {"elapsed_ms": "fast"}), ("j1", {"error": "x"})]
    frame = frames.samples_frame(rows)
    assert list(frame["sample"]) == [0, 0, 1]
    assert frame["first_token"][0] == timedelta(milliseconds=90.5)
    assert (frame["tokens"][0], frame["retries"][0]) == (12, 2)
    assert frame.iloc[1][["check", "latency", "tokens"]].isna().all()
    assert "messages" not in frame
    asked = frames.samples_frame(rows, columns=["messages"])["messages"]
    assert asked[0] == '[{"role": "user"}]'
