"""Huey's key-value store, counters and locks, over private keys of our queue.

In a sandbox child, which has no connection, the same calls travel to the consumer.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from huey.constants import EmptyData
from huey.storage import BaseStorage

from myia_sdk.queue.jobs import JobState
from myia_sdk.queue.sandbox.child import current_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from myia_sdk.queue.sandbox.child import ChildChannel
    from myia_sdk.queue.store import JobStore

#: Errors of tasks that never became jobs, and values of chords, are kept this long.
RESULT_TTL_SECONDS = 24 * 3600
#: A revocation of one task; it is of no use when the task has ended.
REVOKED = "r:"
REVOCATION_TTL_SECONDS = 30 * 24 * 3600
#: First wait between two looks at a job's state, seconds.
FIRST_POLL_SECONDS = 0.01

#: What a child may ask for; each is a method of `BullStorage`.
REMOTE_METHODS = frozenset(
    {
        *("put_data", "peek_data", "pop_data", "delete_data", "has_data_for_key"),
        *("put_if_empty", "incr", "delete_counter", "acquire_lock", "release_lock"),
        *("is_locked", "acquire_place", "count_places", "forget_places"),
    }
)


class BullStorage(BaseStorage):
    """Values, counters, locks and rate limits of a queue.

    Parameters
    ----------
    name : str
        Name of the queue.
    store : callable
        Returns the queue's store; it is called when the first value is needed.
    """

    blocking = True
    priority = True

    def __init__(self, name: str, store: Callable[[], JobStore]) -> None:
        super().__init__(name)
        self._store = store

    @property
    def store(self) -> JobStore:
        """The queue, connected when it is first used."""
        return self._store()

    def close(self) -> None:
        """Nothing to close: the connection belongs to the queue."""

    def queue_size(self) -> int:
        """Return how many tasks are in line."""
        counts = self.store.counts()
        return counts[JobState.WAITING] + counts[JobState.PRIORITIZED]

    def schedule_size(self) -> int:
        """Return how many tasks are not yet due."""
        return self.store.counts()[JobState.DELAYED]

    def put_data(self, key: str, value: str, is_result: bool = False) -> None:
        """Store a value; results and revocations of one task expire."""
        if is_result or key.startswith(REVOKED):
            where = self.store.keys.sdk("result", key)
            ttl = RESULT_TTL_SECONDS if is_result else REVOCATION_TTL_SECONDS
            self.store.command("SET", where, value, "EX", ttl)
        else:
            self.store.command("HSET", self._values, key, value)

    def peek_data(self, key: str) -> Any:
        """Read a value."""
        return self.peek_many([key]).get(key, EmptyData)

    def peek_many(self, keys: list[str]) -> dict[str, str]:
        """Read several values in one round trip."""
        values, *results = self.store.batch(
            [
                ("HMGET", self._values, *keys),
                *(("GET", self.store.keys.sdk("result", key)) for key in keys),
            ]
        )
        pairs = zip(keys, values, results, strict=True)
        found = {key: value or result for key, value, result in pairs}
        return {key: text for key, text in found.items() if text is not None}

    def pop_data(self, key: str) -> Any:
        """Read and delete a value."""
        found = self.peek_data(key)
        if found is not EmptyData:
            self.store.command("HDEL", self._values, key)
        return found

    def delete_data(self, key: str) -> bool:
        """Delete a value; True when there was one."""
        removed = self.store.command("HDEL", self._values, key)
        removed += self.store.command("DEL", self.store.keys.sdk("result", key))
        return bool(removed)

    def has_data_for_key(self, key: str) -> bool:
        """Tell whether there is a value."""
        return self.peek_data(key) is not EmptyData

    def put_if_empty(self, key: str, value: str, ttl: int | None = None) -> bool:
        """Store a value where there is none; True when that was so."""
        where = self.store.keys.sdk("result", key)
        expiry = () if ttl is None else ("EX", ttl)
        return bool(self.store.command("SET", where, value, "NX", *expiry))

    def wait_result(
        self,
        key: str,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
    ) -> bool:
        """Wait until the job has ended, or an error was left for it."""

        def is_there() -> bool:
            job = self.store.job(key)
            has_ended = job is not None and job.is_finished
            return has_ended or self.has_data_for_key(key)

        return _came_true(is_there, timeout, backoff, max_delay)

    def incr(self, key: str, amount: int = 1) -> int:
        """Count up; return the new number."""
        return int(self.store.command("HINCRBY", self._counters, key, amount))

    def delete_counter(self, key: str) -> None:
        """Forget a counter."""
        self.store.command("HDEL", self._counters, key)

    def result_store_size(self) -> int:
        """Return how many ended jobs are kept."""
        counts = self.store.counts()
        return counts[JobState.COMPLETED] + counts[JobState.FAILED]

    def flush_results(self) -> None:
        """Delete all values."""
        self.store.command("DEL", self._values)

    def flush_counters(self) -> None:
        """Delete all counters."""
        self.store.command("DEL", self._counters)

    def acquire_lock(self, name: str, token: str, ttl: float | None) -> bool:
        """Take a lock for the holder of `token`; False when another has it."""
        where = self.store.keys.sdk("lock", name)
        expiry = () if ttl is None else ("PX", max(round(ttl * 1000), 1))
        taken = self.store.command("SET", where, token, "NX", *expiry)
        return bool(taken) or self.store.command("GET", where) == token

    def release_lock(self, name: str, token: str | None) -> bool:
        """Free a lock that `token` holds; None frees it whoever holds it."""
        if token is None:
            return bool(self.store.command("DEL", self.store.keys.sdk("lock", name)))
        return bool(self.store.run("lock-release", name, token))

    def is_locked(self, name: str) -> bool:
        """Tell whether anyone holds a lock."""
        return bool(self.store.command("EXISTS", self.store.keys.sdk("lock", name)))

    def acquire_place(self, name: str, limit: int, per: float) -> float:
        """Take a place in a rate limit's window; seconds to wait when it is full."""
        unique, per_ms = secrets.token_hex(8), round(per * 1000)
        answer = self.store.run("rate-acquire", name, limit, per_ms, unique)
        return float(answer) / 1000

    def reserve_start(self, name: str, interval: float) -> float:
        """Reserve the next start of what begins once an interval; seconds until then.

        Parameters
        ----------
        name : str
            What begins.
        interval : float
            Least time between two starts, seconds.
        """
        answer = self.store.run("pace", name, max(round(interval * 1e6), 1))
        return float(answer) / 1e6

    def count_places(self, name: str, per: float) -> int:
        """Return how many places of a window are taken."""
        now, micro = self.store.command("TIME")
        since = int(now) * 1000 + int(micro) // 1000 - round(per * 1000)
        where = self.store.keys.sdk("rate", name)
        return int(self.store.command("ZCOUNT", where, f"({since}", "+inf"))

    def forget_places(self, name: str) -> None:
        """Empty a rate limit's window."""
        self.store.command("DEL", self.store.keys.sdk("rate", name))

    def join_chord(
        self, chord_id: str, size: int, index: int, value: str
    ) -> list[str] | None:
        """Store a member's value by its index; all values when none is missing."""
        flat = self.store.run(
            "chord-join", chord_id, index, value, size, 7 * RESULT_TTL_SECONDS
        )
        values = dict(_pairs(flat))
        return [values[str(place)] for place in range(size)] if values else None

    @property
    def _values(self) -> str:
        return self.store.keys.sdk("values")

    @property
    def _counters(self) -> str:
        return self.store.keys.sdk("counters")


