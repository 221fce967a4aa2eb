"""Huey's tasks and values as JSON: what travels beside the data of a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from huey.api import Task, _signature
from huey.utils import SKIPPED, ChordConfig, Error

from myia_sdk.errors import QueueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Marks the few values of Huey's own that JSON has no word for.
MARK = "__huey__"


def plain(value: Any) -> Any:
    """Replace Huey's ``Error``, ``SKIPPED`` and datetimes by marked objects."""
    if value is SKIPPED:
        return {MARK: "skipped"}
    if isinstance(value, Error):
        return {MARK: "error", "metadata": plain(value.metadata)}
    if isinstance(value, datetime):
        return {MARK: "datetime", "text": value.isoformat()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def revive(value: Any) -> Any:
    """Undo `plain`; a mark that makes no sense stays what it is."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if not isinstance(value, dict):
        return value
    mark = value.get(MARK)
    if mark == "skipped":
        return SKIPPED
    if mark == "error" and isinstance(value.get("metadata"), dict):
        return Error(value["metadata"])
    if mark == "datetime":
        return datetime.fromisoformat(str(value.get("text")))
    return {key: revive(item) for key, item in value.items()}


def moment_ms(moment: datetime, *, is_utc: bool = True) -> int:
    """Return a datetime as epoch milliseconds; a naive one is UTC or local."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC) if is_utc else moment.astimezone()
    return int(moment.timestamp() * 1000)


def naive_moment(epoch_ms: float, *, is_utc: bool = True) -> datetime:
    """Return epoch milliseconds as the naive datetime that Huey works with."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return (moment if is_utc else moment.astimezone()).replace(tzinfo=None)


class Messages:
    """Translates between Huey's tasks and JSON records.

    Parameters
    ----------
    name_of : callable
        Full name of a task class.
    class_of : callable
        Task class of a full name; raises QueueError when there is none.
    is_utc : bool
        How naive datetimes are read.
    """

    def __init__(
        self,
        name_of: Callable[[type[Task]], str],
        class_of: Callable[[str], type[Task]],
        *,
        is_utc: bool,
    ) -> None:
        self._name_of = name_of
        self._class_of = class_of
        self._is_utc = is_utc

    def bookkeeping(self, task: Task) -> dict[str, Any]:
        """Return what the job needs of a task besides data and options."""
        record = {
            "task": self._name_of(type(task)),
            "retry_delay": task.retry_delay or None,
            "retry_backoff": task.retry_backoff or None,
            "expires": self._resolved_expiry(task),
            "on_complete": task.on_complete and self.to_record(task.on_complete),
            "on_error": task.on_error and self.to_record(task.on_error),
            "chord": task.chord_config and self._chord_record(task.chord_config),
        }
        return {name: value for name, value in record.items() if value is not None}

    def to_record(self, task: Task) -> dict[str, Any]:
        """Return a whole task that is not yet a job."""
        record = {
            **self.bookkeeping(task),
            "id": task.id,
            "args": plain(list(task.args)),
            "kwargs": plain(
                {key: value for key, value in task.kwargs.items() if value is not task}
            ),
            "eta": task.eta and moment_ms(task.eta, is_utc=self._is_utc),
            "retries": task.retries,
            "priority": task.priority,
            "timeout": task.timeout,
            "expires_in": self._unresolved_expiry(task),
        }
        return {name: value for name, value in record.items() if value is not None}

    def from_record(self, record: Mapping[str, Any]) -> Task:
        """Return the task of `to_record`.

        Raises
        ------
        QueueError
            The record is malformed or names an unknown task.
        """
        try:
            return self._build(record)
        except (TypeError, ValueError, KeyError, AttributeError) as exc:
            raise QueueError(
                "Huey's bookkeeping of a job is malformed "
                f"({type(exc).__name__}: {exc}); it was written by hand or by a "
                "newer version."
            ) from exc

    def _build(self, record: Mapping[str, Any]) -> Task:
        eta = record.get("eta")
        task = self._class_of(record["task"])(
            tuple(revive(list(record.get("args", ())))),
            revive(dict(record.get("kwargs", {}))),
            id=record["id"],
            eta=None if eta is None else naive_moment(eta, is_utc=self._is_utc),
            retries=record.get("retries"),
            retry_delay=record.get("retry_delay"),
            retry_backoff=record.get("retry_backoff"),
            priority=record.get("priority"),
            timeout=record.get("timeout"),
        )
        self.restore(task, record)
        return task

    def restore(self, task: Task, record: Mapping[str, Any]) -> None:
        """Put the bookkeeping of a record back into a task.

        Raises
        ------
        QueueError, TypeError, ValueError, KeyError, AttributeError
            The record is malformed.
        """
        if record.get("expires") is not None:
            moment = naive_moment(record["expires"], is_utc=self._is_utc)
            task.expires = task.expires_resolved = moment
        elif record.get("expires_in") is not None:
            task.expires = float(record["expires_in"])
        if record.get("on_complete"):
            task.on_complete = self.from_record(record["on_complete"])
        if record.get("on_error"):
            task.on_error = self.from_record(record["on_error"])
        if record.get("chord"):
            chord = record["chord"]
            task.chord_config = ChordConfig(
                str(chord["id"]),
                int(chord["size"]),
                int(chord["index"]),
                self.from_record(chord["callback"]),
            )

    def _chord_record(self, chord: ChordConfig) -> dict[str, Any]:
        return {
            "id": chord.cid,
            "size": chord.size,
            "index": chord.idx,
            "callback": self.to_record(_signature(chord.callback)),
        }

    def _resolved_expiry(self, task: Task) -> int | None:
        moment = task.expires_resolved
        if moment is None and isinstance(task.expires, datetime):
            moment = task.resolve_expires(self._is_utc)
        return None if moment is None else moment_ms(moment, is_utc=self._is_utc)

    @staticmethod
    def _unresolved_expiry(task: Task) -> float | None:
        if task.expires_resolved is not None or not task.expires:
            return None
        if isinstance(task.expires, timedelta):
            return task.expires.total_seconds()
        return None if isinstance(task.expires, datetime) else float(task.expires)
