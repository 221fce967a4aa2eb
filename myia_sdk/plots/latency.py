"""How fast a chat endpoint answered: first token and whole answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from myia_sdk.colors import SERIES_COLORS
from myia_sdk.plots.canvas import (
    create_axes,
    expect,
    grid,
    legend_beside,
    log_axis,
    seconds_of,
    show_empty,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = {"first_token": "first token", "latency": "whole answer"}
#: Beyond this ratio of the slowest to the fastest the axis is logarithmic.
LOG_RATIO = 30


def latency_data(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the measured times of all samples, fastest first within a measure.

    Returns
    -------
    pandas.DataFrame
        ``measure seconds share``: `share` of the samples were as fast or faster.
    """
    expect(samples, "client.samples(job)", *MEASURES)
    parts = []
    for column, measure in MEASURES.items():
        seconds = np.sort(seconds_of(samples[column]))
        share = np.arange(1, len(seconds) + 1) / max(1, len(seconds))
        parts.append(
            pd.DataFrame({"measure": measure, "seconds": seconds, "share": share})
        )
    return pd.concat(parts, ignore_index=True)


def plot_latency(samples: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the distributions of time to first token and of the whole answer.

    Each curve says which share of the requests was answered within a time; the median
    and the 95th percentile are marked and stand in the legend.

    Parameters
    ----------
    samples : pandas.DataFrame
        A samples frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = latency_data(samples)
    ax = create_axes(ax, title="Latency", x="time (s)", y="share of requests (%)")
    if data.empty:
        return show_empty(ax, "no timed requests")
    styles = dict(zip(MEASURES.values(), ("-", "--"), strict=True))
    for (measure, style), color in zip(styles.items(), SERIES_COLORS, strict=False):
        seconds = data.loc[data["measure"] == measure, "seconds"].to_numpy()
        if not len(seconds):
            continue
        share = data.loc[data["measure"] == measure, "share"] * 100
        p50, p95 = np.quantile(seconds, [0.5, 0.95])
        label = f"{measure}\np50 {p50:.3g} s, p95 {p95:.3g} s\nn = {len(seconds):,}"
        ax.step(
            seconds, share, where="post", ls=style, color=color, lw=1.8, label=label
        )
        ax.scatter([p50, p95], [50, 95], color=color, s=36, zorder=3)
    shortest, longest = data["seconds"].min(), data["seconds"].max()
    if shortest > 0 and longest / shortest > LOG_RATIO:
        log_axis(ax)
    else:
        ax.set_xlim(left=0)
    ax.set_ylim(0, 102)
    grid(ax, "both")
    legend_beside(ax)
    return ax
