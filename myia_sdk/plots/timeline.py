"""Which slot of which worker ran which job, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.dates import date2num
from matplotlib.patches import Patch

from myia_sdk.colors import RESULT_COLORS, STATE_COLORS
from myia_sdk.plots.canvas import (
    RESULTS,
    create_axes,
    expect,
    grid,
    label_of,
    legend_beside,
    naive,
    named,
    result_of,
    shortened,
    show_empty,
    time_axis,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

RUNNING = "running"
#: Slots named beside the axis; more are drawn, and numbered by the axis only.
MAX_LABELS = 40


def timeline_data(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return one bar for each started job, with the slot it took.

    Workers record their name, not their slot; jobs of one worker that overlap are
    spread over as many slots as that takes.

    Returns
    -------
    pandas.DataFrame
        ``id worker slot start end result``, in the order of worker and start. A job
        that still runs ends at ``attrs["as_of"]``, its result is ``running``.
    """
    expect(
        *(jobs, "client.jobs()", "id", "worker", "state", "verdict"),
        *("processed_at", "finished_at"),
    )
    started = jobs[jobs["processed_at"].notna() & (jobs["state"] != "waiting")]
    as_of = jobs.attrs.get("as_of") or datetime.now(UTC)
    result = result_of(started).astype(object)
    data = pd.DataFrame(
        {
            "id": started["id"],
            "worker": named(started["worker"]),
            "start": started["processed_at"],
            "end": started["finished_at"],
            "result": result.where(started["state"] != "active", RUNNING),
        }
    )
    data.loc[data["result"] == RUNNING, "end"] = pd.Timestamp(as_of)
    data = data[data["end"].notna() & data["result"].notna()]
    data = data.sort_values(["worker", "start", "id"]).reset_index(drop=True)
    data.insert(2, "slot", _slots(data))
    return data


def _slots(data: pd.DataFrame) -> list[int]:
    slots: list[int] = []
    free_from: list[pd.Timestamp] = []
    last_worker: object = None
    for worker, start, end in zip(
        data["worker"], data["start"], data["end"], strict=True
    ):
        if worker != last_worker:
            free_from, last_worker = [], worker
        slot = next(
            (i for i, at in enumerate(free_from) if at <= start), len(free_from)
        )
        free_from[slot : slot + 1] = [end]
        slots.append(slot + 1)
    return slots


def plot_timeline(jobs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw jobs as bars from start to end, one row for each slot of each worker.

    Parameters
    ----------
    jobs : pandas.DataFrame
        A jobs frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = timeline_data(jobs)
    rows = data[["worker", "slot"]].drop_duplicates().reset_index(drop=True)
    height = 1.8 + 0.32 * min(max(3, len(rows)), MAX_LABELS)
    ax = create_axes(
        ax, title="Timeline", x="time (UTC)", y="worker, slot", size=(9, height)
    )
    if data.empty:
        return show_empty(ax, "no started jobs")
    colors = {**RESULT_COLORS, RUNNING: STATE_COLORS["active"]}
    start, end = _numbers(data["start"]), _numbers(data["end"])
    placed = rows.reset_index(names="row").merge(
        data, on=["worker", "slot"], how="right"
    )
    ax.barh(
        placed["row"],
        end - start,
        left=start,
        height=0.78,
        color=[colors[result] for result in data["result"]],
        edgecolor=ax.get_facecolor(),
        linewidth=0.5,
    )
    ax.xaxis_date()
    time_axis(ax)
    if len(rows) <= MAX_LABELS:
        names = shortened(rows["worker"])
        labels = [
            f"{name}, {slot}" for name, slot in zip(names, rows["slot"], strict=True)
        ]
        ax.set_yticks(range(len(rows)), labels)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    grid(ax, "x")
    seen = set(data["result"])
    patches = [
        Patch(color=colors[result], label=label_of(result))
        for result in (*RESULTS, RUNNING)
        if result in seen
    ]
    legend_beside(ax, patches)
    return ax


def _numbers(times: pd.Series) -> np.ndarray:
    """Return times in matplotlib's own unit; bars with dates as width need it."""
    numbers: np.ndarray = date2num(naive(times))  # type: ignore[no-untyped-call]
    return numbers
