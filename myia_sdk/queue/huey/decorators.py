"""Registering tasks: Huey's decorators with what our workers add to them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from myia_sdk.queue.huey.results import TaskResults
from myia_sdk.queue.huey.tasks import BullTaskWrapper, Finished, TaskOptions
from myia_sdk.queue.huey.translation import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from huey.api import TaskWrapper

    from myia_sdk.queue.jobs import Backoff, Job


class TaskDeclarer(TaskResults):
    """The part of `BullHuey` that registers tasks."""

    def get_task_wrapper_class(self) -> type[TaskWrapper]:
        """Return the wrapper that keeps our options (Huey's hook)."""
        return BullTaskWrapper

    def task(  # noqa: PLR0917  # Huey's signature
        self,
        retries: int = 0,
        retry_delay: float = 0,
        retry_backoff: float = 0,
        priority: float | None = None,
        context: bool = False,
        name: str | None = None,
        expires: Any = None,
        timeout: float | timedelta | None = None,
        *,
        isolate: bool = True,
        backoff: Backoff | None = None,
        finalize: Callable[[Job, Any], Finished] | None = None,
        child_env: Callable[[Job], Mapping[str, str]] | None = None,
        child_call: Callable[[Job, str, Mapping[str, Any]], object] | None = None,
        queue_access: bool = True,
    ) -> Callable[[Callable[..., Any]], BullTaskWrapper]:
        """Register a function as a task.

        Parameters
        ----------
        retries, retry_delay, retry_backoff, priority, context, name, expires
            As Huey's; delays in seconds.
        timeout : float or timedelta, optional
            Seconds of wall-clock time for one attempt.
        isolate : bool, default True
            Run in a sandbox child; False runs in the worker's thread, without a
            hard time-out, for trivial work.
        backoff : Backoff, optional
            Delay between attempts, with jitter and cap; wins over `retry_delay`.
        finalize : callable, optional
            ``finalize(job, value) -> Finished``, called in the worker process after
            the child returned and before the job is completed; raising fails the
            attempt.
        child_env : callable, optional
            ``child_env(job) -> dict``: the only extra environment of the child.
        child_call : callable, optional
            ``child_call(job, method, arguments)``, called in the worker process, in a
            thread: answers what the child asks for, in place of what `queue_access`
            offers.
        queue_access : bool, default True
            Whether the child may enqueue, lock, limit and read results, through the
            worker. Set False for code that is not trusted.
        """
        options = TaskOptions(
            is_isolated=isolate,
            backoff=backoff,
            finalize=finalize,
            child_env=child_env,
            child_call=child_call,
            has_queue_access=queue_access,
            home=_caller(),
        )
        decorator: Callable[[Callable[..., Any]], BullTaskWrapper] = super().task(
            retries=retries,
            retry_delay=retry_delay,
            retry_backoff=retry_backoff,
            priority=priority,
            context=context,
            name=name,
            expires=expires,
            timeout=seconds_of(timeout),
            bull=options,
        )
        return decorator

    def periodic_task(self, validate_datetime: Any, **options: Any) -> Any:
        """Register a function that runs when `validate_datetime` says so.

        With ``crontab(...)`` the run comes from a job scheduler of the queue, one a
        tick however many consumers there are. Takes the options of :meth:`task`.
        """
        isolate = options.pop("isolate", True)
        bull = TaskOptions(
            is_isolated=isolate,
            backoff=options.pop("backoff", None),
            finalize=options.pop("finalize", None),
            child_env=options.pop("child_env", None),
            child_call=options.pop("child_call", None),
            has_queue_access=options.pop("queue_access", True),
            home=_caller(),
        )
        timeout = seconds_of(options.pop("timeout", None))
        return super().periodic_task(
            validate_datetime, timeout=timeout, bull=bull, **options
        )


def _caller() -> str:
    """Return the module whose code calls the decorator."""
    frame = sys._getframe(2)
    return str(frame.f_globals.get("__name__", ""))
