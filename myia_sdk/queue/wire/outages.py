"""Outages of Redis: noticed once, reported once, waited out without spinning."""

from __future__ import annotations

import logging
import threading
import time

from myia_sdk.errors import (
    DuplicateJobError,
    InvalidJobError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
    QueueError,
)

logger = logging.getLogger(__name__)

#: First and longest wait between two tries, seconds: short enough that work goes on
#: within a second after Redis is back.
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.0

#: The same outage is not reported again within this time, seconds.
QUIET_SECONDS = 60.0

_ANSWERS = (
    DuplicateJobError,
    InvalidJobError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
)


def is_outage(error: QueueError) -> bool:
    """Tell whether an error is about the server, and may pass by itself."""
    return not isinstance(error, _ANSWERS)


class Outage:
    """Whether Redis is away, as all threads of a worker see it.

    Logs one line when it goes and one when it is back, whatever the number of
    threads and tries in between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._reason = ""
        self._told: dict[str, float] = {}
        self._is_told = False

    @property
    def is_on(self) -> bool:
        """True while the last command failed."""
        return self._since is not None

    @property
    def reason(self) -> str:
        """What the server, or the way to it, said."""
        return self._reason

    def begin(self, error: QueueError) -> None:
        """Note a failed command."""
        with self._lock:
            if self._since is not None:
                return
            now = self._since = time.monotonic()
            self._reason = str(error)
            # A server that refuses some commands comes and goes all the time.
            self._is_told = now > self._told.get(self._reason, 0) + QUIET_SECONDS
            self._told = {self._reason: now} if self._is_told else self._told
            is_told = self._is_told
        if is_told:
            logger.warning("Redis is away, waiting: %s", error)

    def end(self) -> None:
        """Note a command that succeeded."""
        if not self.is_on:
            return
        with self._lock:
            since, self._since = self._since, None
            self._reason = ""
            is_told = self._is_told
        if since is not None and is_told:
            logger.warning("Redis is back after %.1f s.", time.monotonic() - since)


class Patience:
    """Growing waits between tries."""

    def __init__(self) -> None:
        self._wait = FIRST_WAIT_SECONDS

    def wait(self, stop: threading.Event) -> bool:
        """Wait a little longer than the last time; True when `stop` was set."""
        wait, self._wait = self._wait, min(self._wait * 2, LONGEST_WAIT_SECONDS)
        return stop.wait(wait)
