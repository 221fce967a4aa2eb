"""Operations on a whole queue: pause, retry, clean, drain, limits, workers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from myia_sdk.errors import ConfigurationError, QueueError
from myia_sdk.queue.jobs import JobState, Metrics, QueueDefaults, RateLimit
from myia_sdk.queue.jobs.options import epoch_ms, milliseconds
from myia_sdk.queue.store.control import Cancellation, JobControl
from myia_sdk.queue.wire import ServerInfo
from myia_sdk.queue.wire.commands import list_clients
from myia_sdk.queue.wire.workers import WorkerRecord, workers_of

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Cancellation", "QueueAdministration", "RateLimit"]

#: Jobs moved by one script. With their labels and reason in the search index each
#: costs 70 microseconds of the server's time, twice that in a queue of a million: 3 ms,
#: where no script may hold the server for 10, on a machine three times as slow.
BATCH = 20
#: Jobs deleted by one script: 130 microseconds each, with logs and result. ``python -m
#: tests.benchmarks.scale`` measures both.
DELETE_BATCH = 10
#: Ids moved between two lists by one script: they are only copied.
MOVE_BATCH = 5000

_NOT_PAUSED, _RUNNING = -1, -2
_CLEANED: dict[JobState, tuple[str, ...]] = {
    JobState.WAITING: ("wait", "paused"),
    JobState.PRIORITIZED: ("prioritized",),
    JobState.DELAYED: ("delayed",),
    JobState.ACTIVE: ("active",),
    JobState.COMPLETED: ("completed",),
    JobState.FAILED: ("failed",),
    JobState.WAITING_CHILDREN: ("waiting-children",),
}


class QueueAdministration(JobControl):
    """What people and Bull Board do to a queue, with the events Bull sends.

    Operations on many jobs run in batches, each atomic: other clients go on in
    between, and a call that is interrupted has done a part and may be repeated.

    Parameters
    ----------
    store : JobStore
        The queue.
    """

    def pause(self) -> None:
        """Stop handing out jobs; those that run go on."""
        while self._run("pause", MOVE_BATCH):
            pass

    def resume(self) -> None:
        """Hand out jobs again, also those that were added meanwhile."""
        while self._run("resume", MOVE_BATCH):
            pass

    def retry_all(
        self,
        state: Literal[JobState.FAILED, JobState.COMPLETED] = JobState.FAILED,
        *,
        reset_attempts: bool = False,
        finished_before: datetime | None = None,
        cancelled: bool = False,
    ) -> int:
        """Run all failed (or all completed) jobs again, the oldest first.

        Unlike BullMQ, jobs with a priority return to their class, and jobs that
        somebody cancelled stay failed: they did not fail by themselves.

        Parameters
        ----------
        state : JobState, default failed
            ``failed`` or ``completed``.
        reset_attempts : bool, default False
            Count attempts from 0 again.
        finished_before : datetime, optional
            Only jobs that ended until then; the default is now, so that a job that
            fails again meanwhile is not retried twice.
        cancelled : bool, default False
            The cancelled ones too, as BullMQ does, which knows no cancelling.

        Returns
        -------
        int
            How many jobs run again.
        """
        place = JobState(state)
        if place not in {JobState.FAILED, JobState.COMPLETED}:
            raise ConfigurationError(
                f"Jobs in state {place} cannot be retried; choose failed or completed."
            )
        until = self._now() if finished_before is None else epoch_ms(finished_before)
        total, passed, seen = 0, 0, BATCH
        while seen == BATCH:
            left, again, kept = self._run(
                *("retry-all", place, until, BATCH, int(reset_attempts)),
                *(passed, int(cancelled)),
            )
            total, passed, seen = total + int(again), passed + kept, left + kept
        return total

    def promote_all(self) -> int:
        """Put all delayed jobs in line now, the earliest first.

        Unlike BullMQ, jobs with a priority go to their class.

        Returns
        -------
        int
            How many jobs are in line now that were delayed.
        """
        waiting = self._store.counts()[JobState.DELAYED]
        total, left = 0, BATCH
        while left == BATCH and waiting > 0:
            left, promoted = self._run("promote-all", BATCH)
            waiting -= left
            total += int(promoted)
        return total

    def clean(
        self,
        grace: timedelta,
        limit: int | None = None,
        state: JobState = JobState.COMPLETED,
    ) -> list[str]:
        """Delete jobs of a state that are older than `grace`, the oldest first.

        Age counts from the end of a finished job, from the last start or the
        creation of another. Left alone are running jobs that a worker holds, and
        the next runs of schedulers. A parent in the same queue goes with its last
        child.

        Parameters
        ----------
        grace : timedelta
            Younger jobs stay; zero cleans all.
        limit : int, optional
            Most jobs to delete.
        state : JobState, default completed
            Which jobs.

        Returns
        -------
        list of str
            Ids of the deleted jobs.

        Raises
        ------
        ConfigurationError
            `grace` or `limit` is negative.
        """
        if milliseconds(grace) < 0 or (limit is not None and limit < 0):
            raise ConfigurationError(
                f"clean(grace={grace}, limit={limit}): neither may be negative."
            )
        cut = self._now() - milliseconds(grace)
        removed: list[str] = []
        for place in _CLEANED[JobState(state)]:
            left = None if limit is None else limit - len(removed)
            if left != 0:
                removed += self._clean_place(place, cut, left)
        return removed

    def _clean_place(self, place: str, cut: int, limit: int | None) -> list[str]:
        removed: list[str] = []
        passed, first = 0, int(place != "paused")
        while True:
            left = DELETE_BATCH if limit is None else limit - len(removed)
            batch = min(DELETE_BATCH, left)
            gone, kept = self._run(
                "clean", place, cut, batch, passed, first, self._now()
            )
            removed += gone
            passed, first = passed + kept, 0
            if len(gone) + kept < batch or len(removed) == limit:
                return removed

    def drain(self, *, delayed: bool = False) -> int:
        """Delete the jobs that wait; running and finished ones stay.

        Parameters
        ----------
        delayed : bool, default False
            The delayed ones too. The next runs of schedulers always stay.

        Returns
        -------
        int
            How many jobs were deleted.
        """
        places = ["wait", "paused", "prioritized", *(["delayed"] if delayed else [])]
        return sum(self._drain_place(place) for place in places)

    def _drain_place(self, place: str) -> int:
        total = passed = 0
        while True:
            gone, kept = self._run("drain", place, DELETE_BATCH, passed, self._now())
            total, passed = total + int(gone), passed + int(kept)
            if gone + kept < DELETE_BATCH:
                return total

    def obliterate(self, *, force: bool = False) -> None:
        """Delete the queue with all its jobs, schedulers, events and settings.

        Parameters
        ----------
        force : bool, default False
            Also when jobs run: their workers find them gone and drop the results.

        Raises
        ------
        QueueError
            Jobs run and `force` is not given. The queue is as it was.
        """
        if not force and self._store.counts()[JobState.ACTIVE]:
            raise self._running()
        was_paused = self._store.is_paused()
        answer = _NOT_PAUSED
        while answer not in {0, _RUNNING}:
            if answer == _NOT_PAUSED:
                self.pause()
            answer = self._run("obliterate", DELETE_BATCH, int(force), self._now())
        if answer == _RUNNING:
            if not was_paused:
                self.resume()
            raise self._running()

    def _running(self) -> QueueError:
        return QueueError(
            f"Queue {self._store.queue!r} has running jobs; wait for them, cancel "
            "them, or obliterate with force."
        )

    def set_concurrency(self, maximum: int | None) -> None:
        """Limit how many jobs of the queue run at once, on all workers together.

        Parameters
        ----------
        maximum : int or None
            1 or more; ``None`` removes the limit.

        Raises
        ------
        ConfigurationError
            The number is below 1.
        """
        if maximum is not None and maximum < 1:
            raise ConfigurationError(
                f"A concurrency of {maximum} would stop the queue; pause it instead."
            )
        self._run("set-concurrency", "" if maximum is None else maximum)

    def concurrency(self) -> int | None:
        """Return the limit of jobs that run at once; ``None`` without one."""
        (text,) = self._settings("concurrency")
        return None if text is None else int(text)

    def set_rate_limit(
        self, maximum: int | None, duration: timedelta | None = None
    ) -> None:
        """Limit how many jobs of the queue start in a window, on all workers.

        Parameters
        ----------
        maximum : int or None
            1 or more; ``None`` removes the limit and ends a running window.
        duration : timedelta, optional
            Length of the window; needed with `maximum`.

        Raises
        ------
        ConfigurationError
            A number is below 1, or one of the two is missing.
        """
        if maximum is None:
            self._store.batch(
                [
                    ("HDEL", self._store.keys.meta, "max", "duration"),
                    ("DEL", self._store.keys.limiter),
                ],
                transaction=True,
            )
            return
        window = 0 if duration is None else milliseconds(duration)
        if maximum < 1 or window < 1:
            raise ConfigurationError(
                f"A rate limit of {maximum} per {duration} is not possible: both must "
                "be positive."
            )
        meta = self._store.keys.meta
        self._store.command("HSET", meta, "max", maximum, "duration", window)

    def rate_limit(self) -> RateLimit | None:
        """Return the limit of starts; ``None`` without one."""
        maximum, duration = self._settings("max", "duration")
        if maximum is None or duration is None:
            return None
        return RateLimit(int(maximum), timedelta(milliseconds=int(duration)))

    def set_defaults(self, defaults: QueueDefaults) -> None:
        """Replace the defaults of jobs whose submitter says nothing."""
        key, fields = self._store.keys.sdk("defaults"), defaults.to_hash()
        commands: list[tuple[str | int, ...]] = [("DEL", key)]
        if fields:
            commands.append(
                ("HSET", key, *(part for f in fields.items() for part in f))
            )
        self._store.batch(commands, transaction=True)

    def defaults(self) -> QueueDefaults:
        """Return the defaults of the queue; without any, all are ``None``."""
        found = self._store.command("HGETALL", self._store.keys.sdk("defaults"))
        return QueueDefaults.from_hash(found)

    def _settings(self, *names: str) -> list[str | None]:
        return list(self._store.command("HMGET", self._store.keys.meta, *names))

    def workers(self) -> list[WorkerRecord]:
        """Return the workers connected to the server, those of other clients too."""
        keys = self._store.keys
        with self._store.wrap_errors():
            clients = list_clients(self._store.redis)
        return workers_of(clients, keys.prefix, keys.queue)

    def beats(self) -> dict[str, dict[str, Any]]:
        """Return what each worker of this SDK told last, by its name.

        ``host pid slots running beat``, and what it announces besides. A worker that
        is gone is forgotten within two minutes.
        """
        found = self._store.command("HGETALL", self._store.keys.sdk("workers"))
        return {name: _beat_of(text) for name, text in found.items()}

    def metrics(
        self,
        state: Literal[JobState.COMPLETED, JobState.FAILED],
        start: int = 0,
        stop: int = -1,
    ) -> Metrics:
        """Return how many jobs ended in a state, by the minute.

        Parameters
        ----------
        state : JobState
            ``completed`` or ``failed``.
        start, stop : int
            Range of minutes, 0 being the newest full one; all by default.
        """
        key = self._store.keys.metrics(state)
        names = ("count", "prevTS")
        values, minutes = self._store.batch(
            [("HMGET", key, *names), ("LRANGE", f"{key}:data", start, stop)],
            transaction=True,
        )
        totals = {
            name: value
            for name, value in zip(names, values, strict=True)
            if value is not None
        }
        return Metrics.from_wire(JobState(state), totals, minutes, skipped=start)

    def info(self) -> ServerInfo:
        """Return version, memory, clients and persistence of the server."""
        with self._store.wrap_errors():
            return ServerInfo.from_info(self._store.redis.info())


def _beat_of(text: str) -> dict[str, Any]:
    """Read what a worker told; what is no object counts as nothing."""
    try:
        beat = json.loads(text)
    except ValueError:
        return {}
    return beat if isinstance(beat, dict) else {}
