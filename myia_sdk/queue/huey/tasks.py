"""Tasks of :class:`BullHuey`: their options, their arguments, their run in a child.

What this module needs of Redis is nothing: the sandbox child imports it.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import time
import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from huey.api import Task, TaskWrapper
from huey.exceptions import (
    CancelExecution,
    RateLimitExceeded,
    RetryTask,
    TaskLockedException,
    TaskTimeout,
)

from myia_sdk.errors import QueueError
from myia_sdk.queue.huey.messages import moment_ms, plain, revive
from myia_sdk.queue.sandbox import channel
from myia_sdk.queue.sandbox.child import current_channel, error_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from myia_sdk.queue.jobs import Backoff, Job

#: The Hueys of this process: a child looks here for the task of a module it imported.
REGISTRIES: weakref.WeakSet[Any] = weakref.WeakSet()
#: Where positional arguments travel that cannot be given by name.
POSITIONAL = "*"


class UnrecoverableError(Exception):
    """Raise it in a task to fail the job at once, whatever retries are left."""

    unrecoverable = True


class UnserialisableResultError(QueueError):
    """The return value of a task is not JSON."""


class ResultTooLargeError(QueueError):
    """The return value of a task exceeds the limit of its sandbox."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What `finalize` makes of the value of a job.

    Parameters
    ----------
    value : JSON value
        Stored as the job's return value.
    labels : mapping of str to str, optional
        Labels that the job gets in the same step.
    """

    value: Any
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What `BullHuey.task` takes beyond Huey's own options."""

    #: Run in a sandbox child; False runs in the slot's thread.
    is_isolated: bool = True
    #: Delay between attempts; wins over Huey's retry_delay and retry_backoff.
    backoff: Backoff | None = None
    #: Makes the stored value and labels, in the consumer, after the child returned.
    finalize: Callable[[Job, Any], Finished] | None = None
    #: Extra environment of the child.
    child_env: Callable[[Job], Mapping[str, str]] | None = None
    #: Answers what the child asks for, instead of the queue.
    child_call: Callable[[Job, str, Mapping[str, Any]], object] | None = None
    #: Whether the child may enqueue, lock, limit and read results of this queue.
    has_queue_access: bool = True
    #: Module whose import registers the task.
    home: str = ""


class BullTaskWrapper(TaskWrapper):
    """Huey's wrapper, which also knows where a child finds the function."""

    def create_task(
        self,
        func: Callable[..., Any],
        context: bool = False,
        name: str | None = None,
        **settings: Any,
    ) -> type[Task]:
        """Build the task's class (Huey's hook)."""
        settings["bull_function"] = staticmethod(func)
        made: type[Task] = super().create_task(func, context, name, **settings)
        return made

    def schedule(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        *rest: Any,
        **options: Any,
    ) -> Any:
        """Run the task later (Huey's method); a delay counts by the server's clock."""
        if eta is None and delay is None and isinstance(args, int | float | timedelta):
            args, delay = None, args
        is_away = self.huey.is_in_memory or current_channel() is not None
        if delay is not None and eta is None and not is_away:
            wait = delay if isinstance(delay, timedelta) else timedelta(seconds=delay)
            now = datetime.fromtimestamp(self.huey.store.clock() / 1000, UTC)
            eta, delay = now + wait, None
        return super().schedule(args, kwargs, eta, delay, *rest, **options)


def options_of(task: Task) -> TaskOptions:
    """Return the options of a task's class; defaults for Huey's plain tasks."""
    options = getattr(type(task), "bull", None)
    return options if isinstance(options, TaskOptions) else TaskOptions()


def function_of(task: Task) -> Callable[..., Any]:
    """Return the function behind a task."""
    function: Callable[..., Any] = type(task).bull_function
    return function


def bind_arguments(
    function: Callable[..., Any], args: Sequence[object], kwargs: Mapping[str, object]
) -> dict[str, object]:
    """Return the data of a job: arguments by name, so that other languages read it.

    Positional arguments that cannot all be given by name go under ``"*"``.
    """
    names = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ][: len(args)]
    has_positional_only = any(
        parameter.kind is parameter.POSITIONAL_ONLY
        for parameter in inspect.signature(function).parameters.values()
    )
    if len(names) < len(args) or has_positional_only or kwargs.keys() & set(names):
        return {**kwargs, POSITIONAL: list(args)} if args else dict(kwargs)
    return {**dict(zip(names, args, strict=True)), **kwargs}


