"""Huey's periodic tasks as job schedulers: one run a tick, whatever the consumers."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.queue.huey.translation import HUEY_FIELD, TIMEOUT_FIELD
from myia_sdk.queue.jobs import JobOptions, NewJob, Retention
from myia_sdk.queue.jobs.payload import encode_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from huey.api import PeriodicTask

    from myia_sdk.queue.huey.hueyqueue import HueyQueue
    from myia_sdk.queue.store import JobSchedulers

logger = logging.getLogger(__name__)

_DAYS = 7
#: Field sizes of `crontab`, in the order in which Huey keeps them.
_FULL = (12, 31, _DAYS, 24, 60)
#: Runs kept of a task that comes every minute.
KEPT_RUNS = 100


def cron_pattern(validate: Callable[..., Any]) -> str | None:
    """Return the cron pattern of a function made by Huey's ``crontab``.

    Returns
    -------
    str or None
        None for other functions, and where cron's rule differs from Huey's: a day of
        the month *and* a day of the week.

    Examples
    --------
    >>> from huey import crontab
    >>> cron_pattern(crontab(minute="*/15", hour="3"))
    '0,15,30,45 3 * * *'
    """
    settings = _settings_of(validate)
    if settings is None:
        return None
    # Huey counts Sunday as 0 and as 7.
    settings[2] = sorted({day % _DAYS for day in settings[2]})
    parts = [
        "*" if len(values) == full else ",".join(map(str, values))
        for values, full in zip(settings, _FULL, strict=True)
    ]
    month, day, weekday, hour, minute = parts
    if day != "*" and weekday != "*":
        return None
    return f"{minute} {hour} {day} {month} {weekday}"


def _settings_of(validate: Callable[..., Any]) -> list[list[int]] | None:
    """Find the sorted numbers that ``crontab`` closes over."""
    code = getattr(validate, "__code__", None)
    cells = getattr(validate, "__closure__", None) or ()
    if code is None:
        return None
    closed = dict(
        zip(code.co_freevars, (cell.cell_contents for cell in cells), strict=True)
    )
    if "validate_datetime" in closed:
        return _settings_of(closed["validate_datetime"])
    settings = closed.get("cron_settings")
    if isinstance(settings, list) and len(settings) == len(_FULL):
        return list(settings)
    return None


def register_periodic(huey: HueyQueue, schedulers: JobSchedulers) -> list[str]:
    """Create or update the schedulers of all periodic tasks; return their ids.

    A task whose rule is no cron pattern, or follows local time, is asked every
    minute, and its run ends at once when it says no.
    """
    ids = []
    for task in huey._registry.periodic_tasks:
        pattern = cron_pattern(type(task).validate_datetime) if huey.utc else None
        name = huey.task_name(type(task))
        schedulers.upsert(
            name.replace(":", "."),
            pattern=pattern or "* * * * *",
            tz="UTC",
            template=_template(huey, task),
        )
        ids.append(name)
        logger.info("Periodic task %s runs at %s.", name, pattern or "its own rule")
    return ids


def _template(huey: HueyQueue, task: PeriodicTask) -> NewJob:
    bookkeeping = huey.messages.bookkeeping(task)
    bookkeeping.pop("expires", None)
    fields = {HUEY_FIELD: encode_json(bookkeeping)}
    if task.timeout:
        limit = timedelta(seconds=task.timeout)
        fields[TIMEOUT_FIELD] = str(round(limit / timedelta(milliseconds=1)))
    return NewJob(
        name=huey.job_name(type(task)),
        data={},
        options=JobOptions(
            attempts=task.retries + 1,
            backoff=huey.backoff_of(task),
            remove_on_complete=Retention(count=KEPT_RUNS),
        ),
        fields=fields,
    )
