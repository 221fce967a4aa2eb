"""One row for each job: from records, or straight from raw hash fields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from myia_sdk.certification.verdict import Verdict
from myia_sdk.frames.arrays import LARGEST, HashReader, finite, percent_of
from myia_sdk.frames.columns import (
    FLAG,
    INTEGER,
    NUMBER,
    SPAN,
    TEXT,
    TIME,
    Array,
    Column,
    build_frame,
    categories_of,
    choose,
    frame_of,
    ordered,
    texts_of,
)
from myia_sdk.queue.jobs import JobState
from myia_sdk.queue.jobs.job import LABEL_PREFIX
from myia_sdk.queue.store.hashes import JobTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    import pandas as pd

    from myia_sdk.queue.jobs import Job

#: From the farthest from running to the end.
STATES = ordered(
    (
        JobState.WAITING_CHILDREN,
        JobState.DELAYED,
        JobState.PRIORITIZED,
        JobState.WAITING,
        JobState.ACTIVE,
        JobState.FAILED,
        JobState.COMPLETED,
    )
)
VERDICTS = ordered((Verdict.FAILED, Verdict.QUALITY_WARNING, Verdict.CERTIFIED))
RATINGS = ordered("FDCBA")


@dataclass(frozen=True, slots=True)
class JobColumn(Column):
    """A column that can also be read from raw hash fields, without `Job` records."""

    #: Reads the whole column; means the same as `getter`.
    read: Callable[[HashReader], Array] = lambda _: None
    #: Hash fields that `read` needs.
    fields: tuple[str, ...] = ()


def _text(
    name: str, attribute: str, field: str, doc: str, *, opt_in: bool = False
) -> JobColumn:
    getter = attrgetter(attribute)
    return JobColumn(
        *(name, TEXT, lambda job: getter(job) or None, doc),
        read=lambda hashes: texts_of([v or None for v in hashes.table.fields[field]]),
        fields=(field,),
        opt_in=opt_in,
    )


def _label(name: str, label: str, doc: str) -> JobColumn:
    field = LABEL_PREFIX + label
    return JobColumn(
        *(name, TEXT, lambda job: job.labels.get(label), doc),
        read=lambda hashes: hashes.texts(field),
        fields=(field,),
    )


def _word_label(name: str, dtype: pd.CategoricalDtype, doc: str) -> JobColumn:
    field = LABEL_PREFIX + name
    return JobColumn(
        *(name, dtype, lambda job: job.labels.get(name), doc),
        read=lambda hashes: hashes.words(field, dtype),
        fields=(field,),
    )


def _natural(name: str, attribute: str, field: str, doc: str) -> JobColumn:
    getter = attrgetter(attribute)
    return JobColumn(
        *(name, INTEGER, lambda job: min(getter(job), LARGEST), doc),
        read=lambda hashes: hashes.naturals(field),
        fields=(field,),
    )


def _time(name: str, field: str, doc: str) -> JobColumn:
    return JobColumn(
        *(name, TIME, attrgetter(name), doc),
        read=lambda hashes: hashes.times(field),
        fields=(field,),
    )


def _between(name: str, start: JobColumn, end: JobColumn, doc: str) -> JobColumn:
    def getter(job: Job) -> timedelta | None:
        first, last = start.getter(job), end.getter(job)
        return None if first is None or last is None else last - first  # type: ignore[operator]  # times

    return JobColumn(
        *(name, SPAN, getter, doc),
        read=lambda hashes: hashes.between(*start.fields, *end.fields),
        fields=(*start.fields, *end.fields),
    )


def _score(job: Job) -> float | None:
    return finite(job.labels.get("score"))


def _json(attribute: str) -> Callable[[Job], str | None]:
    def getter(job: Job) -> str | None:
        value = getattr(job, attribute)
        if value is None:
            return None
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    return getter


def _payload(name: str, attribute: str, field: str, doc: str) -> JobColumn:
    return JobColumn(
        *(name, TEXT, _json(attribute), doc),
        opt_in=True,
        read=lambda hashes: hashes.texts(field),
        fields=(field,),
    )


_CREATED = _time("created_at", "timestamp", "when it was submitted")
_PROCESSED = _time("processed_at", "processedOn", "last start")
_FINISHED = _time("finished_at", "finishedOn", "end, of finished jobs")

JOB_COLUMNS: tuple[JobColumn, ...] = (
    JobColumn(
        *("id", TEXT, attrgetter("id"), "identity of the job in its queue"),
        read=lambda hashes: texts_of(hashes.table.ids),
    ),
    JobColumn(
        *("state", STATES, attrgetter("state"), "where it is in the queue"),
        read=lambda hashes: categories_of(hashes.table.states, STATES),
    ),
    _text("name", "name", "name", "name of the task that runs it"),
    _label("model", "model", "model to be certified"),
    _label("suite", "suite", "suite of checks"),
    _label("region", "region", "region of the endpoint"),
    _word_label("verdict", VERDICTS, "verdict of a finished certification"),
    JobColumn(
        *("score", NUMBER, _score, "score of the certification, 0 to 100"),
        read=lambda hashes: hashes.numbers("label:score"),
        fields=("label:score",),
    ),
    _word_label("rating", RATINGS, "rating of the certification"),
    _label("error_category", "category", "why it failed or lost points"),
    JobColumn(
        *("progress", NUMBER, lambda job: percent_of(job.progress), "percent done"),
        read=lambda hashes: hashes.percents("progress"),
        fields=("progress",),
    ),
    _CREATED,
    _PROCESSED,
    _FINISHED,
    _between("waited", _CREATED, _PROCESSED, "creation to last start"),
    _between("duration", _PROCESSED, _FINISHED, "last start to end"),
    JobColumn(
        *("delay", SPAN, attrgetter("delay"), "delay in force; zero once promoted"),
        read=lambda hashes: hashes.spans("delay"),
        fields=("delay",),
    ),
    _natural("priority", "priority", "priority", "0 is first in line, then 1, 2, ..."),
    _natural("attempts_made", "attempts_made", "atm", "attempts that ended"),
    JobColumn(
        *("max_attempts", INTEGER, lambda job: min(job.max_attempts, LARGEST)),
        "attempts allowed",
        read=lambda hashes: hashes.max_attempts("opts"),
        fields=("opts",),
    ),
    _natural("stalled_count", "stalled_count", "stc", "leases lost by its workers"),
    _text("worker", "processed_by", "pb", "worker of the last start"),
    _text("reason", "failed_reason", "failedReason", "error of the last failure"),
    _label("tags", "tags", "tags, separated by commas"),
    _label("batch", "batch", "batch it belongs to"),
    _label("submitter", "submitter", "who submitted it"),
    JobColumn(
        *("malformed", FLAG, lambda job: bool(job.malformed), "a field is unreadable"),
        read=lambda hashes: hashes.flags(),
    ),
    _payload("data", "data", "data", "what the task is given, JSON"),
    _payload("result", "return_value", "returnvalue", "what the task returned, JSON"),
    JobColumn(
        *(
            "traceback",
            TEXT,
            lambda job: job.stacktrace[-1] if job.stacktrace else None,
        ),
        "last stack trace",
        opt_in=True,
        read=lambda hashes: hashes.last_traces("stacktrace"),
        fields=("stacktrace",),
    ),
    _text(
        "parent", "parent_key", "parentKey", "key of the job that waits", opt_in=True
    ),
    _text("scheduler", "scheduler_id", "rjk", "scheduler that made it", opt_in=True),
    _text("deduplication", "deduplication_id", "deid", "its unique id", opt_in=True),
)


def jobs_frame(
    jobs: Sequence[Job] | JobTable,
    *,
    columns: Sequence[str] | None = None,
    as_of: datetime | None = None,
    truncated: bool = False,
) -> pd.DataFrame:
    """Return one row for each job, in the order given.

    Parameters
    ----------
    jobs : sequence of Job, or JobTable
        Records, or the raw hash fields of :func:`fields_of` these columns, which take a
        fraction of the time.
    columns : sequence of str, optional
        Names of `JOB_COLUMNS`; everything but the opt-in ones by default. ``id`` always
        comes first. Payload, result and stack trace are opt-in: they are large and may
        hold what should not be kept in a saved notebook.
    as_of : datetime, optional
        When the jobs were read; now when not given. Kept in ``attrs``.
    truncated : bool, default False
        Whether there were more. Kept in ``attrs``.

    Examples
    --------
    >>> frame = jobs_frame([], columns=["state", "duration"])
    >>> [f"{name}: {dtype}" for name, dtype in frame.dtypes.items()]
    ['id: str', 'state: category', 'duration: timedelta64[us]']
    """
    chosen = choose(JOB_COLUMNS, columns, frame="jobs")
    if isinstance(jobs, JobTable):
        arrays = read_columns(jobs, chosen)
        return frame_of(arrays, as_of=as_of, truncated=truncated)
    return build_frame(jobs, chosen, as_of=as_of, truncated=truncated)


def fields_of(columns: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the hash fields that a jobs frame of these columns is read from."""
    chosen = choose(JOB_COLUMNS, columns, frame="jobs")
    return tuple(dict.fromkeys(field for column in chosen for field in column.fields))


