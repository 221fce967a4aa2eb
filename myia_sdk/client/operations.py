"""Operations of people on the whole queue, their arguments checked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from myia_sdk.arguments import to_limit, to_timedelta
from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.jobs import JobState

if TYPE_CHECKING:
    from myia_sdk.arguments import Seconds
    from myia_sdk.queue.store import QueueAdministration


class Operations:
    """Pause, resume, limit and clean a queue.

    Parameters
    ----------
    administration : QueueAdministration
        Does it.
    """

    def __init__(self, administration: QueueAdministration) -> None:
        self._administration = administration

    def pause(self) -> None:
        """Stop workers from taking jobs; those that run go on."""
        self._administration.pause()

    def resume(self) -> None:
        """Let workers take jobs again."""
        self._administration.resume()

    def clean(
        self,
        state: JobState | str = JobState.COMPLETED,
        *,
        grace: Seconds = timedelta(0),
        limit: int | None = None,
    ) -> list[str]:
        """Delete jobs of a state that are older than a grace time.

        Certificates stay.

        Parameters
        ----------
        state : JobState or str, default "completed"
            Usually ``completed`` or ``failed``.
        grace : float or timedelta, default 0
            Jobs younger than so many seconds stay.
        limit : int, optional
            Delete at most so many.

        Returns
        -------
        list of str
            Ids of the deleted jobs.

        Raises
        ------
        InvalidJobError
            The state is unknown, or active: running jobs are cancelled instead.
        """
        age = to_timedelta(grace, "grace") or timedelta(0)
        most = to_limit(limit, least=0)
        return self._administration.clean(age, most, to_state(state))

    def drain(self, *, delayed: bool = False) -> int:
        """Delete all waiting jobs.

        Parameters
        ----------
        delayed : bool, default False
            Those that wait for a time, too: they were put off, not forgotten.

        Returns
        -------
        int
            How many were deleted.
        """
        return self._administration.drain(delayed=delayed)

    def retry_all(
        self,
        state: JobState | str = JobState.FAILED,
        *,
        reset_attempts: bool = True,
        cancelled: bool = False,
    ) -> int:
        """Run all failed (or completed) jobs again; cancelled ones stay failed.

        Parameters
        ----------
        state : {"failed", "completed"}, default "failed"
            Which jobs.
        reset_attempts : bool, default True
            Give them all their attempts again.
        cancelled : bool, default False
            The jobs that somebody cancelled, too.

        Returns
        -------
        int
            How many are in line again.
        """
        chosen = to_state(state)
        if chosen is not JobState.COMPLETED and chosen is not JobState.FAILED:
            raise InvalidJobError(
                f"Jobs in state {chosen.value!r} cannot be retried; choose 'failed' "
                "or 'completed'."
            )
        return self._administration.retry_all(
            chosen, reset_attempts=reset_attempts, cancelled=cancelled
        )

    def promote_all(self) -> int:
        """Put all delayed jobs in line now, and return how many."""
        return self._administration.promote_all()

    def obliterate(self, *, force: bool = False) -> None:
        """Delete the queue with all its jobs. Certificates and models stay.

        Parameters
        ----------
        force : bool, default False
            Also when jobs run.

        Raises
        ------
        QueueError
            Jobs run, and `force` was not given.
        """
        self._administration.obliterate(force=force)

    def set_concurrency(self, maximum: int | None) -> None:
        """Limit how many jobs run at once, on all workers together.

        Parameters
        ----------
        maximum : int or None
            Jobs at once; ``None`` lifts the limit.
        """
        self._administration.set_concurrency(to_limit(maximum, "maximum", least=0))

    def set_rate_limit(self, maximum: int | None, per: Seconds = 1) -> None:
        """Limit how many jobs start in a window, on all workers together.

        Parameters
        ----------
        maximum : int or None
            Starts in a window; ``None`` lifts the limit.
        per : float or timedelta, default 1 second
            Length of the window, seconds.
        """
        most = to_limit(maximum, "maximum", least=0)
        self._administration.set_rate_limit(most, to_timedelta(per, "per"))


def to_state(state: JobState | str) -> JobState:
    """Return the state of a name.

    Raises
    ------
    InvalidJobError
        There is no such state.
    """
    try:
        return JobState(state)
    except ValueError:
        known = ", ".join(member.value for member in JobState)
        raise InvalidJobError(
            f"{state!r} is not a state of a job; the states are {known}."
        ) from None
