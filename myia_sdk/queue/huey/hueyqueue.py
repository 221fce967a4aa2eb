"""Huey's interface on the queue: everything of `BullHuey` but its consumer."""

from __future__ import annotations

import copy
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from huey.api import ResultGroup, Task, chord, group
from huey.signals import SIGNAL_ENQUEUED, SIGNAL_SCHEDULED
from huey.storage import MemoryStorage

from myia_sdk.errors import ConfigurationError, QueueError
from myia_sdk.queue.huey.decorators import TaskDeclarer
from myia_sdk.queue.huey.locks import BullLock, BullRateLimit
from myia_sdk.queue.huey.messages import Messages, plain
from myia_sdk.queue.huey.results import JsonSerializer
from myia_sdk.queue.huey.tasks import REGISTRIES
from myia_sdk.queue.huey.values import BullStorage, RemoteStorage
from myia_sdk.queue.jobs.payload import encode_json
from myia_sdk.queue.sandbox.child import current_channel
from myia_sdk.queue.sandbox.current import CurrentJob, running
from myia_sdk.queue.sandbox.sandbox import Limits
from myia_sdk.queue.store import JobStore
from myia_sdk.queue.wire import ConnectionOptions, connect
from myia_sdk.queue.wire.keys import check_queue_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from myia_sdk.queue.jobs import Retention
    from myia_sdk.queue.wire import RedisClient

logger = logging.getLogger(__name__)


