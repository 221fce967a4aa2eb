"""Reading the events stream of a queue: what happened, in order."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.queue.wire import wrap_errors
from myia_sdk.queue.wire.clients import address_of

if TYPE_CHECKING:
    from myia_sdk.queue.wire import Keys, RedisClient

#: Longest blocking read. It stays below the socket time-out of 5 s.
LONGEST_BLOCK = timedelta(seconds=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the events stream."""

    #: Id in the stream, ``<epoch ms>-<number>``.
    id: str
    #: BullMQ's name: ``added``, ``active``, ``completed`` ...
    name: str
    #: ``None`` for events of the queue as a whole.
    job_id: str | None
    #: The other fields, as text.
    fields: Mapping[str, str]

    @property
    def at(self) -> datetime:
        """When it happened, by the server's clock."""
        return datetime.fromtimestamp(int(self.id.partition("-")[0]) / 1000, UTC)

    @classmethod
    def from_entry(cls, entry_id: str, entry: Mapping[str, str]) -> Event:
        """Read a stream entry."""
        rest = {k: v for k, v in entry.items() if k not in {"event", "jobId"}}
        return cls(
            id=entry_id,
            name=entry.get("event", ""),
            job_id=entry.get("jobId"),
            fields=rest,
        )


class EventReader:
    """Follows the events of one queue.

    Parameters
    ----------
    redis : RedisClient
        Connection used for blocking reads; they hold one connection of its pool.
    keys : Keys
        Key names of the queue.
    last_id : str, optional
        Continue after this entry; ``"0"`` reads all that is kept. Without it, only
        what happens after `pin` (which the first `read` calls).
    """

    def __init__(
        self, redis: RedisClient, keys: Keys, last_id: str | None = None
    ) -> None:
        self.redis = redis
        self.keys = keys
        self.last_id = last_id
        #: Whether events were lost since the last read: the stream was trimmed, or
        #: deleted, past the place of this reader. Read the state afresh then.
        self.has_gap = False
        self._stopped = threading.Event()

    def __repr__(self) -> str:
        return f"EventReader(queue={self.keys.queue!r}, last_id={self.last_id!r})"

    def pin(self) -> str:
        """Fix the place in the stream: later reads miss nothing from here on."""
        if self.last_id is None:
            self.last_id = self._end(oldest=False) or "0-0"
        return self.last_id

    def read(
        self, block: timedelta | None = LONGEST_BLOCK, count: int = 1000
    ) -> list[Event]:
        """Return the next events, oldest first; empty when none came in time.

        Parameters
        ----------
        block : timedelta, optional
            How long to wait for the first one, at most 4 s; ``None`` does not wait.
        count : int, default 1000
            Most events returned at once.

        Raises
        ------
        QueueConnectionError
            The server does not answer. The place is kept; read again later.
        """
        place = self.pin()
        if self._stopped.is_set():
            return []
        self.has_gap = self._is_trimmed_past(place)
        if self.has_gap and self._is_behind(place):
            place = self.last_id = "0-0"
        wait = None
        if block is not None:
            wait = max(1, round(min(block, LONGEST_BLOCK) / timedelta(milliseconds=1)))
        with wrap_errors(address_of(self.redis)):
            answer: Any = self.redis.xread(
                {self.keys.events: place}, count=count, block=wait
            )
        events = [
            Event.from_entry(entry_id, entry or {})
            for entry_id, entry in _entries(answer)
        ]
        if events:
            self.last_id = events[-1].id
        return events

    def stop(self) -> None:
        """Make later reads return at once; a read under way ends with its block."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def _is_trimmed_past(self, place: str) -> bool:
        """Whether entries after `place` may have been trimmed away."""
        if place == "0-0":
            return False
        oldest = self._end(oldest=True)
        return oldest is None or _order(oldest) > _order(place)

    def _is_behind(self, place: str) -> bool:
        """Whether the stream was deleted and begun anew before `place`."""
        newest = self._end(oldest=False)
        return newest is None or _order(newest) < _order(place)

    def _end(self, *, oldest: bool) -> str | None:
        """Id of the oldest or newest entry."""
        with wrap_errors(address_of(self.redis)):
            entries: Any = (
                self.redis.xrange(self.keys.events, count=1)
                if oldest
                else self.redis.xrevrange(self.keys.events, count=1)
            )
        return entries[0][0] if entries else None


def _order(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number or 0)


def _entries(answer: Any) -> list[tuple[str, Mapping[str, str]]]:
    """Entries of an XREAD answer: a list of pairs, or a mapping with RESP3."""
    if not answer:
        return []
    if isinstance(answer, Mapping):
        streams = list(answer.values())
        return [pair for stream in streams for part in stream for pair in _pairs(part)]
    return list(answer[0][1])


def _pairs(part: Any) -> list[Any]:
    return [part] if isinstance(part, tuple) else list(part)
