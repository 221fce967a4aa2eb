"""Failed jobs and retries, by the category of their error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.ticker import MaxNLocator

from myia_sdk.colors import RESULT_COLORS
from myia_sdk.plots.canvas import create_axes, expect, grid, legend_beside, show_empty

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CANCELLED = "cancelled"
RECOVERED = "(recovered)"
UNKNOWN = "(no category)"


def failures_data(jobs: pd.DataFrame) -> pd.DataFrame:
    """Count failed jobs and retries by category, most first.

    Retries are attempts beyond the first, of every job. Those of jobs that went well in
    the end count as ``(recovered)`` when the job carries no category.

    Returns
    -------
    pandas.DataFrame
        ``category failed retries``; categories without either are left out.
    """
    expect(
        *(jobs, "client.jobs()"),
        *("state", "error_category", "reason", "attempts_made"),
    )
    failed = jobs["state"] == "failed"
    category = jobs["error_category"].astype(object)
    category = category.mask(category.isna() & (jobs["reason"] == CANCELLED), CANCELLED)
    category = category.mask(
        category.isna() & (jobs["state"] == "completed"), RECOVERED
    )
    category = category.where(category.notna(), UNKNOWN)
    retries = (jobs["attempts_made"].fillna(0) - 1).clip(lower=0)
    counts = (
        pd.DataFrame({"category": category, "failed": failed, "retries": retries})
        .groupby("category", as_index=False)[["failed", "retries"]]
        .sum()
        .astype({"category": object, "failed": "int64", "retries": "int64"})
    )
    seen = counts[(counts["failed"] > 0) | (counts["retries"] > 0)]
    return seen.sort_values(
        ["failed", "retries", "category"],
        ascending=[False, False, True],
        ignore_index=True,
    )


def plot_failures(jobs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many jobs failed and how many attempts were repeated, by category.

    Parameters
    ----------
    jobs : pandas.DataFrame
        A jobs frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = failures_data(jobs)
    size = (8.0, 1.8 + 0.55 * max(2, len(data)))
    title = "Failures and retries by category"
    ax = create_axes(ax, title=title, x="count", y="category", size=size)
    if data.empty:
        return show_empty(ax, "no failures and no retries")
    for offset, column, color, label in (
        (-0.2, "failed", RESULT_COLORS["failed"], "failed jobs"),
        (0.2, "retries", RESULT_COLORS["quality_warning"], "retries"),
    ):
        rows = [row + offset for row in range(len(data))]
        bars = ax.barh(rows, data[column], height=0.38, color=color, label=label)
        ax.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize="small")
    names = [str(name).replace("_", " ").lower() for name in data["category"]]
    ax.set_yticks(range(len(data)), names)
    ax.set_ylim(len(data) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.margins(x=0.08)
    grid(ax, "x")
    legend_beside(ax)
    return ax
