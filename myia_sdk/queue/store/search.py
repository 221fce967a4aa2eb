"""Search by label, time and reason, through an index our own operations write.

One sorted set per label value, scored by creation time; the words of failure reasons
likewise. Other clients do not know the index: entries of jobs they deleted are
dropped when met, and jobs they added get their labels from a `labeller`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import QueueError
from myia_sdk.queue.jobs import FINISHED_STATES, Job, JobState
from myia_sdk.queue.jobs.job import LABEL_PREFIX, LISTING, check_labels
from myia_sdk.queue.jobs.options import epoch_ms
from myia_sdk.queue.store.read import JobReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from myia_sdk.queue.wire import RedisClient

logger = logging.getLogger(__name__)

Labeller = Callable[[Job], Mapping[str, str]]

#: Jobs looked at in one round trip.
LOOK_AT_ONCE = 250
#: Jobs looked at when no index narrows the search; newest first.
SCAN_LIMIT = 20_000
#: A job ends after it was created, as far as the clocks of other clients agree with
#: the server's; how far they may be apart, milliseconds.
CLOCKS_APART_MS = 300_000
#: Events read in search of jobs that other clients added.
HEAL_AT_ONCE = 1_000

#: As the scripts split reasons: bytes, so that every alphabet counts as letters.
_WORD = re.compile(rb"[a-z0-9_\x80-\xff]+")
_SHORTEST_WORD, _LONGEST_WORD = 4, 40


@dataclass(frozen=True, slots=True)
class _Query:
    """What a job must be to be found."""

    labels: tuple[tuple[str, str], ...]
    states: frozenset[JobState]
    since: int
    until: int
    words: tuple[str, ...]

    def has_labels(self, job: Job) -> bool:
        return all(
            value in _values(name, job.labels.get(name, ""))
            for name, value in self.labels
        )

    def accepts(self, job: Job) -> bool:
        if job.state not in self.states or not self.has_labels(job):
            return False
        reason = (job.failed_reason or "").lower()
        if not all(word in reason for word in self.words):
            return False
        moment = 0 if job.created_at is None else epoch_ms(job.created_at)
        return self.since <= moment <= self.until


class JobSearcher(JobReader):
    """A reader that can also search.

    Parameters
    ----------
    redis : RedisClient
        Connection with ``decode_responses=True``.
    queue, prefix : str
        Names of the queue and first part of its keys.
    clock : callable, optional
        Epoch time in milliseconds; the server's by default.
    labeller : callable, optional
        Makes the labels of a job that another client added without them.
    """

    def __init__(
        self,
        redis: RedisClient,
        queue: str,
        prefix: str = "myia",
        *,
        clock: Callable[[], int] | None = None,
        labeller: Labeller | None = None,
    ) -> None:
        super().__init__(redis, queue, prefix, clock=clock)
        self.labeller = labeller

    def find(
        self,
        labels: Mapping[str, str | Sequence[str]] | None = None,
        *,
        states: Collection[JobState] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        text: str | None = None,
        limit: int = 1000,
        newest_first: bool = True,
        fields: Collection[str] | None = None,
    ) -> list[Job]:
        """Return the jobs that fit, ordered by their creation.

        The cost follows the rarest label or word asked for, not the size of the
        queue. Without any, the newest 20,000 jobs of each state are looked through,
        in the order of their state; of ended jobs only those that ended after `since`.

        Parameters
        ----------
        labels : mapping of str to str or sequence of str, optional
            Labels with their exact values; of ``tags``, one or several that the job
            must all have.
        states : collection of JobState, optional
            States to search; all by default.
        since, until : datetime, optional
            Bounds of the creation time, both included.
        text : str, optional
            Words of the failure reason, in any case. Whole words are found through
            the index; parts of words among the newest 20,000 failed jobs.
        limit : int, default 1000
            Most jobs returned.
        newest_first : bool, default True
            Order by creation.
        fields : collection of str, optional
            Attributes of `Job` to read; by default those of a listing.
        """
        query = _query(labels or {}, states, since, until, text)
        self.heal()
        wanted = {*(LISTING if fields is None else fields), "state", "failed_reason"}
        wanted.update(LABEL_PREFIX + name for name, _ in query.labels)
        driver = self._driver(query)
        if driver is None:
            return self._scan(query, wanted, limit, newest_first=newest_first)
        jobs = self._walk(driver, query, wanted, newest_first=newest_first)
        return list(islice(filter(query.accepts, jobs), limit))

    def heal(self) -> int:
        """Label the jobs that other clients added lately; return how many.

        Does nothing without a `labeller`, or for a user who may only read.
        """
        if self.labeller is None:
            return 0
        place = self.keys.sdk("index", "seen")
        seen = self.command("GET", place) or "-"
        start = seen if seen == "-" else f"({seen}"
        entries: Any = self.command(
            "XRANGE", self.keys.events, start, "+", "COUNT", HEAL_AT_ONCE
        )
        if not entries:
            return 0
        added = [job_id for job_id in map(_added_id, entries) if job_id]
        with suppress(QueueError):
            healed = sum(map(self._label, self.jobs(added, [*LISTING, "data"])))
            self.command("SET", place, entries[-1][0])
            return healed
        return 0

    def labels_having(self, value: str, names: Sequence[str]) -> list[str]:
        """Return which of the labels have this value in some job.

        Parameters
        ----------
        value : str
            Whole value, of ``tags`` one tag.
        names : sequence of str
            Labels to look at, all in one round trip.
        """
        self.heal()
        found = self.batch([("EXISTS", self._index(name, value)) for name in names])
        return [name for name, is_there in zip(names, found, strict=True) if is_there]

    def _label(self, job: Job | None) -> bool:
        if job is None or job.labels or self.labeller is None:
            return False
        labels = {name: text for name, text in self.labeller(job).items() if text}
        check_labels(labels)
        if labels:
            flat = [part for pair in labels.items() for part in pair]
            self.run("set-labels", job.id, *flat)
        return bool(labels)

    def _index(self, name: str, value: str) -> str:
        return self.keys.sdk("index", name, value)

    def _driver(self, query: _Query) -> str | None:
        """Key of the smallest index that covers the query; ``None``: scan states."""
        words = [self._index("reason", word) for word in query.words]
        keys = [self._index(name, value) for name, value in query.labels]
        if not keys and not words:
            return None
        sizes = self.batch([("ZCARD", key) for key in (*keys, *words)])
        sized = list(zip(sizes, (*keys, *words), strict=True))
        # A word that is in no index may be part of one; a label is whole.
        known = [pair for pair in sized if pair[0] or pair[1] in keys]
        if not known:
            return None
        size, key = min(known)
        if len(query.states) == len(JobState):
            return key
        counts = self.counts()
        return key if size <= sum(counts[state] for state in query.states) else None

    def _walk(
        self, key: str, query: _Query, wanted: Collection[str], *, newest_first: bool
    ) -> Iterator[Job]:
        """Jobs of an index; entries whose job is gone or changed are dropped."""
        bounds = (query.since, query.until)
        place = 0
        while True:
            ids = self._by_score(key, place, *bounds, newest_first=newest_first)
            jobs = self.jobs(ids, wanted)
            stale = [
                one
                for one, job in zip(ids, jobs, strict=True)
                if job is None or not self._is_indexed(key, job)
            ]
            place += len(ids) - self._forget(key, stale)
            yield from (job for job in jobs if job is not None)
            if len(ids) < LOOK_AT_ONCE:
                return

    def _by_score(
        self,
        key: str,
        start: int,
        low: int,
        high: int | str,
        *,
        newest_first: bool,
    ) -> list[str]:
        bounds = (high, low) if newest_first else (low, high)
        order = ("REV",) if newest_first else ()
        window = ("LIMIT", start, LOOK_AT_ONCE)
        return list(self.command("ZRANGE", key, *bounds, "BYSCORE", *order, *window))

    def _is_indexed(self, key: str, job: Job) -> bool:
        """Whether the job still has what the index says; unread labels count."""
        name, _, value = key.removeprefix(self.keys.sdk("index", "")).partition(":")
        if name == "reason":
            return value in (job.failed_reason or "").lower()
        return value in _values(name, job.labels.get(name, ""))

    def _forget(self, key: str, stale: Sequence[str]) -> int:
        if not stale:
            return 0
        with suppress(QueueError):
            self.command("ZREM", key, *stale)
            return len(stale)
        return 0

    def _scan(
        self, query: _Query, wanted: Collection[str], limit: int, *, newest_first: bool
    ) -> list[Job]:
        """Jobs found by looking through the states asked for."""
        found: list[Job] = []
        for state in sorted(query.states):
            jobs = self._pages(state, wanted, query.since, newest_first=newest_first)
            found.extend(islice(filter(query.accepts, jobs), limit))
        found.sort(key=_creation, reverse=newest_first)
        return found[:limit]

    def _pages(
        self,
        state: JobState,
        wanted: Collection[str],
        since: int,
        *,
        newest_first: bool,
    ) -> Iterator[Job]:
        for start in range(0, SCAN_LIMIT, LOOK_AT_ONCE):
            if since and state in FINISHED_STATES:
                key, low = self.keys.base + state, since - CLOCKS_APART_MS
                ids = self._by_score(key, start, low, "+inf", newest_first=newest_first)
            else:
                stop = start + LOOK_AT_ONCE - 1
                ids = self._ids(state, start, stop, newest_first=newest_first)
            yield from (job for job in self.jobs(ids, wanted) if job is not None)
            if len(ids) < LOOK_AT_ONCE:
                return


def _query(
    labels: Mapping[str, str | Sequence[str]],
    states: Collection[JobState] | None,
    since: datetime | None,
    until: datetime | None,
    text: str | None,
) -> _Query:
    pairs = [
        (name, value)
        for name, values in labels.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    check_labels(dict(pairs))
    return _Query(
        labels=tuple(pairs),
        states=frozenset(JobState if states is None else map(JobState, states)),
        since=0 if since is None else epoch_ms(since),
        until=2**53 if until is None else epoch_ms(until),
        words=_words(text or ""),
    )


def _words(text: str) -> tuple[str, ...]:
    """Words of `text` as the scripts index them; a short text is one word."""
    folded = text.strip().lower()
    found = [
        word.decode("utf-8", "replace")
        for word in _WORD.findall(folded.encode("utf-8", "replace"))
        if _SHORTEST_WORD <= len(word) <= _LONGEST_WORD
    ]
    return tuple(dict.fromkeys(found)) or ((folded,) if folded else ())


def _creation(job: Job) -> tuple[int, str]:
    moment = 0 if job.created_at is None else epoch_ms(job.created_at)
    return moment, job.id


def _values(name: str, value: str) -> tuple[str, ...]:
    return tuple(value.split(",")) if name == "tags" else (value,)


def _added_id(entry: Any) -> str | None:
    fields = entry[1]
    if not isinstance(fields, dict):
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    return fields.get("jobId") if fields.get("event") == "added" else None
