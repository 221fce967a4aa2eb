"""One attempt of a task: in a sandbox child, or in the slot's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from myia_sdk.queue.consumer.decision import (
    Failure,
    Success,
    failure_of_error,
    judge,
    judge_record,
)
from myia_sdk.queue.huey.messages import plain
from myia_sdk.queue.huey.tasks import (
    options_of,
    reference_of,
    run_in_child,
    steering_record,
    value_record,
)
from myia_sdk.queue.huey.values import answer_remote
from myia_sdk.queue.sandbox.child import error_record
from myia_sdk.queue.sandbox.current import CurrentJob, running
from myia_sdk.queue.sandbox.outcome import RemoteError
from myia_sdk.queue.sandbox.sandbox import JobIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from huey.api import Task

    from myia_sdk.queue.consumer.leases import Running
    from myia_sdk.queue.huey.hueyqueue import HueyQueue
    from myia_sdk.queue.huey.tasks import TaskOptions
    from myia_sdk.queue.jobs import Job
    from myia_sdk.queue.sandbox.sandbox import Sandbox

RUN_IN_CHILD = f"{run_in_child.__module__}:{run_in_child.__qualname__}"


@dataclass(frozen=True, slots=True)
class TaskRunner:
    """Runs the function of a task.

    Parameters
    ----------
    huey : HueyQueue
        Answers what children ask for.
    sandbox : Sandbox
        Runs isolated tasks.
    isolates_all : bool
        Run tasks with ``isolate=False`` in children, too.
    """

    huey: HueyQueue
    sandbox: Sandbox
    isolates_all: bool = False

    def run(self, entry: Running, task: Task) -> Success | Failure:
        """Run one attempt; whatever the function does is a verdict."""
        options = options_of(task)
        now_ms = self.huey.store.clock()
        if not (options.is_isolated or self.isolates_all):
            return self._run_here(entry, task, now_ms)
        try:
            environment = (
                dict(options.child_env(entry.job)) if options.child_env else {}
            )
            outcome = self.sandbox.run(
                RUN_IN_CHILD,
                [self._call(task)],
                job=JobIdentity(
                    id=entry.job.id, name=entry.job.name, attempt=entry.attempt
                ),
                env=environment,
                timeout=timedelta(seconds=task.timeout) if task.timeout else None,
                on_progress=entry.progress,
                on_log=entry.add_lines,
                on_call=self._calls(options, entry.job),
                cancel=entry.stop,
            )
        except Exception as exc:  # noqa: BLE001  # user code: child_env
            return failure_of_error(RemoteError(**error_record(exc)))
        return judge(outcome, now_ms)

    def _calls(
        self, options: TaskOptions, job: Job
    ) -> Callable[[str, Mapping[str, Any]], object] | None:
        if options.child_call is not None:
            return partial(options.child_call, job)
        return self._answer if options.has_queue_access else None

    def _call(self, task: Task) -> dict[str, Any]:
        kind = type(task)
        options = options_of(task)
        return {
            "reference": reference_of(kind, kind.bull_function),
            "home": options.home,
            "name": self.huey.task_name(kind),
            "args": plain(list(task.args)),
            "kwargs": plain(dict(task.kwargs)),
            "id": task.id,
            "retries": task.retries,
            "timeout": task.timeout,
        }

    def _run_here(self, entry: Running, task: Task, now_ms: int) -> Success | Failure:
        task.args = tuple(task.args)
        if task.timeout:
            task._deadline = time.monotonic() + task.timeout
        current = CurrentJob(entry.job.id, entry.job.name, entry.attempt, entry)
        try:
            with running(current):
                record: Mapping[str, Any] = value_record(task.execute())
        except BaseException as exc:  # noqa: BLE001  # the job's boundary
            steering = steering_record(exc) if isinstance(exc, Exception) else None
            if steering is None:
                return failure_of_error(RemoteError(**error_record(exc)))
            record = steering
        return judge_record(record, now_ms)

    def _answer(self, method: str, arguments: Mapping[str, Any]) -> object:
        """Serve a call of the child; it runs in a thread of its own."""
        if method == "enqueue":
            self.huey.enqueue(self.huey.messages.from_record(arguments["task"]))
            return None
        if method == "result":
            is_peek = arguments["peek"] is True
            return self.huey.raw_result(str(arguments["id"]), peek=is_peek)
        name = method.removeprefix("storage.")
        storage = self.huey.storage
        return answer_remote(storage, name, arguments["args"], arguments["kwargs"])
