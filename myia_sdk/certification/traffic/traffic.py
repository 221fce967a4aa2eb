"""The requests of one run to its endpoint: pace, places, and silence for timing."""

from __future__ import annotations

import contextlib
import time
from threading import Condition
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from myia_sdk.certification.request import CertificationRequest

#: Requests to an endpoint at once where the request's ``concurrency`` says nothing.
_CONCURRENCY = 4


def at_once() -> float:
    """Let the next request start now: no other run has to be considered."""
    return 0.0


class Traffic:
    """Orders the requests of one run: pace, and silence for those that are timed.

    Parameters
    ----------
    interval : float
        Least time between the starts of two requests, seconds.
    limit : int
        Requests at once, whatever the number of checks that send them.
    pace : callable, optional
        Reserves the next start among all runs on the endpoint; seconds until then.
    """

    def __init__(
        self,
        interval: float = 0.0,
        limit: int = 1,
        pace: Callable[[], float] = at_once,
    ) -> None:
        self.limit = limit
        self._interval = interval
        self._pace_of_all = pace
        self._changed = Condition()
        self._running = 0
        self._waiting_alone = 0
        self._is_alone = False
        self._next_start = 0.0

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Take part in the traffic; waits for a place, and while somebody is alone."""
        with self._changed:
            self._changed.wait_for(self._has_place)
            self._running += 1
        try:
            self._pace()
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the endpoint for oneself, so that times are the model's own."""
        with self._changed:
            self._waiting_alone += 1
            self._changed.wait_for(lambda: not self._running and not self._is_alone)
            self._waiting_alone -= 1
            self._is_alone = True
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Send a request while `alone`, at the run's pace all the same."""
        self._pace()
        yield

    def _has_place(self) -> bool:
        is_reserved = self._is_alone or self._waiting_alone > 0
        return not is_reserved and self._running < self.limit

    def _pace(self) -> None:
        with self._changed:
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + self._interval
        if start > now:
            time.sleep(start - now)
        if self._interval:
            time.sleep(self._pace_of_all())


def concurrency_of(request: CertificationRequest, default: int = _CONCURRENCY) -> int:
    """Return how many requests, and checks, of a run go on at once."""
    value = request.parameters.get("concurrency")
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return max(1, cast("int", value)) if is_number else default


def interval_of(request: CertificationRequest) -> float:
    """Return the least time between the starts of two requests, seconds."""
    rate = request.parameters.get("requests_per_second")
    return 1 / rate if isinstance(rate, int | float) and rate > 0 else 0.0
