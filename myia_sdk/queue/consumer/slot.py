"""One job in a slot: from the claim to the stored end."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from huey import signals
from huey.api import PeriodicTask
from huey.exceptions import CancelExecution, TaskException
from huey.utils import SKIPPED, Error

from myia_sdk.errors import LeaseLostError, QueueError
from myia_sdk.queue.consumer.decision import Again, Failure, Success, failure_of_error
from myia_sdk.queue.consumer.leases import Running, StopCause
from myia_sdk.queue.huey.messages import naive_moment, revive
from myia_sdk.queue.huey.tasks import Finished, options_of
from myia_sdk.queue.jobs.job import CANCELLED_CATEGORY, CATEGORY
from myia_sdk.queue.sandbox.child import error_record
from myia_sdk.queue.sandbox.outcome import RemoteError

if TYPE_CHECKING:
    from huey.api import Task

    from myia_sdk.queue.consumer.attempt import TaskRunner
    from myia_sdk.queue.consumer.ending import Endings
    from myia_sdk.queue.huey.hueyqueue import HueyQueue
    from myia_sdk.queue.jobs import Job
    from myia_sdk.queue.store import JobSchedulers

logger = logging.getLogger("huey.consumer")


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs claimed jobs; shared by all slots of a worker.

    Parameters
    ----------
    huey : HueyQueue
        Tasks, hooks and signals.
    runner : TaskRunner
        Runs their functions.
    endings : Endings
        Stores how they ended.
    schedulers : JobSchedulers
        Makes the next run of a scheduled job.
    """

    huey: HueyQueue
    runner: TaskRunner
    endings: Endings
    schedulers: JobSchedulers

    def run(self, entry: Running) -> None:
        """Run a claimed job and store its end, whatever the job does."""
        try:
            self._run(entry)
        except LeaseLostError as exc:
            self.endings.drop(entry, exc)
        except Exception as exc:
            logger.exception("Job %s failed outside its task.", entry.job.id)
            self.endings.fail(entry, Failure(reason=f"{type(exc).__name__}: {exc}"))

    def _run(self, entry: Running) -> None:
        try:
            self._advance_schedule(entry)
            task = self._refuse_or_load(entry.job)
        except LeaseLostError:
            raise
        except QueueError as exc:
            self.endings.fail(entry, Failure(reason=str(exc)))
            return
        if not self._is_wanted(entry, task):
            return
        self._emit(signals.SIGNAL_EXECUTING, task)
        verdict = self.runner.run(entry, task)
        if self._was_stopped(entry, task, verdict):
            return
        if isinstance(verdict, Success):
            self._succeed(entry, task, verdict)
        else:
            self._fail(entry, task, verdict)

    def _emit(self, signal: str, task: Task, *extra: object) -> None:
        self.huey._emit(signal, task, *extra)

    def _advance_schedule(self, entry: Running) -> None:
        if entry.job.scheduler_id is not None:
            self.endings.insist(entry, lambda: self.schedulers.advance(entry.job))

    def _refuse_or_load(self, job: Job) -> Task:
        if job.deferred_failure is not None:
            raise QueueError(job.deferred_failure)
        broken = {"data", "opts"} & set(job.malformed)
        if broken:
            raise QueueError(
                f"The job's {' and '.join(sorted(broken))} cannot be read: not JSON, "
                "or not an object. It was written by something that is no client of "
                "this queue."
            )
        backoff = job.options.backoff
        if backoff is not None and not backoff.is_known and job.max_attempts > 1:
            raise QueueError(
                f"The job asks for the backoff {backoff.type!r}, which only the "
                "client that sent it knows; use 'fixed' or 'exponential'."
            )
        return self.huey.task_of(job)

    def _is_wanted(self, entry: Running, task: Task) -> bool:
        """Check revocation, expiry and the hooks that may cancel."""
        huey = self.huey
        now = huey._get_timestamp()
        reason, signal = "", ""
        if self.endings.insist(entry, lambda: huey.is_revoked(task, now, False)):  # noqa: FBT003  # Huey's signature
            reason, signal = "revoked", signals.SIGNAL_REVOKED
        elif task.expires_resolved and task.expires_resolved < now:
            reason, signal = (
                f"expired at {task.expires_resolved}",
                signals.SIGNAL_EXPIRED,
            )
        elif not self._is_due(entry.job, task):
            self.endings.complete(entry, None, {})
            return False
        else:
            try:
                huey._run_pre_execute(task)
            except CancelExecution:
                reason, signal = "cancelled by a hook", signals.SIGNAL_CANCELED
        if not reason:
            return True
        self._emit(signal, task)
        self._abort_chord(entry, task, SKIPPED)
        self.endings.fail(entry, Failure(reason=reason))
        return False

    def _is_due(self, job: Job, task: Task) -> bool:
        """Ask a periodic task about its tick; a late run counts for its own tick."""
        tick = job.id.rpartition(":")[2]
        if job.scheduler_id is None or not isinstance(task, PeriodicTask):
            return True
        moment = naive_moment(int(tick), is_utc=self.huey.utc)
        return bool(task.validate_datetime(moment))

    def _was_stopped(
        self, entry: Running, task: Task, verdict: Success | Failure
    ) -> bool:
        """Handle a run that we stopped; True when its end is settled thereby."""
        if entry.is_lost:
            self.endings.drop(entry, "its lease was lost")
            return True
        if entry.cause is None or isinstance(verdict, Success):
            return False
        if entry.cause == StopCause.SHUTDOWN:
            self._put_back(entry, task)
        else:
            self._emit(signals.SIGNAL_CANCELED, task)
            failure = Failure(
                reason=entry.reason or StopCause.CANCELLED.value,
                again=Again.NEVER,
                signal=None,
                labels={CATEGORY: CANCELLED_CATEGORY},
            )
            self._fail(entry, task, failure)
        return True

    def _put_back(self, entry: Running, task: Task) -> None:
        logger.info("Job %s goes back in line: the worker ends.", task.id)
        self._emit(signals.SIGNAL_INTERRUPTED, task)
        self.endings.put_back(entry)

    def _succeed(self, entry: Running, task: Task, success: Success) -> None:
        finalize = options_of(task).finalize
        try:
            made = Finished(success.value)
            if finalize is not None:
                made = finalize(entry.job, success.value)
        except Exception as exc:  # noqa: BLE001  # user code: finalize
            self._fail(entry, task, failure_of_error(RemoteError(**error_record(exc))))
            return
        value = revive(made.value)
        spread = tuple(value) if success.is_tuple and isinstance(value, list) else value
        try:
            self.endings.insist(entry, lambda: self._follow(task, spread))
            done = self.endings.complete(entry, made.value, made.labels)
        except LeaseLostError:
            raise
        except QueueError as exc:
            reason = f"{type(exc).__name__}: {exc}"
            self._fail(entry, task, Failure(reason=reason, again=Again.NEVER))
            return
        if done:
            self.huey._run_post_execute(task, value, None)
            self._emit(signals.SIGNAL_COMPLETE, task)

    def _follow(self, task: Task, value: Any) -> None:
        """Enqueue what comes after the task; ids make a second time harmless."""
        if task.on_complete is not None:
            following = copy.copy(task.on_complete)
            following.kwargs = dict(following.kwargs)
            following.extend_data(value)
            self.huey.enqueue(following)
        if task.chord_config is not None:
            self.huey._check_chord(task.chord_config, value)

    def _fail(self, entry: Running, task: Task, failure: Failure) -> None:
        job = entry.job
        has_left = job.attempts_made + 1 < job.max_attempts
        is_final = failure.again is Again.NEVER or (
            failure.again is Again.IF_LEFT and not has_left
        )
        if failure.signal is not None:
            extra = (
                [TaskException({"error": failure.reason})]
                if failure.signal == signals.SIGNAL_ERROR
                else []
            )
            self._emit(failure.signal, task, *extra)
        is_shown = is_final or (
            self.huey.store_intermediate_errors and not failure.is_quiet
        )
        if is_shown:
            self._tell(entry, task, failure, is_final=is_final)
        if is_final:
            if self.endings.fail(entry, failure):
                self._after(task, failure)
            return
        # Told before it is stored: the next attempt may start the moment it is.
        self._after(task, failure)
        self._emit(signals.SIGNAL_RETRYING, task)
        self.endings.try_again(entry, task, failure)

    def _tell(
        self, entry: Running, task: Task, failure: Failure, *, is_final: bool
    ) -> None:
        """Let those know that wait for the task: handler, pipeline, chord."""
        try:
            self.endings.insist(
                entry, lambda: self._spread(entry, task, failure, is_final=is_final)
            )
        except LeaseLostError:
            raise
        except QueueError:
            logger.exception("The failure of job %s cannot be passed on.", task.id)

    def _spread(
        self, entry: Running, task: Task, failure: Failure, *, is_final: bool
    ) -> None:
        error = Error(
            {
                "error": failure.reason,
                "retries": task.retries,
                "traceback": failure.traceback,
                "task_id": task.id,
            }
        )
        if task.on_error is not None:
            handler = copy.copy(task.on_error)
            handler.id = f"{handler.id}-{entry.attempt}"
            handler.extend_data(failure.reason)
            self.huey.enqueue(handler)
        if not is_final:
            return
        following = task.on_complete
        while following is not None:
            self.huey.put_result(following.id, error)
            following = following.on_complete
        self._abort_chord(entry, task, error)

    def _abort_chord(self, entry: Running, task: Task, value: object) -> None:
        self.endings.insist(entry, lambda: self.huey._abort_chord_member(task, value))

    def _after(self, task: Task, failure: Failure) -> None:
        exception = TaskException({"error": failure.reason, "task_id": task.id})
        self.huey._run_post_execute(task, None, exception)
