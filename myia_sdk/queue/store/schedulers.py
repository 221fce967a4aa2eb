"""Job schedulers: jobs that come again, one run a tick however many workers there are.

A scheduler always has one pending run, an ordinary job whose id names its tick.
Whoever claims that run makes the next one, in a script that compares the tick first:
of any number of workers, ours and those of BullMQ, exactly one succeeds.

A tick that was missed, because no worker ran or the queue was paused, is caught up
with one late run; the next tick is the first one after that, on the old grid. Ten
missed ticks are one run, not ten.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from myia_sdk.errors import ConfigurationError, QueueError
from myia_sdk.queue.jobs import Job, JobState, NewJob
from myia_sdk.queue.jobs.options import epoch_ms
from myia_sdk.queue.jobs.payload import DEFAULT_PAYLOAD_LIMIT, check_text, encode_json
from myia_sdk.queue.jobs.timetable import Tick, Timetable
from myia_sdk.queue.store.definition import (
    JobScheduler,
    ScheduledRun,
    StoredScheduler,
    definition_of,
    private_of,
    read_private,
    run_id,
    runs_made,
    scheduler_of,
)
from myia_sdk.queue.store.read import chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from myia_sdk.queue.store.store import JobStore
    from myia_sdk.queue.wire.commands import Command

__all__ = ["JobScheduler", "JobSchedulers"]

logger = logging.getLogger(__name__)

_TAKEN = -10
#: Another client may change a scheduler between our reading and our writing.
_TRIES = 50
#: Ticks tried when a job already has the id of a run, as left by an older scheduler.
_TICKS_TRIED = 32
_PENDING = {JobState.WAITING, JobState.PRIORITIZED, JobState.DELAYED}


class JobSchedulers:
    """The schedulers of a queue.

    Parameters
    ----------
    store : JobStore
        The queue.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._store.keys.base[:-1]}>"

    def upsert(
        self,
        scheduler_id: str,
        *,
        every: timedelta | None = None,
        pattern: str | None = None,
        tz: str | None = None,
        offset: timedelta | None = None,
        limit: int | None = None,
        start_at: datetime | None = None,
        end_at: datetime | None = None,
        template: NewJob,
    ) -> JobScheduler:
        """Create a scheduler, or change it without losing its pending tick.

        Any number of processes may do this at their start: an unchanged timetable
        keeps its tick, even one that is just due.

        Parameters
        ----------
        scheduler_id : str
            Name of the scheduler.
        every : timedelta, optional
            Distance of the runs; the first is due now, unless `offset` or `start_at`
            says otherwise.
        pattern : str, optional
            Cron pattern of five fields, or six with seconds first. Either this or
            `every`.
        tz : str, optional
            IANA time zone of `pattern`; UTC by default. A run in the hour that
            summer time leaves out comes right after it, one in the hour that is
            repeated comes once.
        offset : timedelta, optional
            Shift of the runs against multiples of `every` since 1970.
        limit : int, optional
            Most runs in all.
        start_at, end_at : datetime, optional
            No run before or after.
        template : NewJob
            Name, data, options and labels of each run.

        Returns
        -------
        JobScheduler
            As it is now.

        Raises
        ------
        ConfigurationError
            The timetable makes no sense, or has no tick any more.
        QueueError
            Jobs with the ids of the next ticks exist already.
        """
        _check_id(scheduler_id)
        timetable = Timetable(
            every=every,
            pattern=pattern,
            tz=tz,
            offset=offset,
            limit=limit,
            start_ms=None if start_at is None else epoch_ms(start_at),
            end_ms=None if end_at is None else epoch_ms(end_at),
        )
        for _ in range(_TRIES):
            if self._upsert_once(scheduler_id, timetable, template):
                found = self.get(scheduler_id)
                if found is not None:
                    return found
        raise QueueError(
            f"Scheduler {scheduler_id!r} is being changed by others all the time; "
            "nothing was stored."
        )

    def _upsert_once(
        self, scheduler_id: str, timetable: Timetable, template: NewJob
    ) -> bool:
        stored = self._read(scheduler_id)
        now = self._store.clock()
        pending = stored is not None and self._is_pending(scheduler_id, stored)
        tick = _next_of_upsert(timetable, stored, now, pending=pending)
        definition = definition_of(timetable, stored, tick, template, pending=pending)
        run = ScheduledRun(
            template.name, template.options.to_record(), private_of(template)
        )
        run.data = encode_json(template.data, limit=DEFAULT_PAYLOAD_LIMIT)
        for _ in range(_TICKS_TRIED):
            run.repeat_as(timetable, tick, scheduler_id, count=1, now=now)
            answer = self._store.run(
                "schedule-upsert",
                *(scheduler_id, stored.tick if stored else "", int(pending)),
                *(tick.at_ms, now, len(definition)),
                *(part for pair in definition.items() for part in pair),
                *run.arguments(tick, now),
            )
            if answer != _TAKEN:
                return bool(answer)
            tick = _required(timetable.after(tick.at_ms, now, tick.offset_ms))
        raise QueueError(
            f"Jobs with the ids of the next {_TICKS_TRIED} ticks of scheduler "
            f"{scheduler_id!r} exist already; clean the finished ones."
        )

    def advance(self, job: Job) -> str | None:
        """Make the next run of the scheduler whose run was claimed.

        A consumer calls this right after the claim, before the task runs, so that
        the schedule goes on whatever becomes of this run. Calling it twice, or from
        a worker that got the run again, does nothing.

        Parameters
        ----------
        job : Job
            The claimed run.

        Returns
        -------
        str or None
            Id of the next run; ``None`` when it exists already, or when the
            scheduler has ended or is gone.
        """
        if job.scheduler_id is None:
            return None
        stored = self._read(job.scheduler_id)
        if stored is None or job.id != run_id(job.scheduler_id, stored.tick):
            return None
        if "ic" not in stored.fields:
            logger.warning(
                "%s is a repeatable job of BullMQ's old kind; only BullMQ 5 goes on "
                "with its schedule.",
                job.scheduler_id,
                extra={"job_id": job.id},
            )
            return None
        try:
            return self._advance(job, job.scheduler_id, stored)
        except ConfigurationError:
            logger.exception(
                "The schedule %s cannot go on.",
                job.scheduler_id,
                extra={"job_id": job.id},
            )
            return None

    def _advance(
        self, job: Job, scheduler_id: str, stored: StoredScheduler
    ) -> str | None:
        timetable = Timetable.from_hash(stored.fields)
        options = job.options.to_record()
        count = runs_made(options) + 1
        now = self._store.clock()
        if not timetable.allows(count, now):
            return None
        run = ScheduledRun(stored.fields.get("name", job.name), options, {})
        run.data = stored.fields.get("data") or encode_json(
            {} if job.data is None else job.data
        )
        run.private = read_private(stored.fields)
        offset = int(float(stored.fields.get("offset", 0)))
        tick = timetable.after(stored.tick_ms, now, offset)
        for _ in range(_TICKS_TRIED):
            if tick is None:
                return None
            run.repeat_as(timetable, tick, scheduler_id, count=count, now=now)
            answer = self._store.run(
                "schedule-advance",
                *(scheduler_id, stored.tick, tick.at_ms),
                *run.arguments(tick, now),
            )
            if answer != _TAKEN:
                return run_id(scheduler_id, tick.at_ms) if answer else None
            tick = timetable.after(tick.at_ms, now, offset)
        logger.error("No free tick for the schedule %s.", scheduler_id)
        return None

    def get(self, scheduler_id: str) -> JobScheduler | None:
        """Return one scheduler, or ``None`` when there is none of this id."""
        stored = self._read(scheduler_id)
        return None if stored is None else scheduler_of(scheduler_id, stored)

    def remove(self, scheduler_id: str) -> bool:
        """Delete a scheduler and its run that is not yet due.

        A run that is in line or runs already is an ordinary job from then on.

        Returns
        -------
        bool
            Whether there was one.
        """
        return bool(
            self._store.run("schedule-remove", scheduler_id, self._store.clock())
        )

    def list(self, start: int = 0, stop: int = -1) -> Sequence[JobScheduler]:
        """Return the schedulers, the next to run first; malformed ones are left out.

        Parameters
        ----------
        start, stop : int
            Range in that order; all by default.
        """
        ids = self._store.command("ZRANGE", self._store.keys.repeat, start, stop)
        answers = self._store.batch(
            command for scheduler_id in ids for command in self._reads(scheduler_id)
        )
        found = (
            scheduler_of(scheduler_id, StoredScheduler(fields, str(int(tick))))
            for scheduler_id, (fields, tick) in zip(
                ids, chunks(answers, 2), strict=True
            )
            if tick is not None
        )
        return [scheduler for scheduler in found if scheduler is not None]

    def _reads(self, scheduler_id: str) -> tuple[Command, Command]:
        keys = self._store.keys
        return (
            ("HGETALL", keys.scheduler(scheduler_id)),
            ("ZSCORE", keys.repeat, scheduler_id),
        )

    def _read(self, scheduler_id: str) -> StoredScheduler | None:
        reads = self._reads(scheduler_id)
        fields, tick = self._store.batch(reads, transaction=True)
        return None if tick is None else StoredScheduler(fields, str(int(tick)))

    def _is_pending(self, scheduler_id: str, stored: StoredScheduler) -> bool:
        return self._store.state(run_id(scheduler_id, stored.tick)) in _PENDING


