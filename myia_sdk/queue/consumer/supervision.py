"""What a worker does besides running jobs: leases, cancels, stalls, its heartbeat."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING

from myia_sdk.errors import QueueConnectionError, QueueError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from myia_sdk.queue.consumer.leases import Leases
    from myia_sdk.queue.huey.hueyqueue import HueyQueue
    from myia_sdk.queue.wire import Outage

logger = logging.getLogger("huey.consumer")

#: How often running jobs are looked at for cancels, seconds.
CANCEL_SECONDS = 0.5
#: How often progress and logs are sent, seconds: people see no difference below.
REPORT_SECONDS = 0.2
#: How often the worker shows that it lives, seconds.
BEAT_SECONDS = 5.0
#: A worker that has not shown itself for this long is forgotten, seconds.
FORGET_SECONDS = 60.0
TICK_SECONDS = 0.1


class Supervisor:
    """A thread with a few duties, each at its own pace.

    Parameters
    ----------
    huey : HueyQueue
        The queue, and how patient it is with leases.
    leases : Leases
        The jobs that run, to be renewed, cancelled and reported.
    outage : Outage
        Whether the server is away.
    worker : str
        Name of the worker.
    setup : sequence of callable
        What to do once, as soon as the server answers.
    beat : callable
        Returns what others are told of the worker; ``None`` while it does not live.
    """

    def __init__(
        self,
        huey: HueyQueue,
        leases: Leases,
        outage: Outage,
        worker: str,
        *,
        setup: Sequence[Callable[[], object]],
        beat: Callable[[], str | None],
    ) -> None:
        self._huey = huey
        self._outage = outage
        self._worker = worker
        self._setup = list(setup)
        self._tell = beat
        self._workers_key = huey.store.keys.sdk("workers")
        renewal = huey.lease.total_seconds() / 3
        self._duties = [
            Duty(renewal, leases.renew),
            Duty(CANCEL_SECONDS, leases.obey_cancels),
            Duty(REPORT_SECONDS, leases.flush),
            Duty(huey.stalled_interval.total_seconds(), self._check_stalled),
            Duty(BEAT_SECONDS, self._beat),
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="Supervisor", daemon=True
        )

    def start(self) -> None:
        """Start the thread; does nothing the second time."""
        if not self._thread.is_alive() and not self._stop.is_set():
            self._thread.start()

    def stop(self) -> None:
        """End the thread and take the worker off the list."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        if self._outage.is_on:
            return
        try:
            self._huey.store.command("HDEL", self._workers_key, self._worker)
        except QueueError as exc:
            logger.debug("The worker stays listed for a minute: %s", exc)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                while self._setup:
                    self._setup[0]()
                    self._setup.pop(0)
                self._do_duties()
            except QueueError as exc:
                self._outage.begin(exc)
                self._stop.wait(TICK_SECONDS * 5)
            except Exception:
                logger.exception("Supervision failed; it goes on.")
                self._stop.wait(1)
            self._stop.wait(TICK_SECONDS)

    def _do_duties(self) -> None:
        """Do what is due; one that the server refuses does not hold up the others."""
        refusal: QueueError | None = None
        for duty in self._duties:
            try:
                duty.do_if_due()
            except QueueConnectionError:
                raise
            except QueueError as exc:
                refusal = exc
        if refusal is not None:
            raise refusal

    def _check_stalled(self) -> None:
        huey = self._huey
        stalled = huey.store.check_stalled(
            huey.stalled_interval, huey.max_stalled_count
        )
        self._outage.end()
        if stalled:
            logger.warning("Recovered stalled jobs: %s", ", ".join(stalled))

    def _beat(self) -> None:
        told = self._tell()
        if told is None:
            return
        store = self._huey.store
        store.command("HSET", self._workers_key, self._worker, told)
        store.command("EXPIRE", self._workers_key, round(FORGET_SECONDS * 2))
        found = store.command("HGETALL", self._workers_key)
        limit = store.clock() - FORGET_SECONDS * 1000
        old = [name for name, text in found.items() if _beat_of(text) < limit]
        if old:
            store.command("HDEL", self._workers_key, *old)


class Duty:
    """Something to do every so often."""

    def __init__(self, seconds: float, work: Callable[[], None]) -> None:
        self._seconds = seconds
        self._work = work
        self._due = 0.0

    def do_if_due(self) -> None:
        """Do it when its time has come; what fails is done again soon."""
        now = time.monotonic()
        if now >= self._due:
            self._work()
            self._due = now + self._seconds


def _beat_of(text: str) -> float:
    try:
        return float(json.loads(text)["beat"])
    except (ValueError, KeyError, TypeError):
        return 0.0
