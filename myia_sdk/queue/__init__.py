"""A job queue that loses nothing: Bull's layout and semantics, on Huey and Redis.

Names are imported when they are first used, so that a sandbox child does not load
the Redis client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from myia_sdk.queue.bullhuey import BullHuey
    from myia_sdk.queue.huey.tasks import Finished, UnrecoverableError
    from myia_sdk.queue.jobs import (
        Backoff,
        Job,
        JobOptions,
        JobState,
        NewJob,
        Retention,
    )
    from myia_sdk.queue.sandbox.current import current_job
    from myia_sdk.queue.store import (
        EventReader,
        JobSchedulers,
        JobStore,
        QueueAdministration,
    )
    from myia_sdk.queue.wire import ConnectionOptions, connect

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
    "Backoff": "jobs.options",
    "BullHuey": "bullhuey",
    "ConnectionOptions": "wire.clients",
    "EventReader": "store.events",
    "Finished": "huey.tasks",
    "Job": "jobs.job",
    "JobOptions": "jobs.options",
    "JobSchedulers": "store.schedulers",
    "JobState": "jobs.states",
    "JobStore": "store.store",
    "NewJob": "jobs.job",
    "QueueAdministration": "store.administration",
    "Retention": "jobs.options",
    "UnrecoverableError": "huey.tasks",
    "connect": "wire.clients",
    "current_job": "sandbox.current",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
