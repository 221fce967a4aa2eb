"""Storing how an attempt ended: fenced by the lease, patient with outages."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from huey import signals

from myia_sdk.errors import (
    InvalidJobError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
    QueueConnectionError,
    QueueError,
)
from myia_sdk.queue.consumer.decision import Again, Failure
from myia_sdk.queue.huey.tasks import options_of
from myia_sdk.queue.jobs.job import MAX_LABEL_LENGTH
from myia_sdk.queue.jobs.payload import printable
from myia_sdk.queue.wire.outages import Patience, is_outage

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from huey.api import Task

    from myia_sdk.queue.consumer.leases import Running
    from myia_sdk.queue.huey.hueyqueue import HueyQueue
    from myia_sdk.queue.jobs import Job
    from myia_sdk.queue.wire import Outage

logger = logging.getLogger("huey.consumer")

#: Jobs that hit a rate limit together come back spread over this share of the wait.
RATE_LIMIT_SPREAD = 0.2


class GaveUpError(LeaseLostError):
    """Redis was away, or refused, for longer than a lease holds."""


@dataclass(frozen=True, slots=True)
class Endings:
    """Stores the ends of attempts.

    Parameters
    ----------
    huey : HueyQueue
        The queue, and what it keeps of ended jobs.
    outage : Outage
        What the worker knows about Redis.
    hard_stop : threading.Event
        Set when the worker must end now.
    """

    huey: HueyQueue
    outage: Outage
    hard_stop: threading.Event

    def complete(
        self, entry: Running, value: object, labels: Mapping[str, str]
    ) -> bool:
        """End a job with a value; False when the lease is gone.

        Raises
        ------
        InvalidJobError
            The value or a label cannot be stored; the job is still active.
        """
        kept = value if self.huey.results else None
        return self._end(
            entry,
            lambda: self.huey.store.complete(
                entry.job.id,
                entry.token,
                kept,
                retention=self.huey.keep_completed,
                labels=labels,
            ),
        )

    def fail(self, entry: Running, failure: Failure) -> bool:
        """End a job with a reason; False when the lease is gone."""
        job = entry.job
        done = self._end(
            entry,
            lambda: self.huey.store.fail(
                job.id,
                entry.token,
                failure.reason,
                failure.traceback,
                retention=self.huey.keep_failed,
                labels=_storable(failure.labels),
            ),
        )
        if done:
            logger.warning(
                "Job %s failed: %s", job.id, failure.reason, extra={"job_id": job.id}
            )
        return done

    def try_again(self, entry: Running, task: Task, failure: Failure) -> bool:
        """End an attempt that another one follows; False when the lease is gone."""
        return self._end(entry, lambda: self._try_again(entry, task, failure))

    def put_back(self, entry: Running) -> bool:
        """Give a job back uncharged; False when the lease is gone."""
        return self._end(
            entry, lambda: self.huey.store.put_back(entry.job.id, entry.token)
        )

    @staticmethod
    def drop(entry: Running, reason: object) -> None:
        """Give up the end of a job that is no longer ours."""
        logger.warning(
            "Dropped the end of job %s: %s",
            entry.job.id,
            reason,
            extra={"job_id": entry.job.id},
        )

    def insist(self, entry: Running, command: Callable[[], Any]) -> Any:
        """Run a command of the store; wait while Redis is away and the lease holds.

        Raises
        ------
        GaveUpError
            Redis was away, or refused, for longer than the lease.
        """
        patience = Patience()
        refused_until = time.monotonic() + self.huey.lease.total_seconds()
        while True:
            try:
                answer = command()
            except QueueError as exc:
                if not is_outage(exc):
                    raise
                self.outage.begin(exc)
                is_refused = not isinstance(exc, QueueConnectionError)
                until = min(entry.held_until, refused_until if is_refused else 1e300)
                if time.monotonic() > until or entry.is_lost:
                    raise GaveUpError(f"{exc} The job will run again.") from exc
                if patience.wait(self.hard_stop):
                    raise GaveUpError("the worker ends while Redis is away") from exc
            else:
                self.outage.end()
                return answer

    def _try_again(self, entry: Running, task: Task, failure: Failure) -> None:
        store, job = self.huey.store, entry.job
        delay = failure.delay
        if failure.again is Again.UNCHARGED:
            if delay is None:
                delay = timedelta(seconds=task.retry_delay or 0)
            if failure.signal == signals.SIGNAL_RATE_LIMITED:
                delay *= 1 + RATE_LIMIT_SPREAD * random.random()  # noqa: S311  # spreads load
            now = datetime.fromtimestamp(store.clock() / 1000, UTC)
            store.delay(job.id, entry.token, now + delay)
            return
        if delay is None:
            delay = self._backoff(task, job)
        if delay > timedelta():
            store.retry_later(
                job.id, entry.token, delay, failure.reason, failure.traceback
            )
        else:
            store.retry_now(job.id, entry.token, failure.reason, failure.traceback)

    def _backoff(self, task: Task, job: Job) -> timedelta:
        attempt = job.attempts_made + 1
        if task.retry_delay and options_of(task).backoff is None:
            factor = (task.retry_backoff or 1) ** (attempt - 1)
            return timedelta(seconds=task.retry_delay * factor)
        backoff = job.options.backoff or self.huey.backoff_of(task)
        if backoff is None:
            return timedelta()
        return backoff.delay_for(attempt, random.random())  # noqa: S311  # jitter

    def _end(self, entry: Running, store_end: Callable[[], None]) -> bool:
        entry.is_ending = True
        try:
            self._flush(entry)
            self.insist(entry, store_end)
        except InvalidJobError:
            entry.is_ending = False
            raise
        except (LeaseLostError, JobNotFoundError, InvalidTransitionError) as exc:
            self.drop(entry, exc)
            return False
        return True

    def _flush(self, entry: Running) -> None:
        """Send the last progress and log; the end matters more than they do."""

        def flush() -> None:
            try:
                entry.flush(self.huey.store)
            except QueueConnectionError:
                raise
            except QueueError as exc:
                logger.warning("Log lines of job %s are lost: %s", entry.job.id, exc)

        self.insist(entry, flush)


def _storable(labels: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Cut labels that an exception brought along to what can be stored."""
    if labels is None:
        return None
    return {name: printable(text)[:MAX_LABEL_LENGTH] for name, text in labels.items()}
