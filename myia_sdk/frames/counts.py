"""How many jobs are in each state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myia_sdk.frames.columns import INTEGER, Column, build_frame
from myia_sdk.frames.jobs import STATES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

    from myia_sdk.queue.job import JobState

COUNT_COLUMNS: tuple[Column, ...] = (
    Column("state", STATES, lambda item: item[0], "state of the jobs"),
    Column("jobs", INTEGER, lambda item: item[1], "how many are in it"),
)


def counts_frame(
    counts: Mapping[JobState, int], *, as_of: datetime | None = None
) -> pd.DataFrame:
    """Return one row for each state, in the order of the mapping.

    Parameters
    ----------
    counts : mapping of JobState to int
        As ``JobStore.counts`` returns them.
    as_of : datetime, optional
        When they were counted; now when not given.
    """
    return build_frame(list(counts.items()), COUNT_COLUMNS, as_of=as_of)
