"""Many job hashes at once, field by field: what frames are made of.

A listing of ten thousand jobs as records is ten thousand objects that become columns a
moment later. Here the replies of a pipeline stay columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from myia_sdk.queue.jobs import FINISHED_STATES, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from myia_sdk.queue.store.read import JobReader
    from myia_sdk.queue.wire.commands import Command

#: Where the ids of a state are. The line of a paused BullMQ 5 queue is ``paused``.
STATE_KEYS: dict[JobState, tuple[str, ...]] = {
    JobState.ACTIVE: ("active",),
    JobState.WAITING: ("wait", "paused"),
    JobState.PRIORITIZED: ("prioritized",),
    JobState.DELAYED: ("delayed",),
    JobState.WAITING_CHILDREN: ("waiting-children",),
    JobState.FAILED: ("failed",),
    JobState.COMPLETED: ("completed",),
}
#: States kept as lists whose head is the newest; the others are sorted sets.
LIST_STATES = frozenset({JobState.ACTIVE, JobState.WAITING})
SORTED_STATES = tuple(state for state in STATE_KEYS if state not in LIST_STATES)
#: Every job hash has this field; without it there is no job.
PRESENCE_FIELD = "timestamp"
#: What ``0:...`` in a list is: a marker of BullMQ 3 and 4, not a job.
LEGACY_MARKER = "0:"
#: Ids read in one command: about a millisecond of the server's time.
IDS_AT_ONCE = 10_000
#: Jobs read in one round trip: a reply of about half a megabyte.
JOBS_AT_ONCE = 1_000


#: A state and one of the keys it is kept in.
_Line: TypeAlias = tuple[JobState, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTable:
    """Fields of several jobs; every list has one entry for each job."""

    #: Job ids.
    ids: list[str]
    #: The state each was found in.
    states: list[JobState]
    #: Raw text of each hash field asked for, ``None`` where a job lacks it.
    fields: dict[str, list[str | None]]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, chosen: Sequence[int]) -> JobTable:
        """Return the chosen rows, in the order given."""
        return JobTable(
            ids=[self.ids[row] for row in chosen],
            states=[self.states[row] for row in chosen],
            fields={
                name: [values[row] for row in chosen]
                for name, values in self.fields.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Places:
    """Ids with the state each was found in."""

    ids: list[str]
    states: list[JobState]

    def __len__(self) -> int:
        return len(self.ids)


def list_ids(
    reader: JobReader,
    states: Sequence[JobState],
    *,
    limit: int | None,
    newest_first: bool = True,
    since_ms: int | None = None,
) -> Places:
    """Return the first ids of each state, one state after the other.

    Up to `IDS_AT_ONCE` of each state take one round trip together. An id that moves to
    another state meanwhile is reported once, where it was seen first.

    Parameters
    ----------
    reader : JobReader
        The queue.
    states : sequence of JobState
        The states.
    limit : int, optional
        Most ids of a state; ``None`` for all.
    newest_first : bool, default True
        Whether a state begins with what entered it last.
    since_ms : int, optional
        Leave out jobs that ended before this time, epoch milliseconds.
    """
    lines = [(state, key) for state in states for key in STATE_KEYS[state]]
    parts: dict[_Line, list[str]] = {
        line: [] for line in (lines if newest_first else lines[::-1])
    }
    unread = list(parts)
    while unread:
        asked = [(line, _at_once(limit, len(parts[line]))) for line in unread]
        replies = reader.batch(
            _range(
                *(reader, line, len(parts[line]), count),
                newest_first=newest_first,
                since_ms=since_ms,
            )
            for line, count in asked
        )
        unread = []
        for (line, count), reply in zip(asked, replies, strict=True):
            parts[line].extend(_in_order(line, reply, newest_first=newest_first))
            if len(reply) == count and len(parts[line]) != limit:
                unread.append(line)
    return _merged(states, parts, limit)


def _in_order(line: _Line, reply: list[str], *, newest_first: bool) -> list[str]:
    return reply if newest_first or line[0] not in LIST_STATES else reply[::-1]


def _merged(
    states: Sequence[JobState], parts: dict[_Line, list[str]], limit: int | None
) -> Places:
    found: dict[str, JobState] = {}
    for state in states:
        ids = [one for line, part in parts.items() if line[0] is state for one in part]
        for job_id in ids[:limit]:
            if not job_id.startswith(LEGACY_MARKER):
                found.setdefault(job_id, state)
    return Places(list(found), list(found.values()))


def _at_once(limit: int | None, have: int) -> int:
    return IDS_AT_ONCE if limit is None else min(IDS_AT_ONCE, limit - have)


def _range(
    reader: JobReader,
    line: _Line,
    start: int,
    count: int,
    *,
    newest_first: bool,
    since_ms: int | None,
) -> Command:
    state, key = line
    stop = start + count - 1
    name = reader.keys.base + key
    if state in LIST_STATES:
        # The head is the newest: the oldest are read from the tail, last one first.
        first, last = (start, stop) if newest_first else (-stop - 1, -start - 1)
        return ("LRANGE", name, first, last)
    if since_ms is not None and state in FINISHED_STATES:
        bounds = ("+inf", since_ms) if newest_first else (since_ms, "+inf")
        order = ("REV",) if newest_first else ()
        return ("ZRANGE", name, *bounds, "BYSCORE", *order, "LIMIT", start, count)
    return ("ZREVRANGE" if newest_first else "ZRANGE", name, start, stop)


def places_of(reader: JobReader, ids: Sequence[str]) -> Places:
    """Return the states of many jobs, six commands for each thousand of them.

    A job that is in no other state counts as waiting: its place in a long line is not
    looked for. Whether it exists at all is told when it is read.
    """
    states: list[JobState] = []
    for start in range(0, len(ids), JOBS_AT_ONCE):
        some = ids[start : start + JOBS_AT_ONCE]
        base = reader.keys.base
        active, *scores = reader.batch(
            [
                ("LRANGE", base + "active", 0, -1),
                *(("ZMSCORE", base + state, *some) for state in SORTED_STATES),
            ]
        )
        running = set(active)
        states.extend(
            _state_of(job_id, row, running)
            for job_id, *row in zip(some, *scores, strict=True)
        )
    return Places(list(ids), states)


def _state_of(job_id: str, scores: Sequence[object], running: set[str]) -> JobState:
    if job_id in running:
        return JobState.ACTIVE
    for state, score in zip(SORTED_STATES, scores, strict=True):
        if score is not None:
            return state
    return JobState.WAITING


def read_tables(
    reader: JobReader, places: Places, fields: Sequence[str]
) -> Iterator[JobTable]:
    """Yield the fields of jobs, a thousand in each round trip; gone ones are left out.

    Parameters
    ----------
    reader : JobReader
        The queue.
    places : Places
        Ids and states.
    fields : sequence of str
        Hash fields to read.
    """
    names = list(dict.fromkeys((PRESENCE_FIELD, *fields)))
    base = reader.keys.base
    for start in range(0, len(places), JOBS_AT_ONCE):
        ids = places.ids[start : start + JOBS_AT_ONCE]
        states = places.states[start : start + JOBS_AT_ONCE]
        rows = reader.batch([("HMGET", base + job_id, *names) for job_id in ids])
        columns = [list(column) for column in zip(*rows, strict=True)]
        table = JobTable(
            ids=ids, states=states, fields=dict(zip(names, columns, strict=True))
        )
        yield _existing(table)


def _existing(table: JobTable) -> JobTable:
    present = table.fields[PRESENCE_FIELD]
    if None not in present:
        return table
    rows = [
        row
        for row in range(len(table))
        if any(values[row] is not None for values in table.fields.values())
    ]
    return table if len(rows) == len(table) else table.rows(rows)


def join_tables(tables: Sequence[JobTable], fields: Sequence[str]) -> JobTable:
    """Put tables that hold these fields below each other; none give an empty one."""
    return JobTable(
        ids=[job_id for table in tables for job_id in table.ids],
        states=[state for table in tables for state in table.states],
        fields={
            name: [value for table in tables for value in table.fields[name]]
            for name in fields
        },
    )
