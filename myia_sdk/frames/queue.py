"""The queue as a whole: its counts, its pace, its workers and its timetables."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pandas as pd

from myia_sdk.errors import ConfigurationError
from myia_sdk.frames.columns import (
    FLAG,
    INTEGER,
    SPAN,
    TEXT,
    TIME,
    Column,
    annotate,
    build_frame,
)
from myia_sdk.frames.jobs import STATES
from myia_sdk.queue.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta

    from myia_sdk.queue.jobs import Metrics
    from myia_sdk.queue.store.schedulers import JobScheduler
    from myia_sdk.queue.wire.workers import WorkerRecord

COUNT_COLUMNS: tuple[Column, ...] = (
    Column("state", STATES, lambda item: item[0], "state of the jobs"),
    Column("jobs", INTEGER, lambda item: item[1], "how many are in it"),
)


def counts_frame(
    counts: Mapping[JobState, int], *, as_of: datetime | None = None
) -> pd.DataFrame:
    """Return one row for each state, in the order of the mapping.

    Parameters
    ----------
    counts : mapping of JobState to int
        As ``JobStore.counts`` returns them.
    as_of : datetime, optional
        When they were counted; now when not given.
    """
    return build_frame(list(counts.items()), COUNT_COLUMNS, as_of=as_of)


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


WORKER_COLUMNS: tuple[Column, ...] = (
    Column("client_id", INTEGER, lambda item: item[0].client_id, "its connection"),
    Column("name", TEXT, lambda item: item[0].name or None, "name it gave itself"),
    Column("address", TEXT, lambda item: item[0].address, "address the server sees"),
    Column("connected_at", TIME, lambda item: item[1], "since when it is connected"),
    Column("idle", SPAN, lambda item: item[0].idle_for, "since its last command"),
    Column("library", TEXT, lambda item: item[0].library or None, "client library"),
    Column(
        "is_listed", FLAG, lambda item: item[0].is_listed, "Bull Board lists it too"
    ),
)


def workers_frame(
    workers: Sequence[WorkerRecord], *, as_of: datetime | None = None
) -> pd.DataFrame:
    """Return one row for each worker, in the order given.

    Parameters
    ----------
    workers : sequence of WorkerRecord
        As ``QueueAdministration.workers`` returns them.
    as_of : datetime, optional
        When they were read; now when not given. Kept in ``attrs``.
    """
    now = as_of or datetime.now(UTC)
    rows = [(worker, now - worker.connected_for) for worker in workers]
    return build_frame(rows, WORKER_COLUMNS, as_of=now)


def _label(name: str) -> Callable[[JobScheduler], object]:
    return lambda scheduler: scheduler.labels.get(name)


def _moment(attribute: str) -> Callable[[Any], datetime | None]:
    def getter(scheduler: JobScheduler) -> datetime | None:
        ms = getattr(scheduler.timetable, attribute)
        return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)

    return getter


SCHEDULER_COLUMNS: tuple[Column, ...] = (
    Column("id", TEXT, attrgetter("id"), "identity of the scheduler in its queue"),
    Column("name", TEXT, attrgetter("name"), "task that its runs call"),
    Column("every", SPAN, attrgetter("timetable.every"), "time between two runs"),
    Column("pattern", TEXT, attrgetter("timetable.pattern"), "cron pattern"),
    Column("tz", TEXT, attrgetter("timetable.tz"), "time zone of the pattern"),
    Column(
        "next_run_at", TIME, attrgetter("next_run_at"), "next run; past if it ended"
    ),
    Column("runs", INTEGER, attrgetter("iterations"), "runs made, the pending one too"),
    Column("limit", INTEGER, attrgetter("timetable.limit"), "most runs"),
    Column("start_at", TIME, _moment("start_ms"), "no run before"),
    Column("end_at", TIME, _moment("end_ms"), "no run after"),
    Column("model", TEXT, _label("model"), "model its runs certify"),
    Column("suite", TEXT, _label("suite"), "suite its runs use"),
)


def schedulers_frame(
    schedulers: Sequence[JobScheduler], *, as_of: datetime | None = None
) -> pd.DataFrame:
    """Return one row for each scheduler, in the order given.

    Parameters
    ----------
    schedulers : sequence of JobScheduler
        As ``JobSchedulers.list`` returns them.
    as_of : datetime, optional
        When they were read; now when not given. Kept in ``attrs``.
    """
    return build_frame(schedulers, SCHEDULER_COLUMNS, as_of=as_of)
