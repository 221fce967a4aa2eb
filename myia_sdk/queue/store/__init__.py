"""Every command of the queue: add, claim, finish, read, search, control, clean.

Each change is one atomic script. Who runs jobs, and when, is the consumer's.
"""

from __future__ import annotations

from myia_sdk.queue.store.administration import QueueAdministration
from myia_sdk.queue.store.definition import JobScheduler
from myia_sdk.queue.store.events import Event, EventReader
from myia_sdk.queue.store.schedulers import JobSchedulers
from myia_sdk.queue.store.store import JobStore

__all__ = [
    "Event",
    "EventReader",
    "JobScheduler",
    "JobSchedulers",
    "JobStore",
    "QueueAdministration",
]
