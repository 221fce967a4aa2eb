"""One job in a slot: from the claim to the stored end."""

from __future__ import annotations

import copy
import logging
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from huey import signals
from huey.api import PeriodicTask
from huey.exceptions import CancelExecution, TaskException
from huey.utils import SKIPPED, Error

from myia_sdk.errors import (
    InvalidJobError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
    QueueError,
)
from myia_sdk.queue.child import error_record
from myia_sdk.queue.current import CurrentJob, running
from myia_sdk.queue.leases import Running, StopCause
from myia_sdk.queue.messages import naive_moment, plain, revive
from myia_sdk.queue.outages import Outage, Patience, is_outage
from myia_sdk.queue.outcome import RemoteError
from myia_sdk.queue.sandbox import JobIdentity, Sandbox
from myia_sdk.queue.storage import answer_remote
from myia_sdk.queue.tasks import (
    Finished,
    options_of,
    reference_of,
    run_in_child,
    steering_record,
    value_record,
)
from myia_sdk.queue.verdicts import (
    CATEGORY,
    Again,
    Failure,
    Success,
    failure_of_error,
    judge,
    judge_record,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from huey.api import Task

    from myia_sdk.queue.huey import BullHuey
    from myia_sdk.queue.job import Job
    from myia_sdk.queue.schedule import JobSchedulers

logger = logging.getLogger("huey.consumer")

RUN_IN_CHILD = f"{run_in_child.__module__}:{run_in_child.__qualname__}"
#: Jobs that hit a rate limit together come back spread over this share of the wait.
RATE_LIMIT_SPREAD = 0.2


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs claimed jobs; shared by all slots of a worker.

    Parameters
    ----------
    huey : BullHuey
        Tasks, hooks and signals.
    sandbox : Sandbox
        Runs isolated tasks.
    schedulers : JobSchedulers
        Makes the next run of a scheduled job.
    outage : Outage
        What the worker knows about Redis.
    hard_stop : threading.Event
        Set when the worker must end now.
    isolates_all : bool
        Run tasks with ``isolate=False`` in children, too.
    """

    huey: BullHuey
    sandbox: Sandbox
    schedulers: JobSchedulers
    outage: Outage
    hard_stop: threading.Event
    isolates_all: bool = False

    def run(self, entry: Running) -> None:
        """Run a claimed job and store its end, whatever the job does."""
        try:
            self._run(entry)
        except LeaseLostError as exc:
            self._drop(entry, exc)
        except Exception as exc:
            logger.exception("Job %s failed outside its task.", entry.job.id)
            self._end_failed(
                entry, None, Failure(reason=f"{type(exc).__name__}: {exc}")
            )

    def _run(self, entry: Running) -> None:
        try:
            self._advance_schedule(entry)
            task = self._refuse_or_load(entry.job)
        except LeaseLostError:
            raise
        except QueueError as exc:
            self._end_failed(entry, None, Failure(reason=str(exc), again=Again.NEVER))
            return
        if not self._is_wanted(entry, task):
            return
        self._emit(signals.SIGNAL_EXECUTING, task)
        verdict = self._attempt(entry, task)
        if self._was_stopped(entry, task, verdict):
            return
        if isinstance(verdict, Success):
            self._succeed(entry, task, verdict)
        else:
            self._fail(entry, task, verdict)

    def _emit(self, signal: str, task: Task, *extra: object) -> None:
        self.huey._emit(signal, task, *extra)  # noqa: SLF001  # Huey's signal bus

    @staticmethod
    def _drop(entry: Running, reason: object) -> None:
        logger.warning(
            "Dropped the end of job %s: %s",
            entry.job.id,
            reason,
            extra={"job_id": entry.job.id},
        )

    def _advance_schedule(self, entry: Running) -> None:
        if entry.job.scheduler_id is not None:
            self._insist(entry, lambda: self.schedulers.advance(entry.job))

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
        now = huey._get_timestamp()  # noqa: SLF001  # honours Huey's utc option
        reason, signal = "", ""
        if self._insist(entry, lambda: huey.is_revoked(task, now, False)):  # noqa: FBT003  # Huey's signature
            reason, signal = "revoked", signals.SIGNAL_REVOKED
        elif task.expires_resolved and task.expires_resolved < now:
            reason, signal = (
                f"expired at {task.expires_resolved}",
                signals.SIGNAL_EXPIRED,
            )
        elif not self._is_due(entry.job, task):
            self._end(entry, lambda: self._complete(entry, None, {}))
            return False
        else:
            try:
                huey._run_pre_execute(task)  # noqa: SLF001  # Huey's hooks
            except CancelExecution:
                reason, signal = "cancelled by a hook", signals.SIGNAL_CANCELED
        if not reason:
            return True
        self._emit(signal, task)
        self._abort_chord(entry, task, SKIPPED)
        failure = Failure(reason=reason, again=Again.NEVER, signal=None)
        self._end_failed(entry, task, failure)
        return False

    def _is_due(self, job: Job, task: Task) -> bool:
        """Ask a periodic task about its tick; a late run counts for its own tick."""
        tick = job.id.rpartition(":")[2]
        if job.scheduler_id is None or not isinstance(task, PeriodicTask):
            return True
        moment = naive_moment(int(tick), is_utc=self.huey.utc)
        return bool(task.validate_datetime(moment))

    def _attempt(self, entry: Running, task: Task) -> Success | Failure:
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
                on_call=self._answerer() if options.has_queue_access else None,
                cancel=entry.stop,
            )
        except Exception as exc:  # noqa: BLE001  # user code: child_env
            return failure_of_error(RemoteError(**error_record(exc)))
        return judge(outcome, now_ms)

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
            task._deadline = time.monotonic() + task.timeout  # noqa: SLF001  # what check_timeout() reads
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

    def _answerer(self) -> Callable[[str, Mapping[str, Any]], object]:
        def answer(method: str, arguments: Mapping[str, Any]) -> object:
            if method == "enqueue":
                self.huey.enqueue(self.huey.messages.from_record(arguments["task"]))
                return None
            if method == "result":
                return self.huey.raw_result(str(arguments["id"]))
            name = method.removeprefix("storage.")
            storage = self.huey.storage
            return answer_remote(storage, name, arguments["args"], arguments["kwargs"])

        return answer

    def _was_stopped(
        self, entry: Running, task: Task, verdict: Success | Failure
    ) -> bool:
        """Handle a run that we stopped; True when its end is settled thereby."""
        if entry.is_lost:
            self._drop(entry, "its lease was lost")
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
                labels={CATEGORY: "CANCELLED"},
            )
            self._fail(entry, task, failure)
        return True

    def _put_back(self, entry: Running, task: Task) -> None:
        logger.info("Job %s goes back in line: the worker ends.", task.id)
        self._emit(signals.SIGNAL_INTERRUPTED, task)
        store = self.huey.store
        self._end(entry, lambda: store.put_back(task.id, entry.token))

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
            self._insist(entry, lambda: self._follow(task, spread))
            done = self._end(
                entry, lambda: self._complete(entry, made.value, made.labels)
            )
        except LeaseLostError:
            raise
        except QueueError as exc:
            reason = f"{type(exc).__name__}: {exc}"
            self._fail(entry, task, Failure(reason=reason, again=Again.NEVER))
            return
        if done:
            self.huey._run_post_execute(task, value, None)  # noqa: SLF001  # Huey's hooks
            self._emit(signals.SIGNAL_COMPLETE, task)

    def _follow(self, task: Task, value: Any) -> None:  # noqa: ANN401  # any value
        """Enqueue what comes after the task; ids make a second time harmless."""
        if task.on_complete is not None:
            following = copy.copy(task.on_complete)
            following.kwargs = dict(following.kwargs)
            following.extend_data(value)
            self.huey.enqueue(following)
        if task.chord_config is not None:
            self.huey._check_chord(task.chord_config, value)  # noqa: SLF001  # Huey's hook

    def _complete(
        self, entry: Running, value: object, labels: Mapping[str, str]
    ) -> None:
        self.huey.store.complete(
            entry.job.id,
            entry.token,
            value if self.huey.results else None,
            retention=self.huey.keep_completed,
            labels=labels,
        )

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
            self._end_failed(entry, task, failure)
            return
        if self._end(entry, lambda: self._try_again(entry, task, failure)):
            self._after(task, failure)
            self._emit(signals.SIGNAL_RETRYING, task)

    def _tell(
        self, entry: Running, task: Task, failure: Failure, *, is_final: bool
    ) -> None:
        """Let those know that wait for the task: handler, pipeline, chord."""
        try:
            self._insist(
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
        self._insist(entry, lambda: self.huey._abort_chord_member(task, value))  # noqa: SLF001  # Huey's hook

    def _try_again(self, entry: Running, task: Task, failure: Failure) -> None:
        store, job = self.huey.store, entry.job
        delay = failure.delay
        if failure.again is Again.UNCHARGED:
            if delay is None:
                delay = timedelta(seconds=task.retry_delay or 0)
            if failure.signal == signals.SIGNAL_RATE_LIMITED:
                delay *= 1 + RATE_LIMIT_SPREAD * random.random()  # noqa: S311  # spreads load
            now = datetime.fromtimestamp(store.clock() / 1000, UTC)
            store.delay(job.id, entry.token, now + delay)
            return
        if delay is None:
            delay = self._backoff(task, job)
        if delay > timedelta():
            store.retry_later(
                job.id, entry.token, delay, failure.reason, failure.traceback
            )
        else:
            store.retry_now(job.id, entry.token, failure.reason, failure.traceback)

    def _backoff(self, task: Task, job: Job) -> timedelta:
        attempt = job.attempts_made + 1
        if task.retry_delay and options_of(task).backoff is None:
            factor = (task.retry_backoff or 1) ** (attempt - 1)
            return timedelta(seconds=task.retry_delay * factor)
        backoff = job.options.backoff or self.huey.backoff_of(task)
        if backoff is None:
            return timedelta()
        return backoff.delay_for(attempt, random.random())  # noqa: S311  # jitter

    def _end_failed(self, entry: Running, task: Task | None, failure: Failure) -> None:
        job = entry.job
        done = self._end(
            entry,
            lambda: self.huey.store.fail(
                job.id,
                entry.token,
                failure.reason,
                failure.traceback,
                retention=self.huey.keep_failed,
                labels=failure.labels,
            ),
        )
        if done:
            logger.warning(
                "Job %s failed: %s", job.id, failure.reason, extra={"job_id": job.id}
            )
        if done and task is not None and failure.signal is not None:
            self._after(task, failure)

    def _after(self, task: Task, failure: Failure) -> None:
        exception = TaskException({"error": failure.reason, "task_id": task.id})
        self.huey._run_post_execute(task, None, exception)  # noqa: SLF001  # Huey's hooks

    def _end(self, entry: Running, store_end: Callable[[], None]) -> bool:
        """Store the end of an attempt; False when the lease is gone.

        Raises
        ------
        InvalidJobError
            The value cannot be stored; the job is still active.
        """
        entry.is_ending = True
        try:
            self._insist(entry, lambda: entry.flush(self.huey.store))
            self._insist(entry, store_end)
        except InvalidJobError:
            entry.is_ending = False
            raise
        except (LeaseLostError, JobNotFoundError, InvalidTransitionError) as exc:
            self._drop(entry, exc)
            return False
        return True

    def _insist(self, entry: Running, command: Callable[[], Any]) -> Any:  # noqa: ANN401  # what the command returns
        """Run a command of the store; wait while Redis is away and the lease holds.

        Raises
        ------
        GaveUpError
            Redis was away for longer than the lease.
        """
        patience = Patience()
        while True:
            try:
                answer = command()
            except QueueError as exc:
                if not is_outage(exc):
                    raise
                self.outage.begin(exc)
                if time.monotonic() > entry.held_until or entry.is_lost:
                    raise GaveUpError(
                        "Redis was away for longer than the lease; the job runs again"
                    ) from exc
                if patience.wait(self.hard_stop):
                    raise GaveUpError("the worker ends while Redis is away") from exc
            else:
                self.outage.end()
                return answer


class GaveUpError(LeaseLostError):
    """Redis was away for longer than the lease of a job holds."""
