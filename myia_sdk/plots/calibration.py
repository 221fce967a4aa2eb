"""Whether a classifier is as sure as it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myia_sdk.colors import SERIES_COLORS
from myia_sdk.plots.canvas import (
    create_axes,
    expect,
    grid,
    ink,
    legend_beside,
    show_empty,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def calibration_data(bins: pd.DataFrame) -> pd.DataFrame:
    """Return the bins that hold predictions, with their share and a 95 % interval.

    The interval of the observed accuracy is Wilson's.

    Returns
    -------
    pandas.DataFrame
        ``confidence accuracy count share ci_low ci_high``, by confidence.
    """
    expect(bins, "client.calibration(job)", "count", "confidence", "accuracy", "low")
    data = bins.loc[bins["count"].fillna(0) > 0, ["confidence", "accuracy", "count"]]
    data = data.astype("float64").sort_values("confidence", ignore_index=True)
    n, p, z = data["count"], data["accuracy"], 1.959964
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return data.assign(
        share=n / n.sum(),
        ci_low=(middle - half).clip(lower=0.0),
        ci_high=(middle + half).clip(upper=1.0),
    )


def plot_calibration(bins: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the reliability diagram of a classifier report.

    Points on the diagonal are honest; below it the model is surer than it is right. The
    area of a point follows the share of predictions in its bin, which the faint bars at
    the bottom show too.

    Parameters
    ----------
    bins : pandas.DataFrame
        A calibration frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = calibration_data(bins)
    ax = create_axes(
        ax,
        title="Calibration",
        x="confidence of the prediction",
        y="share of correct predictions",
        size=(7.4, 4.8),
    )
    if data.empty:
        return show_empty(ax, "no calibration measured")
    color = SERIES_COLORS[0]
    widths = (bins["high"] - bins["low"]).astype("float64").max()
    ax.bar(
        data["confidence"],
        data["share"] * 0.3,
        width=widths * 0.6,
        color=color,
        alpha=0.4,
        label="share of predictions (scaled)",
    )
    ax.plot([0, 1], [0, 1], ls="--", color=ink(ax), alpha=0.6, lw=1, label="honest")
    ax.vlines(
        data["confidence"], data["ci_low"], data["ci_high"], color=color, alpha=0.7
    )
    ax.scatter(
        data["confidence"], data["accuracy"], s=25 + 250 * data["share"], color=color,
        label="observed, 95 % interval", clip_on=False, zorder=3,
    )  # fmt: skip
    gap = float((data["share"] * (data["accuracy"] - data["confidence"]).abs()).sum())
    total = int(data["count"].sum())
    ax.set_title(f"Calibration (ECE {gap:.3f}, n = {total:,})")
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.04)
    ax.set_aspect("equal", adjustable="box")
    grid(ax, "both")
    legend_beside(ax)
    return ax
