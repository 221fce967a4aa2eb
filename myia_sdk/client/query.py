"""Which jobs to read, and how to read them as a frame in few round trips.

What the server can select, it selects: states, ids, places, and labels and words
through the search index. The rest is selected on the few fields it needs, before the
others are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from myia_sdk.arguments import to_id, to_limit
from myia_sdk.client.wait import is_watched
from myia_sdk.colors import VERDICT_COLORS
from myia_sdk.errors import ConfigurationError, JobNotFoundError
from myia_sdk.frames import fields_of, jobs_frame, logs_frame
from myia_sdk.queue.jobs import JobState
from myia_sdk.queue.jobs.options import epoch_ms
from myia_sdk.queue.store.hashes import (
    STATE_KEYS,
    Places,
    join_tables,
    list_ids,
    places_of,
    read_tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from myia_sdk.queue.store import JobStore
    from myia_sdk.queue.store.hashes import JobTable

DEFAULT_LIMIT = 1_000
#: Reading more jobs than this shows a progress bar in terminals and notebooks; fewer
#: take about a second.
BAR_FROM = 10_000
#: "All of them", where a number is asked for.
EVERYTHING = 2**31
MILLISECOND = timedelta(milliseconds=1)
#: A job ends after it was created, but two machines may disagree on the time.
CLOCKS_APART = timedelta(minutes=5)
#: Filters on a label, by parameter; ``tag`` looks into a list.
LABEL_FILTERS = ("model", "suite", "region", "batch", "verdict", "submitter")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs are wanted; what is ``None`` does not matter."""

    #: States to look in.
    states: tuple[JobState, ...] = tuple(STATE_KEYS)
    #: Only these jobs, in this order.
    ids: tuple[str, ...] | None = None
    #: Created at or after.
    since: datetime | None = None
    #: Created before.
    until: datetime | None = None
    model: str | None = None
    suite: str | None = None
    region: str | None = None
    #: One of the tags of the job.
    tag: str | None = None
    batch: str | None = None
    verdict: str | None = None
    submitter: str | None = None
    #: Words within the reason of the last failure, whatever their case.
    text: str | None = None
    newest_first: bool = True

    def __post_init__(self) -> None:
        for name in (*LABEL_FILTERS, "tag", "text"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{name} is {value!r}; give a text.")
        if self.verdict is not None and self.verdict not in VERDICT_COLORS:
            raise ConfigurationError(
                f"{self.verdict!r} is not a verdict; choose from "
                f"{', '.join(VERDICT_COLORS)}."
            )

    @property
    def labels(self) -> dict[str, str]:
        """The labels asked for, by name of the label."""
        asked = {name: getattr(self, name) for name in LABEL_FILTERS}
        asked["tags"] = self.tag
        return {name: value for name, value in asked.items() if value is not None}

    @property
    def is_search(self) -> bool:
        """Whether the search index can narrow it."""
        return self.ids is None and bool(self.labels or self.text)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the jobs frame that the filters look at."""
        names = list(self.labels)
        names += ["reason"] if self.text is not None else []
        names += ["created_at"] if self.since or self.until else []
        return tuple(names)

    def matches(self, frame: pd.DataFrame) -> pd.Series:
        """Tell which rows of a jobs frame with `columns` are wanted."""
        wanted = pd.Series(data=True, index=frame.index)
        for name, value in self.labels.items():
            wanted &= _has_tag(frame[name], value) if name == "tags" else (
                frame[name].astype(object) == value
            )  # fmt: skip
        if self.text is not None:
            reason = frame["reason"].str.lower()
            for word in self.text.lower().split():
                wanted &= reason.str.contains(word, regex=False, na=False)
        if self.since:
            wanted &= frame["created_at"] >= self.since
        if self.until:
            wanted &= frame["created_at"] < self.until
        return wanted


def _has_tag(tags: pd.Series, tag: str) -> pd.Series:
    found = [tag in text.split(",") for text in tags.fillna("")]
    return pd.Series(found, index=tags.index, dtype=bool)


def states_asked(
    state: JobState | str | Iterable[JobState | str] | None,
) -> tuple[JobState, ...]:
    """Return the states named, all of them for ``None``.

    Raises
    ------
    ConfigurationError
        A word is not a state.
    """
    if state is None:
        return tuple(STATE_KEYS)
    given: Any = state
    is_several = isinstance(given, Iterable) and not isinstance(given, str)
    words = list(given) if is_several else [given]
    known = {str(member): member for member in JobState}
    for word in words:
        if str(word) not in known:
            msg = f"{word!r} is not a state; choose from {', '.join(known)}."
            raise ConfigurationError(msg)
    return tuple(dict.fromkeys(known[str(word)] for word in words))


def aware(moment: datetime | str | None, name: str) -> datetime | None:
    """Return a time of a range as aware UTC.

    Raises
    ------
    ConfigurationError
        It has no time zone, or is not a time.
    """
    if moment is None:
        return None
    try:
        stamp: Any = pd.Timestamp(moment)
    except (ValueError, TypeError):
        stamp = pd.NaT
    if pd.isna(stamp) or stamp.tzinfo is None:
        msg = (
            f"{name} is {moment!r}; it must be a time with its zone, "
            "such as datetime.now(UTC) or '2026-01-31T12:00Z'."
        )
        raise ConfigurationError(msg)
    utc: datetime = stamp.tz_convert("UTC").to_pydatetime()
    return utc


def read_jobs(
    store: JobStore,
    query: JobQuery,
    *,
    limit: int | None = DEFAULT_LIMIT,
    columns: Sequence[str] | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the jobs of a query as a frame.

    Parameters
    ----------
    store : JobStore
        The queue.
    query : JobQuery
        Which jobs.
    limit : int, optional
        Most rows, by default 1,000; ``None`` for all, read in pages.
    columns : sequence of str, optional
        Columns of the jobs frame; only their fields are read.
    progress : bool, optional
        Show a progress bar; by default in terminals and notebooks, when more than
        10,000 jobs are read.

    Returns
    -------
    pandas.DataFrame
        Newest first. Within one state that is the order of the state: last finished,
        or last in line. Over several states it is the time of creation. With ids it is
        their order. ``attrs["truncated"]`` says whether there were more,
        ``attrs["as_of"]`` when the reading began.

    Notes
    -----
    One state without filters takes two round trips for up to 1,000 jobs: its ids, their
    fields. Several states that hold more than `limit`, and times, add one per 1,000
    candidates for the fields they look at; labels and words go through
    ``JobStore.find``. A job that moves while it is read is reported once.
    """
    to_limit(limit)
    fields = fields_of(columns)
    as_of = datetime.now(UTC)
    places, is_ordered = _candidates(store, query, limit)
    truncated = limit is not None and len(places) > limit
    is_chosen = query.is_search or not query.columns
    if not is_chosen or (truncated and not is_ordered):
        chosen, truncated = _choose(store, query, places, limit, is_ordered=is_ordered)
        places, is_ordered = chosen, True
    elif truncated:
        places = Places(places.ids[:limit], places.states[:limit])
    extra = () if is_ordered else ("timestamp",)
    table = _read(store, places, (*fields, *extra), progress=progress)
    if not is_ordered:
        table = table.rows(_by_creation(table, newest_first=query.newest_first))
    return jobs_frame(table, columns=columns, as_of=as_of, truncated=truncated)


def read_logs(store: JobStore, job_id: str, *, limit: int | None) -> pd.DataFrame:
    """Return the last lines of a job as a frame.

    Raises
    ------
    JobNotFoundError
        There is no such job.
    """
    most = to_limit(limit)
    page = store.logs(to_id(job_id), 0 if most is None else -most, -1)
    if not page.total and store.state(job_id) is None:
        raise JobNotFoundError(job_id, store.queue)
    start = page.total - len(page.lines)
    return logs_frame(job_id, page.lines, start=start, total=page.total)


def _candidates(
    store: JobStore, query: JobQuery, limit: int | None
) -> tuple[Places, bool]:
    """Ids that may be wanted, and whether they are in the order of the answer."""
    if query.ids is not None:
        places = places_of(store, query.ids)
        rows = [i for i, state in enumerate(places.states) if state in query.states]
        return _pick(places, rows), True
    # One more than wanted tells whether there are more.
    most = None if limit is None else limit + 1
    if query.is_search:
        return _found(store, query, most), True
    places = list_ids(
        store,
        query.states,
        limit=None if query.columns else most,
        newest_first=query.newest_first,
        since_ms=None if query.since is None else epoch_ms(query.since - CLOCKS_APART),
    )
    return places, len(query.states) == 1


def _found(store: JobStore, query: JobQuery, most: int | None) -> Places:
    jobs = store.find(
        query.labels,
        states=query.states,
        since=query.since,
        until=None if query.until is None else query.until - MILLISECOND,
        text=query.text,
        limit=EVERYTHING if most is None else most,
        newest_first=query.newest_first,
        fields=("state",),
    )
    states = [job.state for job in jobs if job.state is not None]
    return Places([job.id for job in jobs if job.state is not None], states)


def _choose(
    store: JobStore,
    query: JobQuery,
    places: Places,
    limit: int | None,
    *,
    is_ordered: bool,
) -> tuple[Places, bool]:
    """Read what the filters look at and return the places that are wanted."""
    looked_at = tuple(dict.fromkeys(("created_at", *query.columns)))
    fields = fields_of(looked_at)
    found: list[JobTable] = []
    count = 0
    for table in read_tables(store, places, fields):
        frame = jobs_frame(table, columns=looked_at)
        rows = np.flatnonzero(query.matches(frame).to_numpy(dtype=bool)).tolist()
        found.append(table.rows(rows))
        count += len(rows)
        if is_ordered and limit is not None and count > limit:
            break
    table = join_tables(found, fields)
    if not is_ordered:
        table = table.rows(_by_creation(table, newest_first=query.newest_first))
    return Places(table.ids[:limit], table.states[:limit]), (
        limit is not None and count > limit
    )


def _pick(places: Places, rows: Sequence[int]) -> Places:
    return Places([places.ids[i] for i in rows], [places.states[i] for i in rows])


def _by_creation(table: JobTable, *, newest_first: bool) -> list[int]:
    created = jobs_frame(table, columns=["created_at"])["created_at"]
    order = created.sort_values(
        ascending=not newest_first, kind="stable", na_position="last"
    )
    return [int(row) for row in order.index]


def _read(
    store: JobStore, places: Places, fields: Sequence[str], *, progress: bool | None
) -> JobTable:
    pages = read_tables(store, places, fields)
    if progress is None:
        progress = len(places) > BAR_FROM and is_watched()
    if progress:
        pages = _with_bar(pages, len(places))
    return join_tables(list(pages), list(dict.fromkeys(fields)))


def _with_bar(pages: Iterator[JobTable], total: int) -> Iterator[JobTable]:
    from tqdm.auto import tqdm

    with tqdm(total=total, desc="Reading jobs", unit=" jobs", leave=False) as bar:
        for table in pages:
            bar.update(len(table))
            yield table
