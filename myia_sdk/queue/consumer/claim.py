"""Asking for jobs: one question at a time from each worker."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from myia_sdk.errors import QueueError
from myia_sdk.queue.wire.outages import Patience

if TYPE_CHECKING:
    from myia_sdk.queue.consumer.doorbell import Doorbell
    from myia_sdk.queue.consumer.leases import Leases, Running
    from myia_sdk.queue.huey.hueyqueue import HueyQueue
    from myia_sdk.queue.store import JobStore
    from myia_sdk.queue.wire import Outage

#: How long an idle slot waits for its turn before it looks at the stop flag, seconds.
TURN_SECONDS = 0.2
#: Start of our lease tokens; tells our workers from those of other clients.
TOKEN_PREFIX = "myia:"  # noqa: S105  # no secret


@dataclass(slots=True)
class ClaimLoop:
    """The one place where a worker asks for jobs: slots take turns."""

    store: JobStore
    leases: Leases
    doorbell: Doorbell
    outage: Outage
    worker: str
    huey: HueyQueue
    stop: threading.Event
    #: Monotonic time of the last answer of the queue, or of an attempt to get one.
    last_beat: float = field(default_factory=time.monotonic)
    #: Counts the jobs that ended here.
    _ended: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _patience: Patience = field(default_factory=Patience)

    def next(self) -> Running | None:
        """Claim a job, or wait for one; None after a while, so that slots can stop."""
        if not self._turn.acquire(timeout=TURN_SECONDS):
            return None
        try:
            return None if self.stop.is_set() else self._claim_or_wait()
        except QueueError as exc:
            if not self.stop.is_set():
                self.outage.begin(exc)
                self._patience.wait(self.stop)
            return None
        finally:
            self.last_beat = time.monotonic()
            self._turn.release()

    def _claim_or_wait(self) -> Running | None:
        self.last_beat = asked = time.monotonic()
        ended = self._ended
        token = f"{TOKEN_PREFIX}{self.worker}:{uuid4().hex}"
        claim = self.store.claim(token, self.huey.lease, self.worker)
        self.outage.end()
        self._patience = Patience()
        if claim.job is not None:
            return self.leases.begin(claim.job, token, asked)
        if claim.limited_for:
            self.stop.wait(min(claim.limited_for / 1000, TURN_SECONDS))
            return None
        self.doorbell.expect(claim.next_due_at)
        # A job that ended since the question may have made room for another.
        self.doorbell.wait(unless=lambda: self._ended != ended)
        return None

    def free_slot(self) -> None:
        """Wake the waiting slot: a queue at its concurrency limit may have a job."""
        self._ended += 1
        if self.doorbell.is_waiting and not self.stop.is_set():
            try:
                self.doorbell.ring()
            except QueueError as exc:
                self.outage.begin(exc)