class HueyQueue(TaskDeclarer):
    """A Huey whose tasks are jobs of a queue; `BullHuey` documents its options."""

    def __init__(
        self,
        name: str = "huey",
        prefix: str = "myia",
        *,
        results: bool = True,
        store_none: bool = False,
        utc: bool = True,
        immediate: bool = False,
        immediate_use_memory: bool = True,
        store_intermediate_errors: bool = True,
        options: ConnectionOptions | None = None,
        redis: RedisClient | None = None,
        lease: timedelta = timedelta(seconds=15),
        stalled_interval: timedelta = timedelta(seconds=5),
        max_stalled_count: int = 1,
        priorities: bool | None = None,
        preload: Iterable[str] = (),
        limits: Limits | None = None,
        allowed_environment: Iterable[str] = (),
        keep_completed: Retention | None = None,
        keep_failed: Retention | None = None,
        announce: Callable[[], Mapping[str, Any]] = dict,
        **connection: Any,
    ) -> None:
        self.prefix = prefix
        check_queue_name(name)
        self._options = _connection_options(options, redis, connection)
        self._redis = redis
        self._store: JobStore | None = None
        self._check_times(lease, stalled_interval)
        self.lease = lease
        self.stalled_interval = stalled_interval
        self.max_stalled_count = max_stalled_count
        self._priorities = priorities
        self.preload = tuple(preload)
        self.limits = limits or Limits()
        self.allowed_environment = tuple(allowed_environment)
        self.keep_completed = keep_completed
        self.keep_failed = keep_failed
        self.announce = announce
        super().__init__(
            name,
            results=results,
            store_none=store_none,
            utc=utc,
            immediate=immediate,
            serializer=JsonSerializer(),
            immediate_use_memory=immediate_use_memory,
            store_intermediate_errors=store_intermediate_errors,
        )
        self.messages = Messages(self.task_name, self.task_class, is_utc=utc)
        REGISTRIES.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.prefix}:{self.name}>"

    @staticmethod
    def _check_times(lease: timedelta, stalled_interval: timedelta) -> None:
        for label, value in (("lease", lease), ("stalled_interval", stalled_interval)):
            if value < timedelta(milliseconds=100):
                raise ConfigurationError(
                    f"{label} is {value}; it must be 0.1 seconds or more (15 and 5 "
                    "seconds are good for most)."
                )

    @property
    def store(self) -> JobStore:
        """The queue. It connects when it is first used."""
        if self._store is None:
            if current_channel() is not None:
                raise QueueError(
                    "A sandbox child has no connection to the queue; use tasks, "
                    "locks and rate limits, which ask the worker, or isolate=False."
                )
            client = self._redis or connect(self._options)
            self._store = JobStore(client, self.name, self.prefix)
        return self._store

    def configure(self, **connection: Any) -> None:
        """Say where the server is, after the tasks were registered.

        Parameters
        ----------
        **connection
            Fields of `ConnectionOptions`, or `options` or `redis` as the constructor
            takes them.
        """
        options, client = connection.pop("options", None), connection.pop("redis", None)
        self._options = _connection_options(options, client, connection)
        self._redis, self._store = client, None

    def get_storage(self, **_: object) -> BullStorage:
        """Return the store of values (Huey's hook)."""
        return BullStorage(self.name, lambda: self.store)

    @property
    def storage(self) -> Any:
        """Values, locks and limits; in a sandbox child they ask the worker."""
        is_memory = isinstance(self._storage, MemoryStorage)
        if current_channel() is not None and not is_memory:
            return RemoteStorage(self.name)
        return self._storage

    @storage.setter
    def storage(self, value: object) -> None:
        self._storage = value

    def enqueue(self, task: Any) -> Any:
        """Put a task, group or chord into the queue (Huey's method).

        Raises
        ------
        InvalidJobError
            An argument is not JSON; nothing was enqueued.
        """
        if isinstance(task, group | chord):
            return super().enqueue(task)
        if self._immediate:
            encode_json(plain([list(task.args), _without(task.kwargs, task)]))
            return super().enqueue(task)
        if task.expires:
            task.resolve_expires(self.utc)
        line = current_channel()
        if line is not None:
            line.call("enqueue", task=self.messages.to_record(task))
        else:
            job = self.new_job(task)
            self._emit(SIGNAL_ENQUEUED, task)
            self.store.add(job)
            if job.options.delay:
                self._emit(SIGNAL_SCHEDULED, task)
        if not self.results:
            return None
        results = self._pipeline_results(task)
        return results[0] if len(results) == 1 else ResultGroup(results)

    def execute(self, task: Task, timestamp: datetime | None = None) -> Any:
        """Run a task here: immediate mode only (Huey's method)."""
        with running(CurrentJob(task.id, task.name, 1, _Silent())):
            return super().execute(task, timestamp)

    def _check_chord(self, chord_config: Any, value: object) -> None:
        if self.is_in_memory:
            super()._check_chord(chord_config, value)
            return
        texts = self.storage.join_chord(
            chord_config.cid,
            chord_config.size,
            chord_config.idx,
            self.serializer.serialize(value),
        )
        if texts is None:
            return
        callback = copy.copy(chord_config.callback)
        callback.extend_data(([self.serializer.deserialize(text) for text in texts],))
        self.enqueue(callback)

    def lock_task(self, lock_name: str, ttl: float | None = None) -> BullLock:
        """Return a lock, for ``with`` or as a decorator (Huey's method)."""
        return BullLock(self, lock_name, ttl)

    def is_locked(self, lock_name: str) -> bool:
        """Tell whether anyone holds a lock."""
        return self.lock_task(lock_name).is_locked()

    def flush_locks(self, *names: str) -> set[str]:
        """Free the locks of this process's tasks, and those named; return them."""
        start = f"{self.name}.lock."
        known = {key.removeprefix(start) for key in self._locks}
        return {
            name
            for name in known | {name.strip() for name in names}
            if self.lock_task(name).clear()
        }

    def rate_limit(
        self,
        name: str,
        limit: int,
        per: float,
        retry: bool = True,
    ) -> BullRateLimit:
        """Return a rate limit, for ``with`` or as a decorator (Huey's method)."""
        return BullRateLimit(self, name, limit, per, retry=retry)


def _connection_options(
    options: ConnectionOptions | None,
    redis: object | None,
    connection: Mapping[str, Any],
) -> ConnectionOptions:
    refused = {"serializer", "compression", "use_zlib", "storage_class"} & set(
        connection
    )
    if refused:
        raise ConfigurationError(
            f"BullHuey does not take {', '.join(sorted(refused))}: jobs are JSON in "
            "Bull's layout, so that any client can read them. Leave it out."
        )
    if sum(bool(given) for given in (options, redis, connection)) > 1:
        raise ConfigurationError(
            "Give the connection once: options=, or redis=, or fields such as url= "
            "and host=."
        )
    try:
        return options or ConnectionOptions(**connection)
    except TypeError as exc:
        raise ConfigurationError(
            f"BullHuey does not know one of these options: {', '.join(connection)}; "
            "connections take the fields of ConnectionOptions."
        ) from exc


def _without(kwargs: Mapping[str, object], task: object) -> dict[str, object]:
    return {key: value for key, value in kwargs.items() if value is not task}


class _Silent:
    """Takes progress and log in immediate mode, where no job keeps them."""

    def progress(self, value: object) -> None:
        """Check the value as a worker would."""
        encode_json(value)

    def log(self, text: str) -> None:
        """Show the text to whoever watches the logs."""
        logger.info("%s", text)
