"""What callers may give: durations, numbers, ids and texts, checked at the door."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import InvalidJobError

if TYPE_CHECKING:
    from collections.abc import Iterable

Seconds = float | int | timedelta


def to_timedelta(value: Seconds | None, name: str) -> timedelta | None:
    """Return a duration given as seconds or timedelta.

    Raises
    ------
    InvalidJobError
        It is negative, or no duration.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        raise InvalidJobError(
            f"{name} is {value!r}; give seconds as a number, or a timedelta."
        )
    try:
        duration = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (OverflowError, ValueError) as error:
        raise InvalidJobError(
            f"{name} is {value!r}; give seconds as a finite number, or a timedelta."
        ) from error
    if duration < timedelta(0):
        raise InvalidJobError(f"{name} is {value!r}; it must not be negative.")
    return duration


def to_patience(value: Seconds | None, name: str = "timeout") -> float | None:
    """Return how long to wait, in seconds; ``None`` and infinity have no end.

    Raises
    ------
    InvalidJobError
        It is negative, or no duration.
    """
    if value is None or value == math.inf:
        return None
    duration = to_timedelta(value, name)
    return None if duration is None else duration.total_seconds()


# Values of any type arrive from notebooks, whatever the annotations of callers say.
def to_count(value: Any, name: str, *, least: int = 1, most: int | None = None) -> int:
    """Return a whole number within bounds.

    Raises
    ------
    InvalidJobError
        It is no whole number, or out of bounds.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and value >= least and (most is None or value <= most):
        return int(value)
    bounds = f"{least} or more" if most is None else f"between {least} and {most}"
    raise InvalidJobError(f"{name} is {value!r}; it must be a whole number, {bounds}.")


def to_limit(value: int | None, name: str = "limit", *, least: int = 1) -> int | None:
    """Return a whole number, or ``None`` for no limit.

    Raises
    ------
    InvalidJobError
        It is no whole number, or too small.
    """
    return None if value is None else to_count(value, name, least=least)


def to_id(value: object, what: str = "job") -> str:
    """Return an id as it is.

    Raises
    ------
    InvalidJobError
        It is no text, or empty.
    """
    if isinstance(value, str) and value:
        return value
    raise InvalidJobError(f"{value!r} is not the id of a {what}; ids are texts.")


def to_texts(value: Iterable[str], name: str) -> tuple[str, ...]:
    """Return several texts as a tuple.

    Raises
    ------
    InvalidJobError
        It is one text, which would be taken apart, or holds something else.
    """
    given: Any = value
    if not isinstance(given, str | bytes):
        try:
            texts = tuple(given)
        except TypeError:
            texts = (None,)
        if all(isinstance(text, str) for text in texts):
            return texts
    raise InvalidJobError(f"{name} is {value!r}; give a list of texts.")
