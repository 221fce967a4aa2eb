"""What every plot shares: its Axes, its empty state, its time axis, its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from myia_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType

#: What became of a finished job, worst last; keys of ``RESULT_COLORS``.
RESULTS = ("certified", "quality_warning", "failed", "no verdict", "not measured")
NO_NAME = "(none)"
#: Widths of a bin that people read without thinking.
BINS = tuple(
    pd.Timedelta(text)
    for text in (
        *("100ms", "500ms", "1s", "5s", "10s", "30s", "1min", "5min", "15min"),
        *("30min", "1h", "3h", "6h", "12h", "1D", "7D", "28D"),
    )
)
MAX_BINS = 40
DAY = pd.Timedelta("1D")
HOUR = pd.Timedelta("1h")
MINUTE = pd.Timedelta("1min")


def expect(frame: object, source: str, *columns: str) -> None:
    """Refuse what is not a frame with these columns, and say what gives one.

    Raises
    ------
    ConfigurationError
        It is no frame, or lacks a column.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ConfigurationError(
            f"A plot takes a DataFrame, such as {source} returns; this is a "
            f"{type(frame).__name__}."
        )
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ConfigurationError(
            f"The frame to plot lacks {', '.join(missing)}; {source} gives a frame "
            "with what is needed, if columns= is left out."
        )


def create_axes(
    ax: Axes | None,
    *,
    title: str,
    x: str,
    y: str,
    size: tuple[float, float] = (8, 4),
    loc: Literal["left", "center"] = "center",
) -> Axes:
    """Return the Axes to draw on, titled and labelled.

    A new figure is made only when none is given. Global style is read, never written:
    whatever style the notebook has, light or dark, stays in charge of background and
    text.
    """
    if ax is None:
        from matplotlib import pyplot as plt

        _, ax = plt.subplots(figsize=size, layout="constrained")
    ax.set_title(title, loc=loc)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def ink(ax: Axes) -> ColorType:
    """Colour of the text of this Axes: what its style chose to be readable."""
    return ax.xaxis.label.get_color()


def write_beside(ax: Axes, row: float, text: str) -> None:
    """Write right of the plot, at a place of the y axis."""
    ax.annotate(
        text,
        (1.0, row),
        xycoords=("axes fraction", "data"),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
        color=ink(ax),
    )


def legend_beside(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Write the legend right of the plot, where it covers nothing."""
    labelled = ax.get_legend_handles_labels()[0] if handles is None else handles
    if labelled:
        ax.legend(
            handles=labelled,
            frameon=False,
            fontsize="small",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
        )


def legend_above(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Write the legend in one line between the plot and its title, which moves up."""
    labelled = ax.get_legend_handles_labels()[0] if handles is None else handles
    if labelled:
        ax.legend(
            handles=labelled,
            frameon=False,
            fontsize="small",
            ncols=len(labelled),
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            borderaxespad=0.1,
            borderpad=0.0,
        )
        ax.set_title(ax.get_title(loc="left"), loc="left", pad=22)


def show_empty(ax: Axes, reason: str) -> Axes:
    """Say in the middle of empty Axes why there is nothing to see."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.text(
        *(0.5, 0.5, reason),
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=ink(ax),
        alpha=0.8,
    )
    return ax


def grid(ax: Axes, axis: str) -> None:
    """Draw faint lines that show on any background."""
    ax.grid(visible=True, axis=axis, color=ink(ax), alpha=0.15, linewidth=0.8)  # type: ignore[arg-type]  # a Literal


def time_axis(ax: Axes) -> None:
    """Write the ticks of the x axis as short dates and times."""
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def log_axis(ax: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers instead of powers of ten."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def naive(times: pd.Series | pd.DatetimeIndex) -> np.ndarray:
    """UTC instants as numpy's own, which matplotlib draws; the axis says UTC."""
    return pd.DatetimeIndex(times).tz_convert("UTC").tz_localize(None).to_numpy()


def nice_bin(start: pd.Timestamp, end: pd.Timestamp) -> pd.Timedelta:
    """Return the smallest width of `BINS` that needs no more than `MAX_BINS`."""
    for width in BINS:
        if (end - start) / width <= MAX_BINS:
            return width
    return BINS[-1]


def words(span: pd.Timedelta) -> str:
    """Return a duration as people say it: ``15 min``, ``1 h``, ``7 d``."""
    seconds = span.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:g} s"


def span_unit(spans: pd.Series) -> tuple[float, str]:
    """Return seconds per unit, and the unit, in which these durations read well."""
    longest = spans.max()
    for span, unit in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if longest >= 3 * span:
            return span.total_seconds(), unit
    return (1.0, "s") if longest >= pd.Timedelta("2s") else (0.001, "ms")


def result_of(jobs: pd.DataFrame) -> pd.Series:
    """Return what became of each job as one of `RESULTS`; missing if unfinished."""
    result = jobs["verdict"].astype(object)
    state = jobs["state"].astype(object)
    result = result.mask(result.isna() & (state == "completed"), "no verdict")
    result = result.mask(jobs["verdict"].isna() & (state == "failed"), "not measured")
    result = result.where(state.isin(["completed", "failed"]), None)
    dtype = pd.CategoricalDtype(list(RESULTS), ordered=True)
    codes = {word: code for code, word in enumerate(RESULTS)}
    found = [codes.get(word, -1) for word in result]
    return pd.Series(pd.Categorical.from_codes(found, dtype=dtype), index=jobs.index)


def label_of(word: str) -> str:
    """Return a word of the data as a label: ``quality_warning`` with a blank."""
    return word.replace("_", " ")


def named(values: pd.Series) -> pd.Series:
    """Return texts with a visible name for what has none."""
    return values.astype(object).where(values.notna() & (values != ""), NO_NAME)


def shortened(names: Iterable[object], longest: int = 28) -> list[str]:
    """Return names cut to what fits beside an axis.

    Cut in the middle: vendors stand first and versions last, and both tell apart.
    """
    texts = [str(name) for name in names]
    head = longest // 2
    tail = longest - head - 1
    return [
        text if len(text) <= longest else f"{text[:head]}…{text[-tail:]}"
        for text in texts
    ]


def seconds_of(spans: pd.Series) -> np.ndarray:
    """Return durations as an array of seconds, missing ones dropped."""
    found: np.ndarray = spans.dropna().dt.total_seconds().to_numpy(dtype=np.float64)
    return found
