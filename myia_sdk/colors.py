"""One palette for plots and panels, chosen to be told apart by everybody.

Every colour has a contrast of at least 3:1 against white and against ``#111111``, so
it is seen in light and dark notebooks, and the members of one table stay apart under
simulated protanopia, deuteranopia and tritanopia; ``tests/unit/test_colors.py``
measures both. Colour is never the only cue: plots and panels write the word beside it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

GREEN = "#1B9E77"
AMBER = "#BD8400"
RED = "#C64B37"
VIOLET = "#A45FD6"
SLATE = "#5E6773"
BLUE = "#1361D4"

#: By state of a job.
STATE_COLORS: Mapping[str, str] = MappingProxyType(
    {
        "waiting-children": "#DB4F96",
        "delayed": "#CA7309",
        "prioritized": "#A078C5",
        "waiting": "#5B666E",
        "active": BLUE,
        "completed": GREEN,
        "failed": RED,
    }
)

#: By outcome of a check.
OUTCOME_COLORS: Mapping[str, str] = MappingProxyType(
    {
        "passed": GREEN,
        "warned": AMBER,
        "failed": RED,
        "error": VIOLET,
        "skipped": SLATE,
    }
)

#: By verdict of a certification.
VERDICT_COLORS: Mapping[str, str] = MappingProxyType(
    {"certified": GREEN, "quality_warning": AMBER, "failed": RED}
)

#: By what came out of a finished job: its verdict, or why it has none.
RESULT_COLORS: Mapping[str, str] = MappingProxyType(
    {**VERDICT_COLORS, "no verdict": SLATE, "not measured": VIOLET}
)

#: For series without a meaning of their own, in the order of use.
SERIES_COLORS: tuple[str, ...] = (
    BLUE,
    "#CA7309",
    GREEN,
    "#A078C5",
    "#DB4F96",
    "#5B666E",
)


def text_color_on(background: str) -> str:
    """Return black or white, whichever reads better on a colour.

    Parameters
    ----------
    background : str
        ``#rrggbb``.

    Examples
    --------
    >>> text_color_on("#1B9E77"), text_color_on("#1361D4")
    ('#000000', '#ffffff')
    """
    luminance = relative_luminance(background)
    on_white, on_black = 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05
    return "#ffffff" if on_white > on_black else "#000000"


def relative_luminance(color: str) -> float:
    """Return the relative luminance of ``#rrggbb`` as WCAG 2 defines it, 0 to 1."""
    red, green, blue = (
        _linear(int(color[start : start + 2], 16) / 255) for start in (1, 3, 5)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    if channel <= 0.04045:  # noqa: PLR2004 - sRGB's linear part, IEC 61966-2-1
        return channel / 12.92
    return float(((channel + 0.055) / 1.055) ** 2.4)
