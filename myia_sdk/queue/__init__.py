"""A job queue that loses nothing: Bull's layout and semantics, on Huey and Redis.

Names are imported when they are first used, so that a sandbox child does not load
the Redis client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from myia_sdk.queue.administration import QueueAdministration
    from myia_sdk.queue.connection import ConnectionOptions, connect
    from myia_sdk.queue.current import current_job
    from myia_sdk.queue.events import EventReader
    from myia_sdk.queue.huey import BullHuey
    from myia_sdk.queue.job import Job, JobState, NewJob
    from myia_sdk.queue.options import Backoff, JobOptions, Retention
    from myia_sdk.queue.schedule import JobSchedulers
    from myia_sdk.queue.store import JobStore
    from myia_sdk.queue.tasks import Finished, UnrecoverableError

__all__ = [
    "Backoff",
    "BullHuey",
    "ConnectionOptions",
    "EventReader",
    "Finished",
    "Job",
    "JobOptions",
    "JobSchedulers",
    "JobState",
    "JobStore",
    "NewJob",
    "QueueAdministration",
    "Retention",
    "UnrecoverableError",
    "connect",
    "current_job",
]

_HOMES = {
    "Backoff": "options",
    "BullHuey": "huey",
    "ConnectionOptions": "connection",
    "EventReader": "events",
    "Finished": "tasks",
    "Job": "job",
    "JobOptions": "options",
    "JobSchedulers": "schedule",
    "JobState": "job",
    "JobStore": "store",
    "NewJob": "job",
    "QueueAdministration": "administration",
    "Retention": "options",
    "UnrecoverableError": "tasks",
    "connect": "connection",
    "current_job": "current",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any public name
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
