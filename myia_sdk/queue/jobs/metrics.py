"""Counters of finished jobs, as BullMQ keeps them for its charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from myia_sdk.queue.jobs.states import JobState

_MINUTE_MS = 60_000


class MetricsPoint(NamedTuple):
    """Jobs that ended within one minute."""

    minute_at: datetime
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """How many jobs ended in a state, in all and by the minute."""

    state: JobState
    #: All jobs since counting began.
    count: int
    #: Full minutes, newest first; the running one is not among them.
    points: tuple[MetricsPoint, ...]

    @classmethod
    def from_wire(
        cls,
        state: JobState,
        totals: Mapping[str, str],
        minutes: Sequence[str],
        *,
        skipped: int = 0,
    ) -> Self:
        """Read the hash and the list that the finish scripts keep.

        Parameters
        ----------
        state : JobState
            What was counted.
        totals : mapping of str to str
            The hash.
        minutes : sequence of str
            A range of the list.
        skipped : int, default 0
            Minutes newer than the first one of the range.
        """
        newest = int(totals.get("prevTS", 0)) // _MINUTE_MS - 1 - skipped
        points = tuple(
            MetricsPoint(datetime.fromtimestamp((newest - index) * 60, UTC), int(count))
            for index, count in enumerate(minutes)
        )
        return cls(state=state, count=int(totals.get("count", 0)), points=points)
