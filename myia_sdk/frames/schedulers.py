"""One row for each job scheduler."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from myia_sdk.frames.columns import INTEGER, SPAN, TEXT, TIME, Column, build_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from myia_sdk.queue.schedule import JobScheduler


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
