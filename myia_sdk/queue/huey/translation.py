"""Huey's tasks as jobs of the queue, and back."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from huey.api import Huey, Task

from myia_sdk.errors import QueueError
from myia_sdk.queue.huey.messages import Messages, moment_ms, plain, revive
from myia_sdk.queue.huey.tasks import (
    bind_arguments,
    function_of,
    options_of,
    unbind_arguments,
)
from myia_sdk.queue.jobs import Backoff, Job, JobOptions, NewJob
from myia_sdk.queue.jobs.options import MAX_PRIORITY
from myia_sdk.queue.jobs.payload import encode_json

if TYPE_CHECKING:
    from myia_sdk.queue.store import JobStore

#: Bull's priority of Huey's 0 when priorities are used: room on both sides.
MIDDLE_PRIORITY = 1_000_000
#: Private hash field with what Huey knows about a job and Bull does not.
HUEY_FIELD = "huey"
#: Private hash field with the job's own time limit, milliseconds.
TIMEOUT_FIELD = "timeout"
#: What reading somebody else's records may raise.
MALFORMED = (TypeError, ValueError, KeyError, AttributeError, RecursionError)


class TaskTranslator(Huey):
    """The part of `BullHuey` that knows both worlds."""

    messages: Messages
    _priorities: bool | None

    @property
    def store(self) -> JobStore:
        """The queue."""
        raise NotImplementedError

    def task_name(self, task_class: type[Task]) -> str:
        """Return the full name of a task: ``module.name``."""
        return str(self._registry.task_to_string(task_class))

    def task_class(self, name: str) -> type[Task]:
        """Return the task of a full or short name.

        Raises
        ------
        QueueError
            No task, or more than one, has this name.
        """
        registry: dict[str, type[Task]] = self._registry._registry
        if name in registry:
            return registry[name]
        found = [known for known in registry.values() if known.__name__ == name]
        if len(found) == 1:
            return found[0]
        known = ", ".join(sorted(registry)) or "none"
        if found:
            raise QueueError(f"The task name {name!r} is ambiguous; known: {known}.")
        raise QueueError(
            f"No task is named {name!r}; this worker knows: {known}. Deploy the code "
            "that defines it, then retry the job."
        )

    def job_name(self, task_class: type[Task]) -> str:
        """Return the name of a task's jobs: the short one where it is unique."""
        short = str(task_class.__name__)
        same = [
            known
            for known in self._registry._registry.values()
            if known.__name__ == short
        ]
        return short if len(same) == 1 else self.task_name(task_class)

    def new_job(self, task: Task) -> NewJob:
        """Return the job that a task becomes.

        Raises
        ------
        InvalidJobError
            Arguments or options cannot be stored.
        """
        wrapped = function_of(task)
        kwargs = {key: value for key, value in task.kwargs.items() if value is not task}
        fields = {HUEY_FIELD: encode_json(self.messages.bookkeeping(task))}
        if task.timeout:
            fields[TIMEOUT_FIELD] = str(round((seconds_of(task.timeout) or 0) * 1000))
        return NewJob(
            name=self.job_name(type(task)),
            data=plain(bind_arguments(wrapped, tuple(task.args), kwargs)),
            options=JobOptions(
                attempts=task.retries + 1,
                backoff=self.backoff_of(task),
                delay=self._delay_of(task),
                priority=self._bull_priority(task.priority),
                job_id=task.id,
            ),
            fields=fields,
        )

    def backoff_of(self, task: Task) -> Backoff | None:
        """Return the delay between attempts in Bull's terms."""
        options = options_of(task)
        if options.backoff is not None:
            return options.backoff
        if not task.retry_delay:
            return None
        kind = "exponential" if task.retry_backoff == 2 else "fixed"  # noqa: PLR2004  # Bull's doubles
        delay = timedelta(seconds=seconds_of(task.retry_delay) or 0)
        return Backoff(type=kind, delay=delay)

    def _delay_of(self, task: Task) -> timedelta:
        if task.eta is None:
            return timedelta()
        due = moment_ms(task.eta, is_utc=self.utc)
        return timedelta(milliseconds=max(due - self.store.clock(), 0))

    def _bull_priority(self, priority: float | None) -> int:
        if not (self._uses_priorities or priority):
            return 0
        return min(max(MIDDLE_PRIORITY - round(priority or 0), 1), MAX_PRIORITY)

    @property
    def _uses_priorities(self) -> bool:
        if self._priorities is not None:
            return self._priorities
        return any(
            known.default_priority for known in self._registry._registry.values()
        )

    def task_of(self, job: Job) -> Task:
        """Return the task that a job calls, with its arguments.

        Raises
        ------
        QueueError
            The name is unknown, or the job's data or bookkeeping are malformed.
        """
        record = _bookkeeping(job)
        name = record.get("task")
        try:
            task_class = self.task_class(str(name or job.name))
        except QueueError:
            if not name:
                raise
            task_class = self.task_class(job.name)
        try:
            args, kwargs = unbind_arguments(revive(job.data))
            task = task_class(
                args,
                kwargs,
                id=job.id,
                retries=max(job.max_attempts - job.attempts_made - 1, 0),
                retry_delay=record.get("retry_delay"),
                retry_backoff=record.get("retry_backoff"),
            )
            if TIMEOUT_FIELD in job.fields:
                task.timeout = float(job.fields[TIMEOUT_FIELD]) / 1000
            self.messages.restore(task, record)
        except MALFORMED as exc:
            raise QueueError(
                "The job's data or private fields are malformed "
                f"({type(exc).__name__}: {exc})."
            ) from exc
        return task


def _bookkeeping(job: Job) -> dict[str, Any]:
    text = job.fields.get(HUEY_FIELD)
    if text is None:
        return {}
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise QueueError(f"The job's field {HUEY_FIELD!r} is not JSON: {exc}.") from exc
    if not isinstance(record, dict):
        raise QueueError(f"The job's field {HUEY_FIELD!r} is not an object.")
    return record


def seconds_of(duration: float | timedelta | None) -> float | None:
    """Return a duration in seconds, in which Huey counts."""
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    return duration
