"""Two reports, check by check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from myia_sdk.colors import OUTCOME_COLORS
from myia_sdk.plots.canvas import (
    create_axes,
    grid,
    ink,
    legend_above,
    shortened,
    show_empty,
    write_beside,
)
from myia_sdk.plots.scores import BEST, MARKERS, scores_data

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def comparison_data(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Put the checks of two reports side by side.

    Returns
    -------
    pandas.DataFrame
        ``check before after outcome_before outcome_after``: places on the scale of
        ``relative``; a check that one report lacks has no place there.
    """
    old, new = (
        scores_data(frame)[["check", "place", "outcome"]].drop_duplicates("check")
        for frame in (before, after)
    )
    both = old.merge(new, on="check", how="outer", sort=False, suffixes=("_b", "_a"))
    both = both.rename(
        columns={
            "place_b": "before",
            "place_a": "after",
            "outcome_b": "outcome_before",
            "outcome_a": "outcome_after",
        }
    )
    order = {
        name: rank
        for rank, name in enumerate(dict.fromkeys([*old["check"], *new["check"]]))
    }
    both = both.sort_values("check", key=lambda names: names.map(order))
    columns = ["check", "before", "after", "outcome_before", "outcome_after"]
    return both[columns].reset_index(drop=True)


def plot_comparison(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    labels: tuple[str, str] = ("before", "after"),
    ax: Axes | None = None,
) -> Axes:
    """Draw how each check moved from one report to another.

    Hollow is the first report, filled the second, coloured by the outcome each had; the
    line at 1 is the threshold. A changed outcome is written at the right.

    Parameters
    ----------
    before, after : pandas.DataFrame
        Checks frames of one report each.
    labels : tuple of str, default ("before", "after")
        Names for the two reports.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = comparison_data(before, after)
    ax = create_axes(
        ax,
        title="Comparison",
        x="value relative to its threshold (1 = just passes, right is better)",
        y="check",
        size=(9.5, 1.6 + 0.34 * max(3, len(data))),
        loc="left",
    )
    if data.empty:
        return show_empty(ax, "no checks")
    rows = range(len(data))
    ax.axvline(1.0, color=ink(ax), linewidth=1.2, alpha=0.7)
    ax.hlines(
        rows, data["before"], data["after"], color=ink(ax), alpha=0.5, linewidth=1.5
    )
    _draw(ax, data["before"], data["outcome_before"], filled=False)
    _draw(ax, data["after"], data["outcome_after"], filled=True)
    _write_changes(ax, data)
    ax.set_yticks(rows, shortened(list(data["check"])))
    ax.set_ylim(len(data) - 0.4, -0.6)
    ax.set_xlim(-0.05, BEST + 0.06)
    grid(ax, "x")
    _write_legend(ax, data, labels)
    return ax


def _write_legend(ax: Axes, data: pd.DataFrame, labels: tuple[str, str]) -> None:
    """Hollow and filled are the reports, colours the outcomes."""
    hollow = Line2D([], [], ls="", marker="o", ms=8, color=ink(ax), label=labels[0])
    hollow.set_markerfacecolor("none")
    filled = Line2D([], [], ls="", marker="o", ms=8, color=ink(ax), label=labels[1])
    seen = {*data["outcome_before"].astype(str), *data["outcome_after"].astype(str)}
    legend_above(
        ax,
        [
            hollow,
            filled,
            *(
                Patch(color=color, label=outcome)
                for outcome, color in OUTCOME_COLORS.items()
                if outcome in seen and outcome in MARKERS
            ),
        ],
    )


def _draw(ax: Axes, places: pd.Series, outcomes: pd.Series, *, filled: bool) -> None:
    colors = [
        OUTCOME_COLORS.get(str(word), OUTCOME_COLORS["skipped"]) for word in outcomes
    ]
    ax.scatter(
        places.to_numpy(),
        range(len(places)),
        s=60 if filled else 80,
        facecolors=colors if filled else "none",
        edgecolors=colors,
        linewidths=1.8,
        zorder=3,
    )


def _write_changes(ax: Axes, data: pd.DataFrame) -> None:
    for row, line in enumerate(data.itertuples()):
        old, new = str(line.outcome_before), str(line.outcome_after)
        if old != new:
            write_beside(ax, row, f"{_word(old)} → {_word(new)}")


def _word(outcome: str) -> str:
    return outcome if outcome in OUTCOME_COLORS else "absent"
