"""The bins of a classifier's calibration check: how sure it was, how right it was."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from myia_sdk.frames.columns import INTEGER, NUMBER, TEXT, Column, build_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    import pandas as pd

    from myia_sdk.certification.report import Report

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
