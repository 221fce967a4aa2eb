"""Finished jobs over time, by what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.ticker import MaxNLocator

from myia_sdk.colors import RESULT_COLORS
from myia_sdk.errors import ConfigurationError
from myia_sdk.plots.canvas import (
    RESULTS,
    create_axes,
    expect,
    grid,
    label_of,
    naive,
    nice_bin,
    result_of,
    show_empty,
    time_axis,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More bars than a screen has columns help nobody.
MOST_BARS = 10_000


def throughput_data(
    jobs: pd.DataFrame, *, period: str | pd.Timedelta | None = None
) -> pd.DataFrame:
    """Count finished jobs per period and result; periods without any count zero.

    Parameters
    ----------
    jobs : pandas.DataFrame
        A jobs frame.
    period : str or pandas.Timedelta, optional
        Width of a bin; by default a round one that makes at most 40 bins.

    Returns
    -------
    pandas.DataFrame
        Starts of the periods as index, one column for each result;
        ``attrs["width"]`` is the width of a period.
    """
    expect(jobs, "client.jobs()", "finished_at", "state", "verdict")
    done = jobs.loc[jobs["finished_at"].notna(), ["finished_at"]].assign(
        result=result_of(jobs)
    )
    done = done[done["result"].notna()]
    if done.empty:
        index = pd.DatetimeIndex([], dtype="datetime64[us, UTC]")
        return pd.DataFrame(0, index=index, columns=list(RESULTS))
    first, last = done["finished_at"].min(), done["finished_at"].max()
    width = (
        _width(period, last - first) if period is not None else nice_bin(first, last)
    )
    bins = pd.date_range(first.floor(width), last.floor(width), freq=width, unit="us")
    counts = pd.crosstab(done["finished_at"].dt.floor(width), done["result"])
    filled = counts.reindex(index=bins, columns=list(RESULTS), fill_value=0)
    filled.attrs["width"] = str(width)
    return filled.rename_axis(index="period", columns=None)


def _width(period: str | pd.Timedelta, covered: pd.Timedelta) -> pd.Timedelta:
    try:
        width: Any = pd.Timedelta(period)
    except (ValueError, TypeError):
        width = pd.NaT
    # Not a number is not greater, either.
    if not width > pd.Timedelta(0) or covered / width > MOST_BARS:
        raise ConfigurationError(
            f"period is {period!r}; give a duration such as '15min', of which the "
            f"{words(covered)} of these jobs have {MOST_BARS:,} at most."
        )
    return pd.Timedelta(width)


def plot_throughput(
    jobs: pd.DataFrame,
    *,
    period: str | pd.Timedelta | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw finished jobs per period as bars stacked by result.

    Parameters
    ----------
    jobs : pandas.DataFrame
        A jobs frame.
    period : str or pandas.Timedelta, optional
        Width of a bar, such as ``"15min"``; chosen to fit by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = throughput_data(jobs, period=period)
    ax = create_axes(ax, title="Throughput", x="finished at (UTC)", y="jobs")
    if data.empty:
        return show_empty(ax, "no finished jobs")
    periods = pd.DatetimeIndex(data.index)
    width = pd.Timedelta(str(data.attrs["width"]))
    ax.set_ylabel(f"jobs per {words(width)}")
    base = pd.Series(0, index=data.index)
    for result in RESULTS:
        if data[result].any():
            ax.bar(
                naive(periods),
                data[result],
                width=(width * 0.92).to_numpy(),
                bottom=base,
                align="edge",
                color=RESULT_COLORS[result],
                label=label_of(result),
            )
            base = base + data[result]
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    grid(ax, "y")
    time_axis(ax)
    ax.legend(frameon=False, ncols=3, loc="upper left", fontsize="small")
    ax.set_ylim(top=base.max() * 1.25)
    return ax
