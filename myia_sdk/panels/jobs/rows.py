"""Jobs as the rows and details of panels: plain JSON, bounded, redacted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from myia_sdk.colors import OUTCOME_COLORS, STATE_COLORS, VERDICT_COLORS
from myia_sdk.queue.jobs import Job, JobState

if TYPE_CHECKING:
    from datetime import datetime

    from myia_sdk.panels.permissions import Redaction

#: Colours by the names that panel.js uses.
COLORS: dict[str, str] = {
    **STATE_COLORS,
    **{f"outcome.{name}": color for name, color in OUTCOME_COLORS.items()},
    **{f"verdict.{name}": color for name, color in VERDICT_COLORS.items()},
}


def to_ms(moment: datetime | None) -> int | None:
    """Return epoch milliseconds of an aware time, None for None."""
    return None if moment is None else round(moment.timestamp() * 1000)


def percent_of(progress: object) -> float | None:
    """Return the progress of a job as 0 to 100, None when it has none.

    Parameters
    ----------
    progress : JSON value
        A number below 1 counts as a fraction, from 1 as percent, 1.0 (a float) as
        done; an object counts by its ``percent``.
    """
    if isinstance(progress, Mapping):
        return percent_of(progress.get("percent")) if "percent" in progress else None
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    if not math.isfinite(progress):
        return None
    is_fraction = isinstance(progress, float) and progress <= 1
    value = progress * 100 if is_fraction else float(progress)
    return min(max(value, 0.0), 100.0)


def step_of(progress: object) -> str:
    """Return what the job says it is doing, empty when it says nothing."""
    if isinstance(progress, str):
        return progress[:200]
    if not isinstance(progress, Mapping) or not progress.get("check"):
        return ""
    done, total = progress.get("done"), progress.get("total")
    counted = f" ({done}/{total})" if done is not None and total is not None else ""
    return f"{progress['check']}{counted}"[:200]


def number_or_none(text: object) -> float | None:
    """Return a finite number from a label, None when it is none."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def job_row(
    job: Job, redaction: Redaction, *, is_cancelling: bool = False
) -> dict[str, Any]:
    """Return the row of a job.

    Parameters
    ----------
    job : Job
        The job with its state.
    redaction : Redaction
        What may be shown of the progress and of the reason of a failure.
    is_cancelling : bool, optional
        A cancel was asked for and the worker has not acted yet.
    """
    created = to_ms(job.created_at)
    delay = round(job.delay.total_seconds() * 1000)
    has_begun = job.state is JobState.ACTIVE or bool(job.attempts_started)
    progress = redaction.value("progress", job.progress)
    reason = (job.failed_reason or "").strip()
    reason = redaction.text("error", reason) if reason else ""
    return {
        "id": job.id,
        "name": job.labels.get("model") or job.name or job.id,
        "suite": job.labels.get("suite", ""),
        "region": job.labels.get("region", ""),
        "tags": job.labels.get("tags", ""),
        "batch": job.labels.get("batch", ""),
        "state": "unknown" if job.state is None else job.state.value,
        "progress": _shown_progress(job, percent_of(progress)),
        "step": step_of(progress),
        "attempt": _attempt(job),
        "max_attempts": max(job.max_attempts, job.attempts_made),
        "created_at": created or 0,
        "processed_at": to_ms(job.processed_at) if has_begun else None,
        "finished_at": to_ms(job.finished_at) if job.is_finished else None,
        "due_at": (created or 0) + delay if job.state is JobState.DELAYED else None,
        "worker": job.processed_by or "",
        "priority": job.priority,
        "verdict": job.labels.get("verdict", "") if job.is_finished else "",
        "score": number_or_none(job.labels.get("score")),
        "rating": job.labels.get("rating", ""),
        "reason": reason.splitlines()[0][:300] if reason else "",
        "is_cancelling": is_cancelling,
    }


def _shown_progress(job: Job, percent: float | None) -> float | None:
    """Return the progress where it tells something: how far a job is, or got."""
    if job.state is JobState.ACTIVE:
        return percent
    return percent or None if job.state is JobState.FAILED else None


def _attempt(job: Job) -> int:
    if job.state is JobState.ACTIVE:
        return job.attempts_made + 1
    return job.attempts_made


def timeline(job: Job, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what happened to a job, of which the row was made, oldest first."""
    steps = [("created", row["created_at"], job.labels.get("submitter", ""))]
    if row["due_at"]:
        steps.append(("due", row["due_at"], ""))
    if row["processed_at"]:
        note = f"{row['attempt']}/{row['max_attempts']} · {row['worker']}".rstrip(" ·")
        steps.append(("started", row["processed_at"], note))
    if row["finished_at"]:
        steps.append((row["state"], row["finished_at"], ""))
    known = [(what, at, note) for what, at, note in steps if at]
    known.sort(key=lambda step: step[1])
    return [{"what": what, "at": at, "note": note} for what, at, note in known]


def check_rows(return_value: object) -> list[dict[str, Any]]:
    """Return the rows of a report's checks; empty when it is no report."""
    checks = return_value.get("checks") if isinstance(return_value, Mapping) else None
    if not isinstance(checks, list):
        return []
    return [check_row(check) for check in checks if isinstance(check, Mapping)]


def assurance_row(return_value: object) -> dict[str, Any] | None:
    """Return how far a report's verdict reaches and why; None when it is no report."""
    report = return_value if isinstance(return_value, Mapping) else {}
    reasons = report.get("reasons")
    if not isinstance(reasons, list):
        return None
    return {
        "reasons": [str(reason)[:1_000] for reason in reasons],
        "coverage": _finite(report.get("coverage")),
        "level": _finite(report.get("level")),
    }


def check_row(check: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of one check record, or of a progress report about one."""
    threshold = check.get("threshold")
    return {
        "id": str(check.get("id", "")),
        "title": str(check.get("title", "")),
        "severity": str(check.get("severity") or ""),
        "outcome": str(check.get("outcome", "")),
        "value": _finite(check.get("value")),
        "unit": str(check.get("unit") or ""),
        "threshold": _threshold(threshold) if isinstance(threshold, Mapping) else None,
        "ci_low": _finite(check.get("ci_low")),
        "ci_high": _finite(check.get("ci_high")),
        "duration_ms": _finite(check.get("duration_ms")),
        "message": str(check.get("message") or "")[:1_000],
    }


def _threshold(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "comparator": str(record.get("comparator", "")),
        "passed": _finite(record.get("passed")),
    }


def _finite(value: object) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None
