"""Job schedulers in the monitor: change when one runs, and run its job now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.panels.jobs.rows import to_ms
from myia_sdk.panels.live.controller import number_of, text_of
from myia_sdk.panels.permissions import Action, ActionRefusedError
from myia_sdk.queue.jobs import NewJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.panels.live import Controller, Event, Handler
    from myia_sdk.queue.store.schedulers import JobScheduler

#: Longest distance of two runs that the panel takes, seconds: ten years.
EVERY_LIMIT = 10 * 366 * 86_400


class SchedulerActions:
    """What the monitor does to schedulers.

    Parameters
    ----------
    controller : Controller
        Tells, and holds the permissions.
    reload : callable
        Reads the schedulers again.
    """

    def __init__(self, controller: Controller, reload: Callable[[], None]) -> None:
        self._controller = controller
        self._scheduling = controller.connection.scheduling
        self._reload = reload

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return {
            Action.RESCHEDULE: self._on_reschedule,
            Action.RUN_NOW: self._on_run_now,
            Action.UNSCHEDULE: self._on_unschedule,
        }

    def _chosen(self, event: Event) -> JobScheduler:
        name = text_of(event, "id")
        scheduler = self._scheduling.get(name)
        if scheduler is None:
            raise ActionRefusedError(f"The scheduler {name!r} is gone.")
        return scheduler

    def _on_reschedule(self, event: Event) -> None:
        self._controller.permissions.check(Action.RESCHEDULE)
        scheduler = self._chosen(event)
        every, pattern = None, None
        if "pattern" in event:
            pattern = text_of(event, "pattern").strip()
        else:
            every = timedelta(seconds=number_of(event, "seconds", 1, EVERY_LIMIT))
        old = scheduler.timetable
        self._scheduling.upsert(
            scheduler.id,
            every=every,
            pattern=pattern,
            tz=old.tz,
            limit=old.limit,
            start_at=_moment(old.start_ms),
            end_at=_moment(old.end_ms),
            template=_template(scheduler),
        )
        self._tell("done.reschedule", name=scheduler.id)

    def _on_run_now(self, event: Event) -> None:
        self._controller.permissions.check(Action.RUN_NOW)
        scheduler = self._chosen(event)
        job_id = self._controller.connection.queue.add(_template(scheduler))
        self._tell("done.run_now", name=scheduler.id, id=job_id)

    def _on_unschedule(self, event: Event) -> None:
        name = text_of(event, "id")
        self._controller.ask(
            Action.UNSCHEDULE,
            {"name": name, "count": 1},
            lambda: self._unschedule(name),
        )

    def _unschedule(self, name: str) -> None:
        self._scheduling.remove(name)
        self._tell("done.unschedule", name=name)

    def _tell(self, key: str, **values: object) -> None:
        self._controller.notify("done", self._controller.say(key, **values))
        self._reload()


def scheduler_row(scheduler: JobScheduler) -> dict[str, Any]:
    """Return the JSON of one scheduler that panel.js shows."""
    timetable = scheduler.timetable
    every = timetable.every
    return {
        "id": scheduler.id,
        "rule": timetable.pattern or str(every),
        "pattern": timetable.pattern,
        "seconds": None if every is None else every.total_seconds(),
        "next_at": to_ms(scheduler.next_run_at),
        "runs": scheduler.iterations,
        "limit": timetable.limit,
    }


def _template(scheduler: JobScheduler) -> NewJob:
    return NewJob(
        name=scheduler.name,
        data=scheduler.data,
        options=scheduler.options,
        labels=scheduler.labels,
        fields=scheduler.fields,
    )


def _moment(epoch_ms: int | None) -> datetime | None:
    return None if epoch_ms is None else datetime.fromtimestamp(epoch_ms / 1000, UTC)
