"""Waiting for jobs: one blocking read of the queue's marker a worker.

The connection carries the name by which Bull Board and BullMQ list workers.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from myia_sdk.queue.wire.clients import hang_up, named_client
from myia_sdk.queue.wire.workers import worker_client_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.queue.store import JobStore

#: Longest wait, seconds: below the socket time-out of 5 s, and the time after which
#: a wake-up that got lost no longer matters.
LONGEST_WAIT_SECONDS = 4.0
#: Shortest wait that servers before 7.0.8 do not take for "for ever".
SHORTEST_WAIT_SECONDS = 0.002


class Doorbell:
    """The marker of a queue, on a connection of its own.

    Parameters
    ----------
    store : JobStore
        The queue.
    worker : str
        Name of the worker.
    """

    def __init__(self, store: JobStore, worker: str) -> None:
        self._store = store
        name = worker_client_name(store.prefix, store.queue, worker)
        self._client = named_client(store.redis, name)
        self._due_ms = 0
        self._is_waiting = threading.Event()
        # A second connection of this name would be listed as a second worker.
        self._connection = threading.Lock()
        self._is_closed = False

    @property
    def is_waiting(self) -> bool:
        """True while the worker sleeps."""
        return self._is_waiting.is_set()

    def expect(self, due_ms: int) -> None:
        """Remember when the next delayed job is due, epoch ms; 0 for none."""
        self._due_ms = due_ms

    def wait(self, unless: Callable[[], bool] = lambda: False) -> None:
        """Sleep until there may be a job, or a few seconds; not at all once closed.

        Parameters
        ----------
        unless : callable, optional
            Asked once `is_waiting` is true: when it says so, there is no sleep.

        Raises
        ------
        QueueConnectionError
            The server does not answer.
        """
        seconds = self._seconds_until_due()
        if seconds <= 0 or self._is_closed:
            return
        self._is_waiting.set()
        try:
            if unless():
                return
            with self._connection:
                answer = self._send(
                    "BZPOPMIN", self._store.keys.marker, round(seconds, 3)
                )
        finally:
            self._is_waiting.clear()
        if answer and answer[1] == "1":
            self._due_ms = int(float(answer[2]))
            self.wait(unless)

    def ring(self) -> None:
        """Wake a waiting worker: a slot has become free."""
        self._store.command("ZADD", self._store.keys.marker, 0, "0")

    def announce(self) -> None:
        """Open the connection, so that the worker is listed before its first wait.

        Raises
        ------
        QueueConnectionError
            The server does not answer.
        """
        if not self._connection.acquire(blocking=False):
            return  # A wait is open, and with it the connection.
        try:
            self._send("PING")
        finally:
            self._connection.release()

    def close(self) -> None:
        """Close the connection; a wait on it ends."""
        self._is_closed = True
        hang_up(self._client)

    def _send(self, *command: str | float) -> Any:
        """Send a command; None when the connection was closed under it."""
        send: Callable[..., Any] = self._client.execute_command
        try:
            with self._store.wrap_errors():
                return send(*command)
        except Exception:
            # What the library makes of a connection closed by another thread varies.
            if self._is_closed:
                return None
            raise

    def _seconds_until_due(self) -> float:
        if not self._due_ms:
            return LONGEST_WAIT_SECONDS
        seconds = (self._due_ms - self._store.clock()) / 1000
        if seconds <= 0:
            self._due_ms = 0
            return 0
        return min(max(seconds, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
