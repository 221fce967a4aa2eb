"""Results and lists of tasks, read the way Huey's users do."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from huey.constants import EmptyData
from huey.storage import MemoryStorage
from huey.utils import Error

from myia_sdk.errors import QueueError
from myia_sdk.queue.huey.messages import naive_moment, plain, revive
from myia_sdk.queue.huey.translation import HUEY_FIELD, TIMEOUT_FIELD, TaskTranslator
from myia_sdk.queue.jobs import Job, JobState
from myia_sdk.queue.jobs.ids import RESERVED_IDS
from myia_sdk.queue.jobs.payload import encode_json
from myia_sdk.queue.sandbox.child import current_channel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from huey.api import Task

logger = logging.getLogger(__name__)

#: Jobs read by `pending` and `scheduled` when no limit is given.
DEFAULT_LISTING = 1000


class JsonSerializer:
    """Values of locks, revocations and errors as JSON texts."""

    def serialize(self, value: object) -> str:
        """Return the text of a value."""
        return encode_json(plain(value))

    def deserialize(self, text: str) -> Any:
        """Return the value of a text that this queue wrote."""
        return revive(json.loads(text))


class TaskResults(TaskTranslator):
    """The part of :class:`myia_sdk.queue.bullhuey.BullHuey` that reads."""

    @property
    def is_in_memory(self) -> bool:
        """True in immediate mode, where Huey's own memory store is used."""
        return isinstance(self.storage, MemoryStorage)

    def get_raw(self, key: str, peek: bool = False) -> Any:
        """Return the serialised result of a job, or a value (Huey's method)."""
        if self.is_in_memory:
            return super().get_raw(key, peek)
        line = current_channel()
        if line is not None:
            found = line.call("result", id=key, peek=peek)
            return EmptyData if found is None else found
        found = self.raw_result(key, peek=peek)
        return EmptyData if found is None else found

    def raw_result(self, key: str, *, peek: bool = True) -> str | None:
        """Return the JSON text of a job's end or of a stored value, else None.

        Parameters
        ----------
        key : str
            Id of a job, or key of a value.
        peek : bool, default True
            Leave a stored value where it is; the end of a job always stays.
        """
        read = self.storage.peek_data if peek else self.storage.pop_data
        found = read(key)
        if found is not EmptyData:
            return str(found)
        if key in RESERVED_IDS:
            return None
        job = self.store.job(key)
        if job is None:
            return None
        if job.state == JobState.COMPLETED:
            return str(self.serializer.serialize(job.return_value))
        is_shown = self.store_intermediate_errors and job.state in {
            JobState.DELAYED,
            JobState.WAITING,
            JobState.PRIORITIZED,
        }
        if job.failed_reason and (job.state == JobState.FAILED or is_shown):
            return str(self.serializer.serialize(Error(error_metadata(job))))
        return None

    def pending(self, limit: int | None = None) -> list[Task]:
        """Return the tasks in line, the next to run first."""
        if self.is_in_memory:
            return list(super().pending(limit))
        return self._listed((JobState.WAITING, JobState.PRIORITIZED), limit)

    def scheduled(self, limit: int | None = None) -> list[Task]:
        """Return the tasks that are not yet due, the next first."""
        if self.is_in_memory:
            return list(super().scheduled(limit))
        return self._listed((JobState.DELAYED,), limit)

    def _listed(self, states: Iterable[JobState], limit: int | None) -> list[Task]:
        most = limit or DEFAULT_LISTING
        fields = ("name", "data", "options", "attempts_made", "delay", "created_at")
        private = (f"field:{HUEY_FIELD}", f"field:{TIMEOUT_FIELD}")
        tasks: list[Task] = []
        for state in states:
            jobs = self.store.page(
                state, 0, most - 1, newest_first=False, fields=(*fields, *private)
            )
            for job in jobs:
                try:
                    task = self.task_of(job)
                except QueueError as exc:
                    logger.warning("Job %s is not listed: %s", job.id, exc)
                    continue
                if state == JobState.DELAYED and job.created_at is not None:
                    due = (job.created_at + job.delay).timestamp() * 1000
                    task.eta = naive_moment(due, is_utc=self.utc)
                tasks.append(task)
        return tasks[:most]

    def all_results(self) -> dict[str, str]:
        """Return the ends of jobs by id, as JSON texts, the newest 1,000 per state."""
        if self.is_in_memory:
            return dict(super().all_results())
        found: dict[str, str] = {}
        for state in (JobState.COMPLETED, JobState.FAILED):
            fields = ("return_value", "failed_reason", "stacktrace", "attempts_made")
            for job in self.store.page(state, 0, DEFAULT_LISTING - 1, fields=fields):
                is_failed = state == JobState.FAILED
                value = Error(error_metadata(job)) if is_failed else job.return_value
                found[job.id] = self.serializer.serialize(value)
        return found

    def flush(self) -> None:
        """Delete the tasks in line, the scheduled ones, results and counters.

        Running jobs are left alone.
        """
        if self.is_in_memory:
            super().flush()
            return
        from myia_sdk.queue.store import QueueAdministration

        administration = QueueAdministration(self.store)
        administration.drain(delayed=True)
        for state in (JobState.COMPLETED, JobState.FAILED):
            while administration.clean(timedelta(), 1000, state):
                pass
        self.storage.flush_results()
        self.storage.flush_counters()


def error_metadata(job: Job) -> dict[str, Any]:
    """Return what Huey's `TaskException` tells of a failed job."""
    return {
        "error": job.failed_reason,
        "retries": max(job.max_attempts - job.attempts_made, 0),
        "traceback": job.stacktrace[-1] if job.stacktrace else "",
        "task_id": job.id,
    }
