"""BullHuey: the Huey of a project, and the consumer that runs its tasks."""

from __future__ import annotations

from typing import Any

from myia_sdk.queue.consumer import BullConsumer
from myia_sdk.queue.huey.hueyqueue import HueyQueue


class BullHuey(HueyQueue):
    """A Huey whose queue is Bull's, in Redis.

    Parameters
    ----------
    name : str, default "huey"
        Name of the queue.
    prefix : str, default "myia"
        First part of all keys.
    results, store_none, utc, immediate, immediate_use_memory
        As Huey's. `store_none` has no effect: every end of a job is stored.
    store_intermediate_errors
        As Huey's.
    options : ConnectionOptions, optional
        Where the server is. Or give `redis`, or `url`, or `host` and so on.
    redis : RedisClient, optional
        A client as `myia_sdk.queue.connect` makes it (``decode_responses=True``).
    lease : timedelta, default 15 s
        A worker's right to a job; renewed every third of it while the job runs.
    stalled_interval : timedelta, default 5 s
        Time between two looks for jobs whose worker has gone.
    max_stalled_count : int, default 1
        A job that was lost more often than this is failed.
    priorities : bool, optional
        Order all tasks by Huey's priority. By default as soon as one registered
        task has a priority.
    preload : iterable of str, optional
        Modules that the sandbox imports once, besides those of the tasks.
    limits : Limits, optional
        Memory, CPU and output of each sandbox child.
    allowed_environment : iterable of str, optional
        Names or shell patterns of variables that children may see.
    keep_completed, keep_failed : Retention, optional
        What is kept of jobs that do not say; everything by default.
    announce : callable, optional
        Returns what workers tell about themselves besides, JSON values by name.
    **connection
        Fields of `ConnectionOptions`, for example ``host`` and ``password``.

    Raises
    ------
    ConfigurationError
        An option contradicts another or is not offered here.
    """

    def create_consumer(self, **options: Any) -> BullConsumer:
        """Return the consumer (Huey's hook for ``huey_consumer``)."""
        return BullConsumer(self, **options)
