"""Reports made by hand, for tests of what happens to a report afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from myia_sdk.certification.checks import CheckRecord, Outcome, Severity, Threshold
from myia_sdk.certification.report import Report
from myia_sdk.certification.suites.policy import STANDARD
from myia_sdk.certification.verdict import Verdict

STARTED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def make_check(check_id: str = "performance", **over: Any) -> CheckRecord:
    base = CheckRecord(
        id=check_id,
        version="1.0.0",
        title=check_id.replace("-", " ").capitalize(),
        severity=Severity.MAJOR,
        outcome=Outcome.PASSED,
        value=0.93,
        threshold=Threshold(comparator=">=", passed=0.8, warned=0.7),
        ci_low=0.89,
        ci_high=0.96,
        sample_size=114,
        duration_ms=12.5,
        message="0.93 of the answers were right",
    )
    return replace(base, **over)


def make_report(**over: Any) -> Report:
    base = Report(
        suite_id="classifier-baseline",
        suite_version="1.0.0",
        suite_digest="sha256:" + "5" * 64,
        model={
            "kind": "sklearn",
            "name": "iris-forest",
            "artifact": "sha256:" + "a" * 64,
        },
        dataset={"artifact": "sha256:" + "d" * 64, "rows": 114, "name": "iris"},
        started_at=STARTED,
        finished_at=STARTED + timedelta(seconds=3),
        checks=(
            make_check(),
            make_check("calibration", outcome=Outcome.WARNED, value=0.75),
            make_check(
                "noise",
                outcome=Outcome.FAILED,
                value=0.2,
                suggestions=("Add noise to the training data.",),
            ),
            make_check(
                "fairness",
                outcome=Outcome.SKIPPED,
                value=None,
                ci_low=None,
                ci_high=None,
                sample_size=None,
                threshold=None,
                message="No sensitive column.",
            ),
            make_check(
                "leakage",
                outcome=Outcome.ERROR,
                value=None,
                ci_low=None,
                ci_high=None,
                sample_size=None,
                category="TIMEOUT",
                message="ReadTimeout: 30 s",
            ),
        ),
        score=83.3,
        rating="B",
        policy=STANDARD.to_record(),
        verdict=Verdict.CERTIFIED,
        error_category="TIMEOUT",
        environment={"python": "3.11.9"},
        sample_log={"artifact": "sha256:" + "e" * 64, "samples": 114},
    )
    return replace(base, **over)
