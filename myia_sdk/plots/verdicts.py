"""The latest verdict of each model in each region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.patches import Patch, Rectangle

from myia_sdk.colors import RESULT_COLORS, text_color_on
from myia_sdk.plots.canvas import (
    RESULTS,
    create_axes,
    expect,
    label_of,
    legend_beside,
    named,
    result_of,
    shortened,
    show_empty,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def verdicts_data(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the latest result of each model and region.

    Parameters
    ----------
    frame : pandas.DataFrame
        A jobs frame (unfinished jobs are left out) or a certificates frame.

    Returns
    -------
    pandas.DataFrame
        ``model region result score rating``, sorted by model and region.
    """
    expect(
        *(frame, "client.jobs() or client.certificates()"),
        *("model", "region", "verdict", "score", "rating"),
    )
    time = "finished_at" if "finished_at" in frame else "issued_at"
    expect(frame, "client.jobs() or client.certificates()", time)
    result = result_of(frame) if "state" in frame else frame["verdict"]
    data = pd.DataFrame(
        {
            "model": named(frame["model"]),
            "region": named(frame["region"]),
            "result": result.astype(object),
            "score": frame["score"],
            "rating": frame["rating"],
            "at": frame[time],
        }
    )
    data = data[data["result"].notna()].sort_values("at", kind="stable")
    latest = data.drop_duplicates(["model", "region"], keep="last")
    return latest.drop(columns="at").sort_values(["model", "region"], ignore_index=True)


def plot_verdicts(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the latest verdicts as a matrix of models and regions.

    Each cell carries rating and score beside its colour; an empty cell was never
    certified.

    Parameters
    ----------
    frame : pandas.DataFrame
        A jobs or certificates frame.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = verdicts_data(frame)
    models, regions = sorted(data["model"].unique()), sorted(data["region"].unique())
    size = (3.2 + 1.1 * max(3, len(regions)), 1.6 + 0.45 * max(3, len(models)))
    ax = create_axes(ax, title="Verdicts", x="region", y="model", size=size)
    if data.empty:
        return show_empty(ax, "no certifications")
    for row in data.itertuples():
        _draw_cell(ax, regions.index(row.region), models.index(row.model), row)
    ax.set_xticks(range(len(regions)), shortened(regions, 16))
    ax.set_yticks(range(len(models)), shortened(models))
    ax.set_xlim(-0.5, len(regions) - 0.5)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    seen = set(data["result"])
    patches = [
        Patch(color=RESULT_COLORS[result], label=label_of(result))
        for result in RESULTS
        if result in seen
    ]
    legend_beside(ax, patches)
    return ax


def _draw_cell(ax: Axes, column: int, row: int, cell: object) -> None:
    result = str(getattr(cell, "result", ""))
    color = RESULT_COLORS[result]
    ax.add_patch(Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, color=color))
    score, rating = getattr(cell, "score", None), getattr(cell, "rating", None)
    text = f"{rating} {score:.0f}" if pd.notna(score) and pd.notna(rating) else "–"
    ax.text(
        *(column, row, text),
        ha="center",
        va="center",
        fontsize="small",
        color=text_color_on(color),
    )
    if result == "not measured":
        ax.texts[-1].set_text("not measured")
        ax.texts[-1].set_fontsize("x-small")
