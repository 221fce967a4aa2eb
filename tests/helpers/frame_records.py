"""Records to build frames from, and the dtypes every frame must have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from myia_sdk.certification.checks import CheckRecord, Outcome, Severity, Threshold
from myia_sdk.certification.report import Report
from myia_sdk.certification.verdict import Verdict
from myia_sdk.queue.jobs import Job, JobState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def make_job(job_id: str = "j1", **over: Any) -> Job:
    values: dict[str, Any] = {
        "id": job_id,
        "name": "certify",
        "state": JobState.COMPLETED,
        "created_at": NOW,
        "processed_at": NOW + timedelta(seconds=2),
        "finished_at": NOW + timedelta(seconds=5),
        "processed_by": "host:1",
        "attempts_made": 1,
        "max_attempts": 4,
        "progress": {"percent": 100},
        "labels": {
            "model": "forest",
            "suite": "classifier-baseline",
            "region": "eu-west-1",
            "verdict": "certified",
            "score": "92.5",
            "rating": "A",
            "tags": "nightly,small",
        },
    }
    labels = over.pop("labels", {})
    merged = {**values["labels"], **labels}
    values["labels"] = {k: v for k, v in merged.items() if v is not None}
    return Job(**{**values, **over})


def make_check(check_id: str = "performance", **over: Any) -> CheckRecord:
    values: dict[str, Any] = {
        "id": check_id,
        "version": "1.0.0",
        "title": check_id,
        "severity": Severity.CRITICAL,
        "outcome": Outcome.PASSED,
        "value": 0.92,
        "threshold": Threshold(comparator=">=", passed=0.85, warned=0.8),
        "ci_low": 0.88,
        "ci_high": 0.96,
        "sample_size": 114,
        "duration_ms": 12.5,
        "message": "AUC is 0.92.",
    }
    return CheckRecord(**{**values, **over})


def make_report(*checks: CheckRecord, **over: Any) -> Report:
    values: dict[str, Any] = {
        "suite_id": "classifier-baseline",
        "suite_version": "1.0.0",
        "suite_digest": "sha256:00",
        "model": {"kind": "sklearn", "name": "forest"},
        "region": "eu-west-1",
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=3),
        "checks": checks or (make_check(),),
        "score": 92.5,
        "rating": "A",
        "verdict": Verdict.CERTIFIED,
    }
    return Report(**{**values, **over})
