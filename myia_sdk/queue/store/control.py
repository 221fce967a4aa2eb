"""Operations of people on one job: retry, promote, remove, cancel, change."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import ConfigurationError, InvalidTransitionError, JobNotFoundError
from myia_sdk.queue.jobs import JobOptions
from myia_sdk.queue.jobs.options import milliseconds
from myia_sdk.queue.jobs.payload import DEFAULT_PAYLOAD_LIMIT, check_text, encode_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from myia_sdk.queue.store.store import JobStore
    from myia_sdk.queue.wire.scripts import Argument

#: Start of the lease tokens of our own workers; those of others cannot be told to
#: stop a job.
OWN_TOKEN = "myia:"  # noqa: S105 - a public mark, not a secret
CANCELLED = "cancelled"

_MISSING, _WRONG_STATE, _LOCKED, _ARMED, _FOREIGN = -1, -3, 0, -8, -12
_SCHEDULED = "It is the next run of a job scheduler; remove the scheduler instead."


class Cancellation(StrEnum):
    """What came of a request to cancel."""

    #: The job had not started; it is in state ``failed`` now.
    CANCELLED = "cancelled"
    #: The job runs; its worker was asked to kill it and to move it to ``failed``. A
    #: job that ends by itself before its worker looks keeps that end, also when it
    #: is ``completed``.
    REQUESTED = "requested"


class JobControl:
    """Operations on one job at a time, each one script.

    Parameters
    ----------
    store : JobStore
        The queue.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._store.keys.base[:-1]}>"

    def retry(self, job_id: str, *, reset_attempts: bool = False) -> None:
        """Run a finished job again.

        It goes to the back of the line of its priority. What it logged, its stack
        traces and the number of attempts stay.

        Parameters
        ----------
        job_id : str
            A completed or failed job.
        reset_attempts : bool, default False
            Count attempts from 0 again. Without it a job that has used all its
            attempts fails for good at its next failure.

        Raises
        ------
        JobNotFoundError
            There is no such job.
        InvalidTransitionError
            It is not finished.
        """
        answer = self._run("retry", job_id, int(reset_attempts))
        self._check(answer, job_id, "retry", "Only finished jobs can be retried.")

    def promote(self, job_id: str) -> None:
        """Put a delayed job in line now.

        Raises
        ------
        JobNotFoundError
            There is no such job.
        InvalidTransitionError
            It is not delayed.
        """
        answer = self._run("promote", job_id)
        self._check(answer, job_id, "promote", "Only delayed jobs can be promoted.")

    def remove(self, job_id: str, *, children: bool = True) -> None:
        """Delete a job with its logs; its parent no longer waits for it.

        Parameters
        ----------
        job_id : str
            A job that no worker holds.
        children : bool, default True
            Delete the jobs below it in a flow as well, as BullMQ does.

        Raises
        ------
        JobNotFoundError
            There is no such job.
        InvalidTransitionError
            A worker holds it or a job below it, or a scheduler needs it.
        """
        answer = self._run("remove", job_id, self._now(), int(children))
        hint = (
            _SCHEDULED
            if answer == _ARMED
            else "A worker holds it, or a job below it: cancel it, or let it end."
        )
        self._check(answer, job_id, "remove", hint)

    def update_data(self, job_id: str, data: object) -> None:
        """Replace the data of a job; a run that has started keeps the old ones.

        Parameters
        ----------
        job_id : str
            The job, in any state.
        data : object
            JSON value.

        Raises
        ------
        JobNotFoundError
            There is no such job.
        InvalidJobError
            The data are not JSON, or larger than 1 MiB.
        """
        text = encode_json(data, limit=DEFAULT_PAYLOAD_LIMIT)
        self._check(self._run("update-data", job_id, text), job_id, "update")

    def change_delay(self, job_id: str, delay: timedelta) -> None:
        """Set when a delayed job is due.

        Parameters
        ----------
        job_id : str
            A delayed job.
        delay : timedelta
            From now on; 0 is due at once.

        Raises
        ------
        JobNotFoundError
            There is no such job.
        InvalidTransitionError
            It is not delayed.
        InvalidJobError
            The delay is negative or longer than ten years.
        """
        JobOptions(delay=delay)
        answer = self._run("change-delay", job_id, milliseconds(delay), self._now())
        self._check(
            answer, job_id, "change the delay of", "Only delayed jobs have one."
        )

    def change_priority(
        self, job_id: str, priority: int, *, lifo: bool = False
    ) -> None:
        """Move a job to another class of priority.

        A job in line moves at once, a delayed or running one when it comes back.

        Parameters
        ----------
        job_id : str
            The job.
        priority : int
            0 runs first, in order of arrival; then 1, 2, ...
        lifo : bool, default False
            Put it before the others of its class instead of behind them.

        Raises
        ------
        JobNotFoundError
            There is no such job.
        InvalidJobError
            The priority is out of range.
        """
        JobOptions(priority=priority)
        answer = self._run("change-priority", job_id, priority, int(lifo))
        self._check(answer, job_id, "change the priority of")

    def cancel(self, job_id: str, *, reason: str = CANCELLED) -> Cancellation:
        """End a job without running it further; it will not be retried.

        A job that has not started moves to ``failed`` with `reason`, in one step.
        For one that runs a request is left, which its worker sees within a second:
        it kills the run and fails the job. When the run returns in that second, the
        job is ``completed``: its result, and perhaps its certificate, exist. A request
        is for the run of its time and outlives its worker, but stops no later run of
        a job that was retried. Cancelling twice changes nothing.

        Parameters
        ----------
        job_id : str
            A job that has not ended.
        reason : str, default "cancelled"
            ``failed_reason`` of the job.

        Returns
        -------
        Cancellation
            Whether it has ended or was asked to.

        Raises
        ------
        JobNotFoundError
            There is no such job.
        InvalidTransitionError
            It has ended; or it is the next run of a scheduler; or a worker of
            another client (BullMQ for Node or Python) runs it, which has no way to
            be told.
        """
        if not check_text(reason, "The reason").strip():
            raise ConfigurationError("The reason of a cancellation must not be empty.")
        answer = self._run("cancel", job_id, reason, self._now(), OWN_TOKEN)
        self._check(answer, job_id, "cancel", _CANCEL_HINTS.get(answer, ""))
        return Cancellation.CANCELLED if answer == 1 else Cancellation.REQUESTED

    def cancel_requested(self, job_ids: Iterable[str]) -> set[str]:
        """Return those of `job_ids` that are to be stopped: what a consumer polls."""
        return set(self.cancel_reasons(job_ids))

    def cancel_reasons(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Return the reasons of the requests to stop, by job id.

        For jobs that the caller runs: a claim withdraws what was asked of earlier runs.
        """
        ids = list(job_ids)
        if not ids:
            return {}
        requests = self._store.command("HMGET", self._store.keys.sdk("cancel"), *ids)
        return {
            job_id: request.partition(" ")[2]
            for job_id, request in zip(ids, requests, strict=True)
            if request is not None
        }

    def _now(self) -> int:
        return self._store.clock()

    def _run(self, script: str, *arguments: Argument) -> Any:
        return self._store.run(script, *arguments)

    def _check(self, answer: int, job_id: str, operation: str, hint: str = "") -> None:
        if answer > 0:
            return
        if answer == _MISSING:
            raise JobNotFoundError(job_id, self._store.keys.queue)
        state = self._store.state(job_id)
        raise InvalidTransitionError(job_id, operation, state or "in no state", hint)


_CANCEL_HINTS = {
    _WRONG_STATE: "It has ended already.",
    _ARMED: _SCHEDULED,
    _FOREIGN: (
        "A worker of another client runs it, which cannot be told to stop; wait for "
        "its end, or stop that worker."
    ),
}
