"""The state machine of a job, as a table: pure, and the only place that states it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class JobState(StrEnum):
    """Where a job is: the Redis key that holds its id."""

    #: In line; also while the queue is paused.
    WAITING = "waiting"
    #: In line behind all waiting ones, by priority.
    PRIORITIZED = "prioritized"
    #: Waiting for its time.
    DELAYED = "delayed"
    #: Running under the lease of a worker.
    ACTIVE = "active"
    #: Ended with a value.
    COMPLETED = "completed"
    #: Ended with a reason.
    FAILED = "failed"
    #: A parent whose children have not all ended.
    WAITING_CHILDREN = "waiting-children"


FINISHED_STATES = frozenset({JobState.COMPLETED, JobState.FAILED})
#: States from which a job will still be run.
PENDING_STATES = frozenset(
    {
        JobState.WAITING,
        JobState.PRIORITIZED,
        JobState.DELAYED,
        JobState.WAITING_CHILDREN,
    }
)


class Transition(NamedTuple):
    """One edge of the state machine; ``None`` is a job that does not exist."""

    operation: str
    source: JobState | None
    target: JobState | None


_W, _P, _D, _A = (
    JobState.WAITING,
    JobState.PRIORITIZED,
    JobState.DELAYED,
    JobState.ACTIVE,
)
_C, _F, _K = JobState.COMPLETED, JobState.FAILED, JobState.WAITING_CHILDREN

#: Every move a job can make. The Lua scripts enforce it; a property test compares.
TRANSITIONS = frozenset(
    Transition(operation, source, target)
    for operation, sources, goals in (
        ("add", (None,), (_W, _P, _D, _K)),
        ("claim", (_W, _P), (_A,)),
        ("complete", (_A,), (_C, None)),
        ("fail", (_A,), (_F, None)),
        ("retry_now", (_A,), (_W, _P)),
        ("retry_later", (_A,), (_D,)),
        ("put_back", (_A,), (_W, _P)),
        ("delay", (_A,), (_D,)),
        ("stall", (_A,), (_W,)),
        ("promote", (_D,), (_W, _P)),
        ("release", (_K,), (_W, _P, _D)),
        ("retry", (_C, _F), (_W, _P)),
        ("cancel", (_W, _P, _D, _K), (_F,)),
        ("remove", (_W, _P, _D, _A, _C, _F, _K), (None,)),
    )
    for source in sources
    for target in goals
)


def targets(operation: str, source: JobState | None) -> frozenset[JobState | None]:
    """Return the states `operation` may lead to from `source`; empty: not allowed."""
    return frozenset(
        edge.target
        for edge in TRANSITIONS
        if edge.operation == operation and edge.source == source
    )