class RemoteStorage(BaseStorage):
    """The same in a sandbox child: every call is answered by the consumer."""

    blocking = True
    priority = True

    def __getattribute__(self, name: str) -> Any:
        if name in REMOTE_METHODS:
            return _RemoteMethod(name)
        return super().__getattribute__(name)

    def peek_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Read several values, one call each."""
        found = {key: self.peek_data(key) for key in keys}
        return {key: value for key, value in found.items() if value is not EmptyData}

    def wait_result(
        self,
        key: str,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
    ) -> bool:
        """Wait until another job has ended, asking the worker now and then."""
        line = _line()
        return _came_true(
            lambda: line.call("result", id=key, peek=True) is not None,
            *(timeout, backoff, max_delay),
        )


def _came_true(
    condition: Callable[[], bool],
    timeout: float | None,
    backoff: float,
    max_delay: float,
) -> bool:
    """Look, ever more rarely, until the condition holds or the time is over."""
    deadline = None if timeout is None else time.monotonic() + timeout
    delay = FIRST_POLL_SECONDS
    while not condition():
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(min(delay, max_delay))
        delay *= backoff
    return True


class _RemoteMethod:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: object, **kwargs: object) -> Any:
        answer = _line().call(f"storage.{self._name}", args=list(args), kwargs=kwargs)
        return EmptyData if answer == {"empty": True} else answer


def _line() -> ChildChannel:
    line = current_channel()
    if line is None:
        raise RuntimeError("A remote storage works in a sandbox child only.")
    return line


def answer_remote(storage: BullStorage, name: str, args: Any, kwargs: Any) -> object:
    """Serve one call of a child's `RemoteStorage`.

    Raises
    ------
    LookupError
        The child asks for something that is not offered.
    """
    if name not in REMOTE_METHODS:
        raise LookupError(f"storage.{name} is not offered to a job")
    answer = getattr(storage, name)(*args, **kwargs)
    return {"empty": True} if answer is EmptyData else answer


def _pairs(flat: Any) -> Iterable[tuple[str, str]]:
    if isinstance(flat, dict):
        return flat.items()
    return zip(flat[::2], flat[1::2], strict=True)