def _check_id(scheduler_id: str) -> None:
    if not check_text(scheduler_id, "The scheduler id").strip():
        raise ConfigurationError("The id of a job scheduler must not be empty.")
    if scheduler_id.count(":") > 3:  # noqa: PLR2004 - below the form of BullMQ 5's own
        raise ConfigurationError(
            f"{scheduler_id!r} has more than three colons, like BullMQ's old "
            "repeatable jobs; use another separator."
        )


def _required(tick: Tick | None) -> Tick:
    if tick is None:
        raise ConfigurationError(
            "This timetable has no tick: its pattern never matches."
        )
    return tick


def _next_of_upsert(
    timetable: Timetable, stored: StoredScheduler | None, now: int, *, pending: bool
) -> Tick:
    if not timetable.allows(1, now):
        raise ConfigurationError(
            "This timetable has no tick: its end lies in the past."
        )
    if stored is None or not _is_same(timetable, stored.fields):
        return _required(timetable.first(now))
    offset = int(float(stored.fields.get("offset", 0)))
    if pending:
        return Tick(stored.tick_ms, offset)
    return _required(timetable.after(stored.tick_ms, now, offset))


def _is_same(timetable: Timetable, stored: Mapping[str, str]) -> bool:
    if timetable.every is not None:
        return stored.get("every") == str(timetable.every_ms)
    start = None if timetable.start_ms is None else str(timetable.start_ms)
    return (timetable.pattern, timetable.tz, start) == (
        stored.get("pattern"),
        stored.get("tz"),
        stored.get("startDate"),
    )
