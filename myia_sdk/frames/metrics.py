"""How many jobs ended in each period, from the counters the queue keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from myia_sdk.errors import ConfigurationError
from myia_sdk.frames.columns import INTEGER, TIME, Column, annotate, build_frame
from myia_sdk.queue.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from myia_sdk.queue.metrics import Metrics

METRIC_COLUMNS: tuple[Column, ...] = (
    Column("period", TIME, lambda item: item[0], "start of the period"),
    Column("completed", INTEGER, lambda item: item[1], "jobs that ended with a value"),
    Column("failed", INTEGER, lambda item: item[2], "jobs that ended with a reason"),
)
MINUTE = pd.Timedelta("1min")


def metrics_frame(
    metrics: Iterable[Metrics],
    *,
    period: str | timedelta = "1min",
    as_of: datetime | None = None,
) -> pd.DataFrame:
    """Return finished jobs per period, oldest first; periods without any count zero.

    Parameters
    ----------
    metrics : iterable of Metrics
        The counters of ``completed`` and ``failed``; a missing one counts as zero.
    period : str or timedelta, default "1min"
        Whole minutes: the counters are kept by the minute.
    as_of : datetime, optional
        When they were read; now when not given. Kept in ``attrs``.

    Raises
    ------
    ConfigurationError
        The period is not a positive number of minutes.
    """
    width = _whole_minutes(period)
    counts = {item.state: dict(item.points) for item in metrics}
    completed = counts.get(JobState.COMPLETED, {})
    failed = counts.get(JobState.FAILED, {})
    rows = [
        (at, completed.get(at, 0), failed.get(at, 0))
        for at in sorted({*completed, *failed})
    ]
    frame = build_frame(rows, METRIC_COLUMNS)
    if len(frame):
        summed = frame.resample(width, on="period")[["completed", "failed"]].sum()
        frame = summed.astype("Int64").reset_index()
        frame["period"] = frame["period"].dt.as_unit("us")
    return annotate(frame, as_of=as_of, truncated=False)


def _whole_minutes(period: str | timedelta) -> pd.Timedelta:
    try:
        width = pd.Timedelta(period)
    except ValueError:
        width = pd.Timedelta(0)
    # Not-a-time compares as False with everything.
    if not width >= MINUTE or width % MINUTE:
        msg = f"The period is {period!r}; it must be whole minutes, such as '15min'."
        raise ConfigurationError(msg)
    return width
