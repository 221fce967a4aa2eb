"""Reading a queue: counts, one job, pages, logs. Plain commands, no scripts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from myia_sdk.errors import ConfigurationError
from myia_sdk.queue.jobs import Job, JobState
from myia_sdk.queue.jobs.job import job_from_values, wire_fields
from myia_sdk.queue.wire import Keys, scripts, wrap_errors
from myia_sdk.queue.wire.clients import address_of, is_cluster
from myia_sdk.queue.wire.clock import ServerClock
from myia_sdk.queue.wire.commands import Command, send_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from myia_sdk.queue.wire import RedisClient

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

#: States kept in sorted sets, in the order in which BullMQ looks a job up.
_SORTED = (
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.DELAYED,
    JobState.PRIORITIZED,
    JobState.WAITING_CHILDREN,
)
#: How far from both ends of the line a waiting job is looked for. A job further in
#: is known by being nowhere else, so that looking one up costs the same in any queue.
_LOOK_INTO_LINE = 1000
#: Jobs read in one transaction: consistent, and no longer than a few milliseconds.
_READ_AT_ONCE = 500


class LogPage(NamedTuple):
    """Log lines of a job, oldest first, and how many there are in all."""

    lines: list[str]
    total: int


class JobReader:
    """What can be asked of a queue without changing it.

    Parameters
    ----------
    redis : RedisClient
        Connection with ``decode_responses=True``, as `connect` makes it.
    queue : str
        Name of the queue.
    prefix : str, default "myia"
        First part of all keys.
    clock : callable, optional
        Epoch time in milliseconds; the server's by default.

    Raises
    ------
    ConfigurationError
        A name is malformed, or the server is a cluster and the prefix has no hash
        tag such as ``{myia}``.
    """

    def __init__(
        self,
        redis: RedisClient,
        queue: str,
        prefix: str = "myia",
        *,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.redis = redis
        self.keys = Keys(prefix, queue)
        self.clock: Callable[[], int] = clock or ServerClock(redis)
        if is_cluster(redis) and not self.keys.has_hash_tag:
            raise ConfigurationError(
                f"In a cluster all keys of a queue must share a slot, but the prefix "
                f"{prefix!r} has no hash tag; use {'{' + prefix + '}'!r}."
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.prefix}:{self.queue})"

    @property
    def queue(self) -> str:
        """Name of the queue."""
        return self.keys.queue

    @property
    def prefix(self) -> str:
        """First part of all keys."""
        return self.keys.prefix

    def counts(self) -> dict[JobState, int]:
        """Return the number of jobs in every state; waiting includes paused ones."""
        keys = self.keys
        wait, paused, active, *sorted_sets = self.batch(
            [
                ("LLEN", keys.wait),
                ("LLEN", keys.paused),
                ("LLEN", keys.active),
                *(("ZCARD", keys.base + state) for state in _SORTED),
            ]
        )
        numbers = dict(zip(_SORTED, sorted_sets, strict=True))
        numbers[JobState.WAITING] = wait + paused
        numbers[JobState.ACTIVE] = active
        return {state: int(numbers[state]) for state in JobState}

    def is_paused(self) -> bool:
        """Whether the queue is paused: nothing new is started."""
        return bool(self.command("HEXISTS", self.keys.meta, "paused"))

    def job(self, job_id: str) -> Job | None:
        """Return a job with all its fields and its state; ``None`` if unknown."""
        key = self.keys.job(job_id)
        found, *places = self.batch(
            [("HGETALL", key), *self._places(job_id), *self._line_places(job_id)],
            transaction=True,
        )
        if not found:
            return None
        return Job.from_hash(job_id, _mapping(found), self._state(places))

    def state(self, job_id: str) -> JobState | None:
        """Return the state of a job; ``None`` when it is unknown or in none."""
        key = self.keys.job(job_id)
        exists, *places = self.batch(
            [("EXISTS", key), *self._places(job_id), *self._line_places(job_id)],
            transaction=True,
        )
        return self._state(places) if exists else None

    def jobs(
        self, ids: Sequence[str], fields: Collection[str] | None = None
    ) -> list[Job | None]:
        """Return several jobs, in the order of `ids`; ``None`` for unknown ones.

        Parameters
        ----------
        ids : sequence of str
            The jobs.
        fields : collection of str, optional
            Attributes of `Job` to read; by default those of a listing. Name
            ``state`` or leave `fields` out to have the state looked up.
        """
        names = wire_fields(fields)
        with_state = fields is None or "state" in fields
        found: list[Job | None] = []
        for some in chunks(ids, _READ_AT_ONCE):
            found.extend(self._read(some, names, with_state=with_state))
        return found

    def page(
        self,
        state: JobState,
        start: int = 0,
        stop: int = 24,
        *,
        newest_first: bool = True,
        fields: Collection[str] | None = None,
    ) -> list[Job]:
        """Return the jobs of a state from place `start` to `stop`, both included.

        Parameters
        ----------
        state : JobState
            The state to list.
        start, stop : int
            Places, from 0.
        newest_first : bool, default True
            Last finished, or last in line, first. ``False`` is the order in which
            pending jobs will run.
        fields : collection of str, optional
            Attributes of `Job` to read; by default all but payload, result and
            stack traces.
        """
        state = JobState(state)
        ids = self._ids(state, start, stop, newest_first=newest_first)
        names = wire_fields(fields)
        rows = self.batch([("HMGET", self.keys.base + one, *names) for one in ids])
        jobs = (
            job_from_values(one, names, values, state)
            for one, values in zip(ids, rows, strict=True)
        )
        return [job for job in jobs if job is not None]

    def logs(self, job_id: str, start: int = 0, stop: int = -1) -> LogPage:
        """Return log lines of a job, oldest first, and their total number."""
        key = self.keys.logs(job_id)
        lines, total = self.batch([("LRANGE", key, start, stop), ("LLEN", key)])
        return LogPage(list(lines), int(total))

    def command(self, *command: str | float) -> Any:
        """Send one command; its errors become ours."""
        with self.wrap_errors():
            send: Callable[..., Any] = self.redis.execute_command
            return send(*command)

    def batch(
        self, commands: Iterable[Command], *, transaction: bool = False
    ) -> list[Any]:
        """Send commands in one round trip; the first error is raised."""
        with self.wrap_errors():
            return send_all(self.redis, list(commands), transaction=transaction)

    def run(self, name: str, *arguments: scripts.Argument) -> Any:
        """Run a script of ``queue/scripts`` on this queue."""
        with self.wrap_errors():
            return scripts.run(self.redis, name, self.keys.base, *arguments)

    def wrap_errors(self) -> AbstractContextManager[None]:
        """Turn the errors of the Redis library into ours."""
        return wrap_errors(self.address)

    @property
    def address(self) -> str:
        """The server's address, without any secret."""
        return address_of(self.redis)

    def _places(self, job_id: str) -> list[Command]:
        base = self.keys.base
        return [
            *(("ZSCORE", base + state, job_id) for state in _SORTED),
            ("LPOS", self.keys.active, job_id),
        ]

    def _line_places(self, job_id: str) -> list[Command]:
        lines = (self.keys.wait, self.keys.paused)
        return [
            *(
                ("LPOS", line, job_id, "RANK", rank, "MAXLEN", _LOOK_INTO_LINE)
                for line in lines
                for rank in (1, -1)
            ),
            *(("LLEN", line) for line in lines),
        ]

    @staticmethod
    def _state(places: Sequence[Any]) -> JobState | None:
        for state, place in zip((*_SORTED, JobState.ACTIVE), places, strict=False):
            if place is not None:
                return state
        line = places[len(_SORTED) + 1 :]
        if not line:
            return JobState.WAITING
        *found, waiting, paused = line
        seen = any(place is not None for place in found)
        is_long = max(waiting, paused) > 2 * _LOOK_INTO_LINE
        return JobState.WAITING if seen or is_long else None

    def _read(
        self, ids: Sequence[str], names: tuple[str, ...], *, with_state: bool
    ) -> list[Job | None]:
        commands: list[Command] = []
        for one in ids:
            commands.append(("HMGET", self.keys.job(one), *names))
            if with_state:
                commands.extend(self._places(one))
        answers = self.batch(commands, transaction=with_state)
        width = len(commands) // len(ids)
        return [
            job_from_values(
                one,
                names,
                values,
                self._state(places) if with_state else None,
            )
            for one, (values, *places) in zip(ids, chunks(answers, width), strict=True)
        ]

    def _ids(
        self, state: JobState, start: int, stop: int, *, newest_first: bool
    ) -> list[str]:
        if state is JobState.WAITING:
            return self._ids_in_line(start, stop, newest_first=newest_first)
        if state is JobState.ACTIVE:
            return self._range_of(self.keys.active, start, stop, newest_first)
        order = "ZREVRANGE" if newest_first else "ZRANGE"
        return list(self.command(order, self.keys.base + state, start, stop))

    def _ids_in_line(self, start: int, stop: int, *, newest_first: bool) -> list[str]:
        """Ids of `wait` and `paused` as one line: resume puts paused ones first."""
        keys = self.keys
        lines = (keys.wait, keys.paused) if newest_first else (keys.paused, keys.wait)
        asked = _list_range(start, stop, newest_first)
        first, _, ids, others = self.batch(
            [
                *(("LLEN", line) for line in lines),
                *(("LRANGE", line, *asked) for line in lines),
            ]
        )
        if not newest_first:
            ids, others = ids[::-1], others[::-1]
        if first == 0:
            return list(others)
        if len(ids) > stop - start:
            return list(ids)
        begin = max(start - first, 0)
        return [*ids, *self._range_of(lines[1], begin, stop - first, newest_first)]

    def _range_of(
        self,
        key: str,
        start: int,
        stop: int,
        newest_first: bool,  # noqa: FBT001
    ) -> list[str]:
        if stop < start:
            return []
        ids = list(self.command("LRANGE", key, *_list_range(start, stop, newest_first)))
        return ids if newest_first else ids[::-1]


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield `items` in pieces of `size`, the last one shorter."""
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _list_range(start: int, stop: int, newest_first: bool) -> tuple[int, int]:  # noqa: FBT001
    """Places counted from the head, or from the tail for the order of running."""
    return (start, stop) if newest_first else (-stop - 1, -start - 1)


def _mapping(answer: Any) -> dict[str, str]:
    if isinstance(answer, dict):
        return answer
    return dict(zip(answer[::2], answer[1::2], strict=True))
