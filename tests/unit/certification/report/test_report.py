"""Reports and thresholds are plain data that survive JSON."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from myia_sdk.certification.checks import CheckRecord, Outcome, Severity, Threshold
from myia_sdk.certification.report import Report
from myia_sdk.certification.request import (
    CertificationRequest,
    DatasetRef,
    ModelRef,
    json_safe,
)
from myia_sdk.certification.suites.rules import Rules
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import CertificationError, PermanentCertificationError


def record(**changes):
    base = CheckRecord(
        id="performance",
        version="1.0.0",
        title="Performance",
        severity=Severity.CRITICAL,
        outcome=Outcome.PASSED,
        value=0.9,
        threshold=Threshold(passed=0.7, rule="bound"),
        ci_low=0.8,
        ci_high=0.95,
        sample_size=171,
        details={"metric": "roc_auc"},
    )
    return replace(base, **changes)


def report(*checks, **changes):
    started = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    base = Report(
        suite_id="classifier-baseline",
        suite_version="1.0.0",
        suite_digest="sha256:" + "0" * 64,
        model={"kind": "sklearn", "name": "m"},
        started_at=started,
        finished_at=started + timedelta(seconds=2),
        checks=checks or (record(),),
        score=100.0,
        rating="A",
        verdict=Verdict.CERTIFIED,
    )
    return replace(base, **changes)


def test_report_round_trip_through_json():
    original = report(
        record(),
        record(id="slices", outcome=Outcome.ERROR, category="TIMEOUT", temporary=True),
        reasons=("Score 100.",),
        region="eu-west-1",
        sample_log={"artifact": "sha256:" + "1" * 64, "samples": 3},
        resolved={"classes": ["a", "b"]},
    )
    text = json.dumps(original.to_record(), allow_nan=False)
    assert Report.from_record(json.loads(text)) == original


def test_report_ignores_keys_of_a_newer_version():
    content = report().to_record() | {"colour": "green", "schema_version": "9.0"}
    assert Report.from_record(content).schema_version == "9.0"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"verdict": "certain"}, "'verdict' is 'certain'"),
        ({"checks": 3}, "'checks' is 3; it must be a list"),
        ({"started_at": "yesterday"}, "'started_at' is 'yesterday'"),
        ({"rating": None}, "'rating' is None"),
    ],
)
def test_malformed_report_names_the_key(change, text):
    with pytest.raises(CertificationError, match=text):
        Report.from_record(report().to_record() | change)


def test_report_without_a_key_names_it():
    content = report().to_record()
    del content["suite_digest"]
    with pytest.raises(CertificationError, match="lacks the key 'suite_digest'"):
        Report.from_record(content)


def test_check_by_id():
    assert report().check("performance").value == 0.9
    with pytest.raises(CertificationError, match=r"no check 'speed'.*performance"):
        report().check("speed")


def test_record_refuses_numbers_json_cannot_hold():
    with pytest.raises(CertificationError, match="value = nan"):
        record(value=math.nan)


@pytest.mark.parametrize(
    ("threshold", "value", "interval", "outcome"),
    [
        (Threshold(passed=0.8), 0.8, None, "passed"),
        (Threshold(passed=0.8), 0.79, None, "failed"),
        (Threshold(passed=0.8, warned=0.7), 0.7, None, "warned"),
        (Threshold(passed=0.8, rule="bound"), 0.9, (0.81, 0.99), "passed"),
        (Threshold(passed=0.8, rule="bound"), 0.9, (0.79, 0.99), "warned"),
        (Threshold(passed=0.8, rule="bound"), 0.79, (0.5, 0.99), "failed"),
        (Threshold(passed=0.8, rule="bound"), 0.9, None, "passed"),
        (
            Threshold(comparator="<=", passed=0.05, warned=0.1, rule="bound"),
            0.04,
            (0.0, 0.06),
            "warned",
        ),
        (Threshold(comparator="<=", passed=0.05, warned=0.1), 0.09, None, "warned"),
        (Threshold(comparator="<", passed=0.8), 0.8, None, "failed"),
        (Threshold(comparator="==", passed=1.0), 1.0, None, "passed"),
        (Threshold(), -5.0, None, "passed"),
    ],
)
def test_threshold_judges(threshold, value, interval, outcome):
    assert threshold.judge(value, interval) == outcome


def test_twenty_of_twenty_is_the_least_that_shows_eighty_percent():
    from myia_sdk.certification.statistics.intervals import wilson_interval

    rule = Threshold(passed=0.8, rule="bound")
    assert rule.judge(1.0, wilson_interval(20, 20)) is Outcome.PASSED
    assert rule.judge(1.0, wilson_interval(7, 7)) is Outcome.WARNED


def test_json_safe_of_what_json_cannot_hold():
    found = json_safe(
        {
            "nan": math.nan,
            1: np.float32(0.5),
            "array": np.array([1, 2]),
            "when": datetime(2026, 1, 2, tzinfo=UTC),
            "long": timedelta(seconds=2),
            "set": {"x"},
            "bytes": b"\xff",
        }
    )
    assert found == {
        "nan": None,
        "1": 0.5,
        "array": [1, 2],
        "when": "2026-01-02T00:00:00+00:00",
        "long": 2000.0,
        "set": ["x"],
        "bytes": "b'\\xff'",
    }
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "interval", "outcome"),
    [
        (0.05, (0.0, 0.3), Outcome.PASSED),
        (0.15, (0.12, 0.3), Outcome.WARNED),
        (0.40, (0.20, 0.6), Outcome.WARNED),
        (0.40, (0.30, 0.6), Outcome.FAILED),
    ],
)
def test_a_problem_fails_only_where_its_whole_interval_does(value, interval, outcome):
    rule = Threshold(comparator="<=", passed=0.1, warned=0.25)
    assert rule.judge_problem(value, interval) is outcome
    turned = Threshold(comparator=">=", passed=-0.1, warned=-0.25)
    low, high = interval
    assert turned.judge_problem(-value, (-high, -low)) is outcome


def test_a_report_about_something_else_is_not_signed():
    """Code of a model could replace the report by one about another model."""
    digest = "sha256:" + "a" * 64
    request = CertificationRequest(
        model=ModelRef(kind="sklearn", name="m", artifact=digest),
        suite="classifier-baseline",
        dataset=DatasetRef(artifact=digest, rows=3),
    )
    right = report(model=request.model.to_record(), dataset=request.dataset.to_record())
    rules = Rules.of(request)
    right = replace(
        right, suite_digest=rules.suite.digest, suite_origin=rules.origin.value
    )
    right.require_answers(request, rules)
    again = Report.from_record(json.loads(json.dumps(right.to_record())))
    again.require_answers(request, rules)
    other = dict(right.model, artifact="sha256:" + "b" * 64)
    for change, what in [
        ({"model": other}, "model"),
        ({"dataset": None}, "dataset"),
        ({"suite_digest": "sha256:" + "c" * 64}, "suite"),
        ({"suite_origin": "own"}, "origin of the suite"),
        ({"overridden": ("performance",)}, "change of the suite"),
    ]:
        with pytest.raises(PermanentCertificationError, match=f"another {what}"):
            replace(right, **change).require_answers(request, rules)
