"""What a worker does besides running jobs: leases, cancels, stalls, its heartbeat."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING

from myia_sdk.errors import QueueConnectionError, QueueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.queue.consumer.consumer import BullConsumer

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
    consumer : BullConsumer
        The worker to look after.
    """

    def __init__(self, consumer: BullConsumer) -> None:
        self._consumer = consumer
        huey = consumer.huey
        renewal = huey.lease.total_seconds() / 3
        self._duties = [
            Duty(renewal, consumer.leases.renew),
            Duty(CANCEL_SECONDS, consumer.leases.obey_cancels),
            Duty(REPORT_SECONDS, consumer.leases.flush),
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
        consumer = self._consumer
        if consumer.outage.is_on:
            return
        try:
            consumer.store.command("HDEL", self._workers_key, consumer.name)
        except QueueError as exc:
            logger.debug("The worker stays listed for a minute: %s", exc)

    @property
    def _workers_key(self) -> str:
        return self._consumer.store.keys.sdk("workers")

    def _run(self) -> None:
        setup = [self._consumer.doorbell.announce, self._consumer.register_periodic]
        while not self._stop.is_set():
            try:
                while setup:
                    setup[0]()
                    setup.pop(0)
                self._do_duties()
            except QueueError as exc:
                self._consumer.outage.begin(exc)
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
        consumer = self._consumer
        stalled = consumer.store.check_stalled(
            consumer.huey.stalled_interval, consumer.huey.max_stalled_count
        )
        consumer.outage.end()
        if stalled:
            logger.warning("Recovered stalled jobs: %s", ", ".join(stalled))

    def _beat(self) -> None:
        consumer = self._consumer
        if not consumer.health()["is_alive"]:
            return
        store = consumer.store
        store.command("HSET", self._workers_key, consumer.name, consumer.beat())
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