def read_columns(table: JobTable, chosen: Sequence[JobColumn]) -> dict[str, Array]:
    """Read columns from raw fields; ``malformed`` last, for it sums up the others."""
    hashes = HashReader(table)
    arrays: dict[str, Array] = {}
    for column in sorted(chosen, key=lambda column: column.name == "malformed"):
        arrays[column.name] = column.read(hashes)
    return {column.name: arrays[column.name] for column in chosen}


#: Columns of a batch: what varies within it first, then how it went.
BATCH_COLUMNS: tuple[str, ...] = (
    *("id", "model", "region", "suite", "state", "progress", "verdict", "score"),
    *("rating", "error_category", "attempts_made", "max_attempts", "created_at"),
    *("processed_at", "finished_at", "waited", "duration", "worker", "reason", "batch"),
)


def batch_frame(
    jobs: Sequence[Job] | JobTable,
    *,
    as_of: datetime | None = None,
    truncated: bool = False,
) -> pd.DataFrame:
    """Return the jobs of a batch, one row each, with the columns that tell them apart.

    Parameters
    ----------
    jobs : sequence of Job, or JobTable
        The jobs of the batch.
    as_of, truncated
        Kept in ``attrs``.
    """
    return jobs_frame(jobs, columns=BATCH_COLUMNS, as_of=as_of, truncated=truncated)
