"""What a panel may do, and to which jobs; checked in Python, never only greyed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from myia_sdk.errors import MyiaError
from myia_sdk.queue.jobs import FINISHED_STATES, JobState


class ActionRefusedError(MyiaError):
    """The panel does not allow this action, or not on this job."""


class Action(StrEnum):
    """Everything a panel can be asked to do to jobs or to the queue."""

    SUBMIT = "submit"
    ADD = "add"
    DUPLICATE = "duplicate"
    RETRY = "retry"
    PROMOTE = "promote"
    CANCEL = "cancel"
    REMOVE = "remove"
    RERUN = "rerun"
    UPDATE = "update"
    CHANGE_DELAY = "change_delay"
    CHANGE_PRIORITY = "change_priority"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY_ALL = "retry_all"
    PROMOTE_ALL = "promote_all"
    CLEAN = "clean"
    DRAIN = "drain"
    OBLITERATE = "obliterate"
    CONCURRENCY = "concurrency"
    RATE_LIMIT = "rate_limit"
    UNSCHEDULE = "unschedule"
    RESCHEDULE = "reschedule"
    RUN_NOW = "run_now"
    EXPORT = "export"
    VERIFY = "verify"
    DOWNLOAD = "download"


#: Actions that change nothing: allowed in read-only panels.
READING = frozenset({Action.EXPORT, Action.VERIFY, Action.DOWNLOAD})
_PENDING = frozenset({JobState.WAITING, JobState.PRIORITIZED, JobState.DELAYED})
_ALL = frozenset(JobState)
#: States in which a job accepts an action.
JOB_ACTIONS: dict[Action, frozenset[JobState]] = {
    Action.RETRY: FINISHED_STATES,
    Action.PROMOTE: frozenset({JobState.DELAYED}),
    Action.CANCEL: _PENDING | {JobState.ACTIVE, JobState.WAITING_CHILDREN},
    Action.REMOVE: _ALL - {JobState.ACTIVE},
    Action.RERUN: _ALL,
    Action.DUPLICATE: _ALL,
    Action.UPDATE: _PENDING,
    Action.CHANGE_DELAY: frozenset({JobState.DELAYED}),
    Action.CHANGE_PRIORITY: _PENDING,
    Action.EXPORT: _ALL,
    Action.DOWNLOAD: FINISHED_STATES,
    Action.VERIFY: FINISHED_STATES,
}


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one panel allows.

    Parameters
    ----------
    is_read_only : bool, optional
        Refuse everything that changes jobs or the queue.
    denied : frozenset of Action, optional
        Single actions to refuse, for example ``{Action.OBLITERATE}``.
    """

    is_read_only: bool = False
    denied: frozenset[Action] = frozenset()

    def allows(self, action: Action) -> bool:
        """Return whether `action` may be asked for at all."""
        if self.is_read_only and action not in READING:
            return False
        return action not in self.denied

    def check(self, action: Action) -> None:
        """Refuse an action that is not allowed.

        Raises
        ------
        ActionRefusedError
            The message says whether the panel is read-only.
        """
        if self.allows(action):
            return
        why = "this panel is read-only" if self.is_read_only else "it is switched off"
        raise ActionRefusedError(f"Action {action.value!r} was refused: {why}.")

    def to_record(self) -> list[str]:
        """Return the names of the allowed actions, for the browser."""
        return [action.value for action in Action if self.allows(action)]
