"""Huey's locks and rate limits, made safe for several workers and for crashes."""

from __future__ import annotations

import secrets
import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from huey.api import RateLimit, TaskLock
from huey.exceptions import RateLimitExceeded, TaskLockedException

if TYPE_CHECKING:
    from collections.abc import Callable


class BullLock(TaskLock):
    """A lock that only its owner releases.

    The owner is the block or call that took it: a token made at the time, so that a
    late release, after the lock ran out, does not free the next owner's.
    """

    def __init__(self, huey: Any, name: str, ttl: float | None = None) -> None:
        super().__init__(huey, name, ttl)
        self._tokens = threading.local()

    @property
    def _is_stock(self) -> bool:
        return bool(self._huey.is_in_memory)

    def is_locked(self) -> bool:
        """Tell whether anyone holds the lock."""
        if self._is_stock:
            return bool(super().is_locked())
        return bool(self._huey.storage.is_locked(self._name))

    locked = is_locked

    def acquire(self) -> bool:
        """Take the lock.

        Raises
        ------
        TaskLockedException
            Another holds it.
        """
        if self._is_stock:
            return bool(super().acquire())
        token = secrets.token_hex(12)
        if not self._huey.storage.acquire_lock(self._name, token, self._ttl):
            raise TaskLockedException(f"unable to acquire lock {self._name}")
        self._tokens.stack = [*getattr(self._tokens, "stack", ()), token]
        return True

    def __exit__(self, *_: object) -> None:
        if self._is_stock:
            super().__exit__(None, None, None)
            return
        *rest, token = self._tokens.stack
        self._tokens.stack = rest
        self._huey.storage.release_lock(self._name, token)

    def clear(self) -> bool:
        """Free the lock, whoever holds it: for people who know that it is stuck."""
        if self._is_stock:
            return bool(super().clear())
        return bool(self._huey.storage.release_lock(self._name, None))

    release = clear


class BullRateLimit(RateLimit):
    """At most `limit` calls in any window of `per` seconds, by the server's clock."""

    @property
    def _is_stock(self) -> bool:
        return bool(self._huey.is_in_memory)

    def acquire(self) -> None:
        """Take a place in the window.

        Raises
        ------
        RateLimitExceeded
            The window is full; carries the seconds until a place is free.
        """
        if self._is_stock:
            super().acquire()
            return
        wait = self._huey.storage.acquire_place(self._name, self._limit, self._per)
        if wait:
            raise RateLimitExceeded(self._name, wait, retry=self._retry)

    def current_usage(self) -> int:
        """Return how many places are taken now."""
        if self._is_stock:
            return int(super().current_usage())
        return int(self._huey.storage.count_places(self._name, self._per))

    def reset(self) -> None:
        """Empty the window."""
        if self._is_stock:
            super().reset()
        else:
            self._huey.storage.forget_places(self._name)

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Limit a function."""

        @wraps(fn)
        def inner(*args: Any, **kwargs: Any) -> Any:
            with self:
                return fn(*args, **kwargs)

        return inner
