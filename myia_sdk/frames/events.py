"""What happened: the events of a queue and the log lines of a job."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from myia_sdk.frames.columns import INTEGER, TEXT, TIME, Column, build_frame, choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from myia_sdk.queue.store import Event

#: Fields that are columns of their own.
KNOWN_FIELDS = frozenset({"event", "jobId", "prev", "failedReason"})
#: Fields that carry results of jobs.
PAYLOAD_FIELDS = frozenset({"returnvalue"})


def _at(event: Event) -> datetime | None:
    ms = event.id.partition("-")[0]
    try:
        return datetime.fromtimestamp(int(ms) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _detail(event: Event) -> str | None:
    hidden = KNOWN_FIELDS | PAYLOAD_FIELDS
    return _json({k: v for k, v in event.fields.items() if k not in hidden})


def _json(fields: Mapping[str, str]) -> str | None:
    return json.dumps(fields, ensure_ascii=False, sort_keys=True) if fields else None


EVENT_COLUMNS: tuple[Column, ...] = (
    Column("id", TEXT, lambda event: event.id, "position in the stream"),
    Column("at", TIME, _at, "when it was written, by the server's clock"),
    Column("event", TEXT, lambda event: event.name, "Bull's word for what happened"),
    Column("job_id", TEXT, lambda event: event.job_id or None, "job it is about"),
    Column("from_state", TEXT, lambda event: event.fields.get("prev"), "state it left"),
    Column("reason", TEXT, lambda event: event.fields.get("failedReason"), "error"),
    Column("detail", TEXT, _detail, "what else it says, JSON; never a result"),
    Column(
        *("result", TEXT, lambda event: event.fields.get("returnvalue")),
        "what the task returned, JSON",
        opt_in=True,
    ),
)  # fmt: skip


def events_frame(
    events: Sequence[Event],
    *,
    columns: Sequence[str] | None = None,
    as_of: datetime | None = None,
    truncated: bool = False,
) -> pd.DataFrame:
    """Return one row for each event, in the order given.

    Parameters
    ----------
    events : sequence of Event
        As an event reader returns them.
    columns : sequence of str, optional
        Names of `EVENT_COLUMNS`; everything but results by default.
    as_of, truncated
        Kept in ``attrs``.
    """
    chosen = choose(EVENT_COLUMNS, columns, frame="events")
    return build_frame(events, chosen, as_of=as_of, truncated=truncated)


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
