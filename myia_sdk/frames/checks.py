"""What reports say: one row for each check, and the bins of calibration checks."""

from __future__ import annotations

from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from myia_sdk.certification.checks import Outcome, Severity
from myia_sdk.frames.columns import (
    INTEGER,
    NUMBER,
    SPAN,
    TEXT,
    Column,
    build_frame,
    choose,
    ordered,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.report import Report

OUTCOMES = ordered(
    (Outcome.SKIPPED, Outcome.ERROR, Outcome.FAILED, Outcome.WARNED, Outcome.PASSED)
)
SEVERITIES = ordered((Severity.MINOR, Severity.MAJOR, Severity.CRITICAL))


class CheckRow(NamedTuple):
    """A check together with the job and report it belongs to."""

    job_id: str
    report: Report
    check: CheckRecord


def _threshold(name: str) -> Callable[[CheckRow], object]:
    def getter(row: CheckRow) -> object:
        threshold = row.check.threshold
        return None if threshold is None else getattr(threshold, name)

    return getter


def _model(row: CheckRow) -> object:
    name = row.report.model.get("name")
    return name if isinstance(name, str) else None


def _duration(row: CheckRow) -> timedelta:
    return timedelta(milliseconds=row.check.duration_ms)


CHECK_COLUMNS: tuple[Column, ...] = (
    Column("job_id", TEXT, lambda row: row.job_id, "job the report belongs to"),
    Column("check", TEXT, lambda row: row.check.id, "id of the check in its suite"),
    Column("outcome", OUTCOMES, lambda row: row.check.outcome, "what it found"),
    Column("severity", SEVERITIES, lambda row: row.check.severity, "its weight"),
    Column("value", NUMBER, lambda row: row.check.value, "measured value, in `unit`"),
    Column("unit", TEXT, lambda row: row.check.unit, "empty for shares and scores"),
    Column("comparator", TEXT, _threshold("comparator"), "relation that is wanted"),
    Column("passed_at", NUMBER, _threshold("passed"), "threshold of a pass"),
    Column("warned_at", NUMBER, _threshold("warned"), "threshold of a warning"),
    Column("ci_low", NUMBER, lambda row: row.check.ci_low, "95 % interval, lower end"),
    Column("ci_high", NUMBER, lambda row: row.check.ci_high, "its upper end"),
    Column("sample_size", INTEGER, lambda row: row.check.sample_size, "observations"),
    Column("needed", INTEGER, lambda row: row.check.needed, "how many would do"),
    Column("duration", SPAN, _duration, "time the check took"),
    Column("retries", INTEGER, lambda row: row.check.retries, "requests sent again"),
    Column("error_category", TEXT, lambda row: row.check.category, "why not measured"),
    Column("message", TEXT, lambda row: row.check.message, "one sentence for people"),
    Column("model", TEXT, _model, "name of the model"),
    Column("suite", TEXT, lambda row: row.report.suite_id, "id of the suite"),
    Column("region", TEXT, lambda row: row.report.region, "region of the endpoint"),
    Column("title", TEXT, lambda row: row.check.title, "of the check", opt_in=True),
    Column("version", TEXT, lambda row: row.check.version, "of the check", opt_in=True),
    Column(
        "suggestions",
        TEXT,
        lambda row: "\n".join(row.check.suggestions) or None,
        "what to do, one a line",
        opt_in=True,
    ),
)  # fmt: skip


def checks_frame(
    reports: Iterable[tuple[str, Report]],
    *,
    columns: Sequence[str] | None = None,
    as_of: datetime | None = None,
    truncated: bool = False,
) -> pd.DataFrame:
    """Return one row for each check, in the order of the suite.

    Parameters
    ----------
    reports : iterable of (job id, Report)
        Reports of finished jobs.
    columns : sequence of str, optional
        Names of `CHECK_COLUMNS`; everything but the opt-in ones by default.
    as_of, truncated
        Written to ``attrs``.
    """
    rows = [
        CheckRow(job_id, report, check)
        for job_id, report in reports
        for check in report.checks
    ]
    chosen = choose(CHECK_COLUMNS, columns, frame="checks")
    return build_frame(rows, chosen, as_of=as_of, truncated=truncated)


CHECK_ID = "calibration"

CALIBRATION_COLUMNS: tuple[Column, ...] = (
    Column("job_id", TEXT, itemgetter("job_id"), "job the report belongs to"),
    Column("low", NUMBER, itemgetter("low"), "least confidence of the bin"),
    Column("high", NUMBER, itemgetter("high"), "greatest confidence of the bin"),
    Column("count", INTEGER, itemgetter("count"), "predictions in the bin"),
    Column("confidence", NUMBER, itemgetter("confidence"), "their mean confidence"),
    Column("accuracy", NUMBER, itemgetter("accuracy"), "share of them that was right"),
)
_KEYS = frozenset(column.name for column in CALIBRATION_COLUMNS[1:])


def calibration_frame(
    reports: Iterable[tuple[str, Report]], *, as_of: datetime | None = None
) -> pd.DataFrame:
    """Return one row for each bin that holds predictions.

    Parameters
    ----------
    reports : iterable of (job id, Report)
        Reports; those without a calibration check add no rows.
    as_of : datetime, optional
        When they were read; now when not given. Kept in ``attrs``.
    """
    rows = [
        {"job_id": job_id, **found}
        for job_id, report in reports
        for found in _bins(report)
    ]
    return build_frame(rows, CALIBRATION_COLUMNS, as_of=as_of)


def _bins(report: Report) -> Iterable[Mapping[str, object]]:
    for check in report.checks:
        found = check.details.get("bins") if check.id == CHECK_ID else None
        if isinstance(found, list):
            yield from (
                item
                for item in found
                if isinstance(item, dict) and item.keys() >= _KEYS
            )
