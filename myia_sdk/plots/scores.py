"""The checks of a report against their thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from myia_sdk.colors import OUTCOME_COLORS
from myia_sdk.plots.canvas import (
    create_axes,
    expect,
    grid,
    ink,
    legend_above,
    shortened,
    show_empty,
    write_beside,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "==": "="}
#: Where a value twice as good as its threshold, or better, is drawn.
BEST = 2.0
AT_MOST = ("<=", "<")
#: A second cue beside colour.
MARKERS = {"passed": "o", "warned": "D", "failed": "X"}


def relative(value: float, passed_at: float, comparator: str) -> float:
    """Place a value on a common scale: 1 just passes, higher is better, 0 to 2.

    With a threshold above zero it is the ratio of value and threshold, turned over
    where small values are wanted; with a threshold of zero or less, 1 plus the
    distance on the good side.

    Examples
    --------
    >>> relative(0.84, 0.7, ">="), relative(50.0, 100.0, "<="), relative(0.1, 0.0, "<=")
    (1.2, 2.0, 0.9)
    """
    small_is_good = comparator in AT_MOST
    if passed_at <= 0:
        distance = value - passed_at
        place = 1 - distance if small_is_good else 1 + distance
    elif small_is_good:
        place = passed_at / value if value > 0 else BEST
    else:
        place = value / passed_at
    return float(np.clip(place, 0.0, BEST))


def scores_data(checks: pd.DataFrame) -> pd.DataFrame:
    """Place each check and its interval on the scale of :func:`relative`.

    Returns
    -------
    pandas.DataFrame
        ``check outcome place low high warned text``, one row for each row of `checks`,
        in order; what has no value or no threshold has no place.
    """
    expect(
        *(checks, "client.checks(job)", "check", "outcome", "value", "unit"),
        *("comparator", "passed_at", "warned_at", "ci_low", "ci_high"),
        "error_category",
    )
    rows = [_placed(row) for row in checks.to_dict("records")]
    columns = ["check", "outcome", "place", "low", "high", "warned", "text"]
    data = pd.DataFrame(rows, columns=columns)
    numbers = ["place", "low", "high", "warned"]
    return data.astype(dict.fromkeys(numbers, "float64"))


def _placed(row: dict[object, object]) -> tuple[object, ...]:
    limit, comparator = row["passed_at"], str(row["comparator"])

    def place(value: object) -> float:
        if pd.isna(value) or pd.isna(limit):  # type: ignore[call-overload]  # scalars
            return float("nan")
        return relative(float(str(value)), float(str(limit)), comparator)

    ends = sorted((place(row["ci_low"]), place(row["ci_high"])))
    spot = place(row["value"])
    return (
        row["check"],
        row["outcome"],
        spot,
        *ends,
        place(row["warned_at"]),
        _text(row),
    )


def _text(row: dict[object, object]) -> str:
    outcome, value, limit = str(row["outcome"]), row["value"], row["passed_at"]
    if outcome in {"error", "skipped"}:
        category = row["error_category"]
        return f"{outcome}: {category}" if isinstance(category, str) else outcome
    if pd.isna(value):  # type: ignore[call-overload]  # a scalar
        return outcome
    unit = f" {row['unit']}" if row["unit"] else ""
    if pd.isna(limit):  # type: ignore[call-overload]  # a scalar
        return f"{value:.3g}{unit}"
    sign = SIGNS.get(str(row["comparator"]), str(row["comparator"]))
    return f"{value:.3g}{unit}  (needs {sign} {limit:.3g})"


def plot_scores(checks: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw each check of a report relative to the threshold it must reach.

    The line at 1 is the threshold; a short tick marks where a warning begins, a bar the
    95 % interval. Values more than twice as good as needed stand at the right edge.
    What could not be measured, or judges itself, has its row and its words.

    Parameters
    ----------
    checks : pandas.DataFrame
        A checks frame; with several reports, all their points share the rows.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    data = scores_data(checks)
    names = list(dict.fromkeys(data["check"]))
    ax = create_axes(
        ax,
        title="Checks against their thresholds",
        x="value relative to its threshold (1 = just passes, right is better)",
        y="check",
        size=(9.5, 1.6 + 0.34 * max(3, len(names))),
        loc="left",
    )
    if data.empty:
        return show_empty(ax, "no checks")
    data["row"] = data["check"].map({name: row for row, name in enumerate(names)})
    ax.axvline(1.0, color=ink(ax), linewidth=1.2, alpha=0.7)
    if data["warned"].notna().any():
        ax.scatter(
            data["warned"],
            data["row"],
            marker="|",
            s=90,
            color=OUTCOME_COLORS["warned"],
            label="warning begins",
        )
    for outcome, group in data.groupby("outcome", observed=True):
        _draw_outcome(ax, str(outcome), group)
    _write_texts(ax, data, repeated=len(names) < len(data))
    ax.set_yticks(range(len(names)), shortened(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(-0.05, BEST + 0.06)
    grid(ax, "x")
    legend_above(ax)
    return ax


def _draw_outcome(ax: Axes, outcome: str, group: pd.DataFrame) -> None:
    color = OUTCOME_COLORS[outcome]
    ax.hlines(
        group["row"],
        group["low"],
        group["high"],
        color=color,
        linewidth=2.5,
        alpha=0.55,
    )
    placed = group[group["place"].notna()]
    marker = MARKERS.get(outcome, "s")
    if len(placed):
        ax.scatter(
            placed["place"],
            placed["row"],
            s=46,
            marker=marker,
            color=color,
            label=outcome,
            zorder=3,
        )


def _write_texts(ax: Axes, data: pd.DataFrame, *, repeated: bool) -> None:
    shown = data[data["place"].isna()] if repeated else data
    for row in shown.drop_duplicates("row").itertuples():
        write_beside(ax, float(str(row.row)), str(row.text))
