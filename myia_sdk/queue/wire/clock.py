"""Time for the queue: the server's clock, so that every client agrees on it."""

from __future__ import annotations

import threading
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, ResponseError

from myia_sdk.queue.wire.clients import address_of, wrap_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.queue.wire.clients import RedisClient

#: Seconds between two looks at the server's clock: machines drift by milliseconds.
REFRESH = 60.0
#: Seconds within which an answer is as exact as the queue needs, and how often to try.
_QUICK = 0.005
_LOOKS = 4


def now_ms() -> int:
    """Return the epoch time of this machine in milliseconds."""
    return int(time() * 1000)


class ServerClock:
    """Epoch milliseconds by the clock of the Redis server.

    Delays, due times and retention compare times that different machines wrote. A
    notebook whose clock is an hour wrong would start its delayed jobs an hour wrong.
    The server is asked at the first call and once a minute; in between, the elapsed
    time of this machine is added, so that steps of its clock do not matter.

    Parameters
    ----------
    redis : RedisClient
        Connection to the server.
    local : callable, optional
        Clock used where the server does not tell its time: a cluster, or a user
        without the right to ask.
    """

    def __init__(self, redis: RedisClient, local: Callable[[], int] = now_ms) -> None:
        self._redis = redis
        self._local = local
        self._lock = threading.Lock()  # guards _known
        self._known: tuple[float, float] | None = None

    def __call__(self) -> int:
        """Return the time now.

        Raises
        ------
        QueueConnectionError
            The server does not answer.
        """
        with self._lock:
            known = self._known
        if known is None or monotonic() - known[0] > REFRESH:
            known = self._ask()
        asked_at, server_ms = known
        return int(server_ms + (monotonic() - asked_at) * 1000)

    def _ask(self) -> tuple[float, float]:
        """Look at the server's clock, and again when the answer took long."""
        quickest = None
        for _ in range(_LOOKS):
            begun = monotonic()
            server_ms = self._server_ms()
            ended = monotonic()
            if server_ms is None:
                known = (ended, float(self._local()))
                break
            if quickest is None or ended - begun < quickest:
                # The server read its clock before it answered: rather a little late
                # than early, so that no job starts before it is due.
                quickest, known = ended - begun, (ended, server_ms)
            if quickest < _QUICK:
                break
        with self._lock:
            self._known = known
        return known

    def _server_ms(self) -> float | None:
        try:
            with wrap_errors(address_of(self._redis)):
                return self._time()
        except _Untold:
            return None

    def _time(self) -> float:
        send: Callable[..., Any] = self._redis.execute_command
        try:
            seconds, micros = send("TIME")
        except (NoPermissionError, ResponseError, TypeError, ValueError) as error:
            raise _Untold from error
        return int(seconds) * 1000 + int(micros) / 1000


class _Untold(Exception):  # noqa: N818 - not an error: the local clock serves
    """The server does not tell its time."""