def unbind_arguments(data: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword arguments from the data of a job.

    Raises
    ------
    QueueError
        The data are not an object.
    """
    if not isinstance(data, dict):
        raise QueueError(
            "The job's data are not an object of keyword arguments but "
            f"{type(data).__name__}; submit an object, for example "
            '{"name": value}.'
        )
    positional = data.get(POSITIONAL, [])
    if not isinstance(positional, list):
        return (), dict(data)
    kwargs = {name: value for name, value in data.items() if name != POSITIONAL}
    return tuple(positional), kwargs


def reference_of(task_class: type[Task], function: Callable[..., Any]) -> str:
    """Return ``module:qualified.name``, or "" when no import leads to the function."""
    if "<" in function.__qualname__:
        return ""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    is_direct = found is function and not getattr(task_class, "context", False)
    is_wrapped = isinstance(found, TaskWrapper) and found.task_class is task_class
    if is_direct or is_wrapped:
        return f"{function.__module__}:{function.__qualname__}"
    return ""


def run_in_child(call: Mapping[str, Any]) -> dict[str, Any]:
    """Run a task inside the sandbox child; the entry point of every job.

    Parameters
    ----------
    call : mapping
        ``reference`` of the function or "", ``home`` module and ``name`` of the task,
        ``args``, ``kwargs``, ``id``, ``retries``, ``timeout`` in seconds or None.

    Returns
    -------
    dict
        Either ``value`` and ``is_tuple``, or ``control``: one of Huey's exceptions
        that steer the job, as plain values.
    """
    run = load_task(call)
    try:
        value = run()
    except Exception as exc:
        steering = steering_record(exc)
        if steering is None:
            raise
        return steering
    return value_record(value)


def load_task(call: Mapping[str, Any]) -> Callable[[], Any]:
    """Import the function of a call and return it with its arguments."""
    args, kwargs = tuple(revive(list(call["args"]))), revive(dict(call["kwargs"]))
    if call["reference"]:
        module, _, path = call["reference"].partition(":")
        found: Any = importlib.import_module(_main_alias(module))
        for part in path.split("."):
            found = getattr(found, part)
    else:
        found = _registered(call["home"], call["name"])
    task_class = getattr(found, "task_class", found)
    if not (isinstance(task_class, type) and issubclass(task_class, Task)):
        return lambda: found(*args, **kwargs)
    task = task_class(args, kwargs, id=call["id"], retries=call["retries"])
    if call["timeout"]:
        task.timeout = call["timeout"]
        task._deadline = time.monotonic() + call["timeout"]
    execute: Callable[[], Any] = task.execute
    return execute


def _main_alias(module: str) -> str:
    return "__mp_main__" if module == "__main__" else module


def _registered(home: str, name: str) -> type[Task]:
    importlib.import_module(_main_alias(home))
    names = [name]
    if name.startswith("__main__."):
        names.append(f"__mp_main__.{name.removeprefix('__main__.')}")
    for instance in list(REGISTRIES):
        for candidate in names:
            with contextlib.suppress(QueueError):
                return instance.task_class(candidate)
    raise QueueError(
        f"Importing {home} does not register the task {name}; define it at the top "
        "of a module, or set isolate=False."
    )


def value_record(value: object) -> dict[str, Any]:
    """Return the envelope of a return value.

    Raises
    ------
    UnserialisableResultError, ResultTooLargeError
        It cannot travel; the message names its type.
    """
    line = current_channel()
    try:
        travelling = plain(value)
        text = channel.dump_json(travelling)
    except (TypeError, ValueError, RecursionError) as exc:
        raise UnserialisableResultError(
            f"The task returned {type(value).__name__}, which cannot travel as JSON "
            f"({exc}); return dicts, lists, text, finite numbers, booleans or None."
        ) from exc
    if line is not None and len(text) > line.result_limit:
        raise ResultTooLargeError(
            f"The task returned {type(value).__name__} of {len(text):,} bytes of "
            f"JSON, more than the limit of {line.result_limit:,}; return a reference "
            "to it instead."
        )
    return {"value": travelling, "is_tuple": isinstance(value, tuple)}


def steering_record(exc: Exception) -> dict[str, Any] | None:
    """Return one of Huey's steering exceptions as plain values, None for others."""
    if isinstance(exc, RetryTask):
        eta = None if exc.eta is None else moment_ms(exc.eta)
        delay = _seconds(exc.delay)
        return _steering("retry", exc, eta_ms=eta, delay=delay)
    if isinstance(exc, CancelExecution):
        return _steering("cancel", exc, retry=exc.retry)
    if isinstance(exc, RateLimitExceeded):
        return _steering("rate-limited", exc, delay=exc.delay, retry=exc.retry)
    if isinstance(exc, TaskLockedException):
        return _steering("locked", exc)
    if isinstance(exc, TaskTimeout):
        return _steering("timeout", exc)
    return None


def _steering(control: str, exc: Exception, **facts: object) -> dict[str, Any]:
    return {"control": control, "error": error_record(exc), **facts}


def _seconds(delay: Any) -> float | None:
    if delay is None:
        return None
    return float(delay.total_seconds() if hasattr(delay, "total_seconds") else delay)
