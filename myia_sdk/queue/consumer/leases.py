"""The jobs a worker runs now: their leases, requests to stop, progress and logs."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import (
    InvalidJobError,
    JobNotFoundError,
    QueueConnectionError,
    QueueError,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from myia_sdk.queue.jobs import Job
    from myia_sdk.queue.store import JobStore, QueueAdministration

logger = logging.getLogger(__name__)


class StopCause(StrEnum):
    """Why a running job was stopped."""

    CANCELLED = "cancelled"  #: someone asked for it
    LOST = "lost"  #: the lease ran out; another worker has or will have the job
    SHUTDOWN = "shutdown"  #: the worker ends; the job goes back in line


@dataclass(slots=True)
class Running:
    """One job under our lease."""

    job: Job
    token: str
    #: Monotonic time until which the lease certainly holds.
    held_until: float
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Set to stop the job's process.
    stop: threading.Event = field(default_factory=threading.Event)
    cause: StopCause | None = None
    reason: str = ""
    #: True while the end of the job is being stored.
    is_ending: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    #: Held while progress and lines are sent: those taken later must not overtake
    #: them, nor must the end of the job.
    _sending: threading.Lock = field(default_factory=threading.Lock)
    _progress: list[Any] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)

    @property
    def attempt(self) -> int:
        """Number of this attempt, counted from 1."""
        return self.job.attempts_made + 1

    @property
    def is_lost(self) -> bool:
        """True when the lease is gone: the end of the job must be dropped."""
        return self.cause == StopCause.LOST

    def halt(self, cause: StopCause, reason: str = "") -> None:
        """Stop the job; the first cause stands, but a lost lease beats all."""
        with self._lock:
            if self.cause is None or cause == StopCause.LOST:
                self.cause = cause
                self.reason = reason
        self.stop.set()

    def progress(self, value: object) -> None:
        """Take the newest progress value; the one before is forgotten."""
        with self._lock:
            self._progress = [value]

    def log(self, text: str) -> None:
        """Take a text for the log."""
        self.add_lines(text.splitlines() or [""])

    def add_lines(self, lines: list[str]) -> None:
        """Take lines for the log."""
        with self._lock:
            self._lines.extend(lines)

    def flush(self, store: JobStore) -> None:
        """Send what was taken since the last time.

        Raises
        ------
        QueueConnectionError
            The server does not answer; nothing is forgotten.
        """
        with self._sending:
            self._send(store)

    def _send(self, store: JobStore) -> None:
        with self._lock:
            progress, self._progress = self._progress, []
            lines, self._lines = self._lines, []
        try:
            if lines:
                store.log(self.job.id, lines, self.job.options.keep_logs)
                lines = []
            if progress:
                store.progress(self.job.id, progress[0])
                progress = []
        except (JobNotFoundError, InvalidJobError) as exc:
            logger.warning("Dropped: %s", exc, extra={"job_id": self.job.id})
            lines, progress = [], []
        finally:
            with self._lock:
                self._lines[:0] = lines
                self._progress = self._progress or progress


class Leases:
    """All running jobs of a worker.

    Parameters
    ----------
    store : JobStore
        The queue.
    administration : QueueAdministration
        Knows who asked to stop which job.
    lease : timedelta
        Length of a lease from its last renewal.
    """

    def __init__(
        self, store: JobStore, administration: QueueAdministration, lease: timedelta
    ) -> None:
        self._store = store
        self._administration = administration
        self._lease = lease
        self._lock = threading.Lock()
        self._running: dict[str, Running] = {}

    @property
    def running(self) -> list[Running]:
        """The jobs that run now."""
        with self._lock:
            return list(self._running.values())

    def begin(self, job: Job, token: str, claimed: float) -> Running:
        """Note a job that was claimed at the monotonic time `claimed`."""
        entry = Running(job, token, claimed + self._lease.total_seconds())
        with self._lock:
            earlier = self._running.get(job.id)
            self._running[job.id] = entry
        if earlier is not None:
            earlier.halt(StopCause.LOST)
        return entry

    def end(self, entry: Running) -> None:
        """Forget a job: its end is stored, or given up."""
        with self._lock:
            if self._running.get(entry.job.id) is entry:
                del self._running[entry.job.id]

    def renew(self) -> None:
        """Prolong all leases; stop the jobs whose lease is lost."""
        entries = self.running
        if not entries:
            return
        asked = time.monotonic()
        tokens = {entry.job.id: entry.token for entry in entries}
        lost = set(self._store.renew(tokens, self._lease))
        for entry in entries:
            if entry.job.id not in lost:
                entry.held_until = asked + self._lease.total_seconds()
            elif not entry.is_ending and self._is_current(entry):
                logger.warning(
                    "The lease of job %s is lost; it is stopped here.",
                    entry.job.id,
                    extra={"job_id": entry.job.id},
                )
                entry.halt(StopCause.LOST)

    def obey_cancels(self) -> None:
        """Stop the jobs that someone cancelled."""
        entries = self.running
        if not entries:
            return
        reasons = self._administration.cancel_reasons(e.job.id for e in entries)
        for entry in entries:
            if entry.job.id in reasons and entry.cause is None:
                entry.halt(StopCause.CANCELLED, reasons[entry.job.id])

    def flush(self) -> None:
        """Send progress and logs of all running jobs.

        Raises
        ------
        QueueError
            The server refused some; those of other jobs were sent.
        """
        refusal: QueueError | None = None
        for entry in self.running:
            try:
                entry.flush(self._store)
            except QueueConnectionError:
                raise
            except QueueError as exc:
                refusal = exc
        if refusal is not None:
            raise refusal

    def halt_all(self, cause: StopCause) -> None:
        """Stop every running job."""
        for entry in self.running:
            entry.halt(cause)

    def _is_current(self, entry: Running) -> bool:
        with self._lock:
            return self._running.get(entry.job.id) is entry
