"""Records of jobs, without any I/O: options, states, values, ids, timetables.

What reads or writes them in Redis is in :mod:`myia_sdk.queue.store`.
"""

from __future__ import annotations

from myia_sdk.queue.jobs.defaults import QueueDefaults
from myia_sdk.queue.jobs.job import Job, NewJob
from myia_sdk.queue.jobs.metrics import Metrics
from myia_sdk.queue.jobs.options import (
    Backoff,
    Deduplication,
    JobOptions,
    RateLimit,
    Retention,
)
from myia_sdk.queue.jobs.states import FINISHED_STATES, JobState

__all__ = [
    "FINISHED_STATES",
    "Backoff",
    "Deduplication",
    "Job",
    "JobOptions",
    "JobState",
    "Metrics",
    "NewJob",
    "QueueDefaults",
    "RateLimit",
    "Retention",
]
