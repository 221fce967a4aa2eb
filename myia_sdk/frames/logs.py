"""The log lines of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from myia_sdk.frames.columns import INTEGER, TEXT, Column, build_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pandas as pd


class LogLine(NamedTuple):
    """One line of a job's log."""

    job_id: str
    number: int
    text: str


LOG_COLUMNS: tuple[Column, ...] = (
    Column("job_id", TEXT, lambda line: line.job_id, "job that wrote it"),
    Column("line", INTEGER, lambda line: line.number, "position in the log, from 0"),
    Column("text", TEXT, lambda line: line.text, "the line"),
)


def logs_frame(
    job_id: str,
    lines: Sequence[str],
    *,
    start: int = 0,
    total: int | None = None,
    as_of: datetime | None = None,
) -> pd.DataFrame:
    """Return one row for each line, oldest first.

    Parameters
    ----------
    job_id : str
        The job.
    lines : sequence of str
        Its lines.
    start : int, default 0
        Position of the first of them in the log.
    total : int, optional
        Lines in the whole log; more than are given sets ``attrs["truncated"]``.
    as_of : datetime, optional
        When they were read; now when not given.
    """
    records = [LogLine(job_id, start + i, text) for i, text in enumerate(lines)]
    truncated = total is not None and total > len(lines)
    return build_frame(records, LOG_COLUMNS, as_of=as_of, truncated=truncated)
