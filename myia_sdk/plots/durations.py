"""How long jobs ran and how long they waited, by suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from myia_sdk.colors import SERIES_COLORS
from myia_sdk.plots.canvas import (
    create_axes,
    expect,
    grid,
    ink,
    log_axis,
    named,
    seconds_of,
    shortened,
    show_empty,
    span_unit,
    write_beside,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Single jobs are drawn as points up to this many in a suite; boxes say the rest.
MAX_POINTS = 300
#: Beyond this ratio of the longest to the shortest the axis is logarithmic.
LOG_RATIO = 50


def spans_data(jobs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return ``suite`` and ``span`` of every job that has one, slowest suite first."""
    expect(jobs, "client.jobs()", "suite", column)
    data = pd.DataFrame({"suite": named(jobs["suite"]), "span": jobs[column]}).dropna()
    order = data.groupby("suite")["span"].median().sort_values(ascending=False).index
    rank = data["suite"].map({suite: place for place, suite in enumerate(order)})
    return data.iloc[rank.to_numpy(dtype=np.intp).argsort(kind="stable")].reset_index(
        drop=True
    )


def plot_durations(jobs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of running times (last attempt), one box for each suite.

    Parameters
    ----------
    jobs : pandas.DataFrame
        A jobs frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    return _plot_spans(
        spans_data(jobs, "duration"), "Duration by suite", "running time", ax
    )


def plot_waiting(jobs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of the times from creation to the (last) start, by suite.

    Parameters
    ----------
    jobs : pandas.DataFrame
        A jobs frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    return _plot_spans(
        spans_data(jobs, "waited"), "Waiting time by suite", "waiting time", ax
    )


def _plot_spans(data: pd.DataFrame, title: str, what: str, ax: Axes | None) -> Axes:
    suites = list(data["suite"].unique())
    height = 1.6 + 0.6 * max(2, len(suites))
    ax = create_axes(ax, title=title, x=what, y="suite", size=(8, height))
    if data.empty:
        return show_empty(ax, f"no jobs with a {what}")
    size, unit = span_unit(data["span"])
    groups = [
        seconds_of(data.loc[data["suite"] == name, "span"]) / size for name in suites
    ]
    _draw_boxes(ax, groups)
    ax.set_yticks(range(len(suites)), shortened(suites))
    ax.set_xlabel(f"{what} ({unit})")
    shortest = min(group.min() for group in groups)
    if shortest > 0 and max(group.max() for group in groups) / shortest > LOG_RATIO:
        log_axis(ax)
    else:
        ax.set_xlim(left=0)
    grid(ax, "x")
    return ax


def _draw_boxes(ax: Axes, groups: list[np.ndarray]) -> None:
    spread = np.random.default_rng(0)
    color = SERIES_COLORS[0]
    for place, group in enumerate(groups):
        if len(group) <= MAX_POINTS:
            rows = place + spread.uniform(-0.16, 0.16, len(group))
            ax.scatter(group, rows, s=10, color=color, alpha=0.7, linewidths=0)
    lines = {"color": ink(ax), "linewidth": 1.1}
    ax.boxplot(
        groups,
        positions=range(len(groups)),
        orientation="horizontal",
        widths=0.5,
        whis=(5, 95),
        showfliers=False,
        boxprops=lines,
        whiskerprops=lines,
        capprops=lines,
        medianprops={"color": SERIES_COLORS[1], "linewidth": 2.2},
        manage_ticks=False,
    )
    for place, group in enumerate(groups):
        write_beside(ax, place, f"n = {len(group):,}")
    ax.set_ylim(len(groups) - 0.4, -0.6)
