"""How many jobs waited and ran at each moment, and how long the oldest waited."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import pandas as pd

from myia_sdk.colors import STATE_COLORS
from myia_sdk.plots.canvas import (
    create_axes,
    expect,
    grid,
    naive,
    show_empty,
    span_unit,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def depth_data(jobs: pd.DataFrame) -> pd.DataFrame:
    """Rebuild the queue's past from the times of its jobs.

    A job waits from its creation, or the end of its delay, until its last start, and
    runs from there until it finished. Earlier attempts of a retried job leave no times
    and count as waiting.

    Returns
    -------
    pandas.DataFrame
        One row for each change: ``at``, ``waiting``, ``running`` (counts from there
        on), and ``oldest``, how long the longest waiting job had waited then.
    """
    expect(
        *(jobs, "client.jobs()"),
        *("created_at", "processed_at", "finished_at", "delay"),
    )
    ready = jobs["created_at"] + jobs["delay"].fillna(pd.Timedelta(0))
    started = jobs["processed_at"]
    left = started.fillna(jobs["finished_at"])
    ready = ready.where(left.isna() | (ready <= left), jobs["created_at"])
    changes = pd.concat(
        [
            _changes(ready, waiting=1, ready=ready),
            _changes(left, waiting=-1, ready=ready),
            _changes(started, running=1),
            _changes(jobs["finished_at"].where(started.notna()), running=-1),
        ]
    ).sort_values("at", kind="stable")  # fmt: skip
    changes["oldest"] = _oldest(changes)
    changes[["waiting", "running"]] = changes[["waiting", "running"]].cumsum()
    columns = ["at", "waiting", "running", "oldest"]
    return changes.drop_duplicates("at", keep="last")[columns].reset_index(drop=True)


def _changes(
    at: pd.Series, *, waiting: int = 0, running: int = 0, ready: pd.Series | None = None
) -> pd.DataFrame:
    since = (
        pd.Series(pd.NaT, index=at.index, dtype=at.dtype) if ready is None else ready
    )
    frame = pd.DataFrame({"at": at, "since": since})
    return frame[at.notna()].assign(waiting=waiting, running=running)


def _oldest(changes: pd.DataFrame) -> pd.Series:
    """Age of the oldest waiting job after each change; zero when none waits."""
    waiting: list[int] = []
    gone: list[int] = []
    ages: list[int] = []
    at = changes["at"].astype("int64").to_numpy()
    since = changes["since"].astype("int64").to_numpy()
    for now, ready, change in zip(at, since, changes["waiting"], strict=True):
        if change:
            heapq.heappush(waiting if change > 0 else gone, int(ready))
        while gone and waiting and gone[0] == waiting[0]:
            heapq.heappop(gone)
            heapq.heappop(waiting)
        ages.append(now - waiting[0] if waiting else 0)
    return pd.Series(pd.array(ages, dtype="int64"), index=changes.index).astype(
        "timedelta64[us]"
    )


def plot_depth(jobs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many jobs waited and how many ran, over time.

    Parameters
    ----------
    jobs : pandas.DataFrame
        A jobs frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = depth_data(jobs)
    ax = create_axes(ax, title="Queue depth", x="time (UTC)", y="jobs")
    if data.empty:
        return show_empty(ax, "no jobs")
    times = naive(data["at"])
    for name, state, style in (
        ("waiting", "delayed", "-"),
        ("running", "active", "--"),
    ):
        color = STATE_COLORS[state]
        ax.step(times, data[name], where="post", color=color, ls=style, label=name)
    ax.fill_between(
        times, data["waiting"], step="post", color=STATE_COLORS["delayed"], alpha=0.2
    )
    ax.set_ylim(bottom=0)
    grid(ax, "y")
    time_axis(ax)
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_oldest_waiting(jobs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how long the longest waiting job had waited, over time.

    Parameters
    ----------
    jobs : pandas.DataFrame
        A jobs frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = depth_data(jobs)
    ax = create_axes(ax, title="Oldest waiting job", x="time (UTC)", y="age")
    if data.empty:
        return show_empty(ax, "no jobs")
    size, unit = span_unit(data["oldest"])
    ages = data["oldest"].dt.total_seconds() / size
    ax.plot(naive(data["at"]), ages, color=STATE_COLORS["delayed"])
    ax.set_ylabel(f"age of the oldest waiting job ({unit})")
    ax.set_ylim(bottom=0)
    grid(ax, "y")
    time_axis(ax)
    return ax
