"""Raw hash fields of many jobs, turned column by column into arrays.

Values mean what `Job.from_hash` makes of them, a test compares both; a field that makes
no sense gets the same default, and its row is remembered as malformed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from myia_sdk.frames.columns import Array, categories_of, texts_of, utc_times
from myia_sdk.queue.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.queue.listing import JobTable

T = TypeVar("T")

MISSING = np.iinfo(np.int64).min
#: ``datetime`` ends with year 9999; epoch milliseconds beyond it are malformed.
LAST_MS = 253_402_300_799_999
FIRST_MS = -62_135_596_800_000
MAX_SPAN_MS = 2**53
PERCENT = 100.0


class HashReader:
    """Reads the columns of a table of raw job hashes.

    Parameters
    ----------
    table : JobTable
        Raw fields of the jobs.
    """

    def __init__(self, table: JobTable) -> None:
        self.table = table
        #: Rows in which a field could not be read, filled while columns are read.
        self.malformed: set[int] = set()

    def texts(self, name: str) -> Array:
        """Return a field as text, missing where it is not set."""
        return texts_of(self.table.fields[name])

    def words(self, name: str, dtype: pd.CategoricalDtype) -> pd.Categorical:
        """Return a field as categorical; unknown words are missing."""
        return categories_of(self.table.fields[name], dtype)

    def naturals(self, name: str) -> Array:
        """Return a field as integers of zero or more; zero where it is not set."""
        values = np.maximum(self._integers(name, 0), 0)
        return pd.arrays.IntegerArray(values, np.zeros(len(values), dtype=bool))

    def numbers(self, name: str) -> Array:
        """Return a field as numbers, missing where it is not set or not a number."""
        found = [_finite(text) for text in self.table.fields[name]]
        return pd.array(found, dtype="Float64")

    def times(self, name: str) -> pd.DatetimeIndex:
        """Return a field of epoch milliseconds as UTC times."""
        return utc_times(self.instants(name))

    def instants(self, name: str) -> Array:
        """Return a field of epoch milliseconds as ``datetime64[us]``."""
        values = self._integers(name, MISSING)
        absurd = (values != MISSING) & ((values > LAST_MS) | (values < FIRST_MS))
        self.malformed.update(np.flatnonzero(absurd).tolist())
        missing = absurd | (values == MISSING)
        return np.where(missing, MISSING, values * 1000 * ~missing).view(
            "datetime64[us]"
        )

    def spans(self, name: str) -> Array:
        """Return a field of milliseconds as durations; zero where it is not set."""
        values = np.clip(self._integers(name, 0), 0, MAX_SPAN_MS) * 1000
        return pd.array(values.view("timedelta64[us]"), dtype="timedelta64[us]")

    def between(self, start: str, end: str) -> Array:
        """Return the durations from one time field to another."""
        span = self.instants(end) - self.instants(start)
        return pd.array(span, dtype="timedelta64[us]")

    def percents(self, name: str) -> Array:
        """Return a progress field as percent."""
        unset: float | None = 0.0
        return pd.array(self._parsed(name, _percent_text, unset), dtype="Float64")

    def max_attempts(self, name: str) -> Array:
        """Return how often a job may run, from its options."""
        return pd.array(self._parsed(name, _max_attempts, 1), dtype="Int64")

    def flags(self) -> Array:
        """Return which rows were malformed in the columns read so far."""
        flags = np.zeros(len(self.table), dtype=bool)
        flags[list(self.malformed)] = True
        return pd.arrays.BooleanArray(flags, np.zeros(len(flags), dtype=bool))

    def _integers(self, name: str, default: int) -> Array:
        values = self.table.fields[name]
        try:
            numbers = pa.array(values, pa.string()).cast(pa.int64())
        except pa.ArrowInvalid:
            return self._integers_one_by_one(name, default)
        return numbers.fill_null(default).to_numpy(zero_copy_only=False)

    def _integers_one_by_one(self, name: str, default: int) -> Array:
        return np.array(self._parsed(name, _integer, default), dtype=np.int64)

    def _parsed(self, name: str, parse: Callable[[str], T], default: T) -> list[T]:
        """Parse each distinct text once; what is not set or raises is the default."""
        known: dict[str | None, T] = {None: default}
        wrong: set[str] = set()
        for text in set(self.table.fields[name]) - {None}:
            try:
                known[text] = parse(str(text))
            except (ValueError, RecursionError, OverflowError):
                known[text] = default
                wrong.add(str(text))
        values = self.table.fields[name]
        if wrong:
            self.malformed.update(i for i, text in enumerate(values) if text in wrong)
        return [known[text] for text in values]


def percent_of(progress: object) -> float | None:
    """Return a job's progress as percent, ``None`` when it is not a number.

    Huey tasks report a fraction of 1, Bull's a percentage, certifications an object
    with ``percent``: a number with a decimal point from 0 to 1 is taken as fraction.

    Examples
    --------
    >>> percent_of(0.25), percent_of(25), percent_of({"percent": 25.0}), percent_of("x")
    (25.0, 25.0, 25.0, None)
    """
    if isinstance(progress, dict):
        inner = progress.get("percent")
        if isinstance(inner, bool) or not isinstance(inner, int | float):
            return None
        return _clipped(float(inner))
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    is_fraction = isinstance(progress, float) and 0.0 <= progress <= 1.0
    return _clipped(progress * PERCENT if is_fraction else float(progress))


def _clipped(percent: float) -> float:
    return min(max(percent, 0.0), PERCENT)


def _percent_text(text: str) -> float | None:
    return percent_of(json.loads(text, parse_constant=_refuse_constant))


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _integer(text: str) -> int:
    number = int(float(text))
    if abs(number) > 2**62:
        raise OverflowError(text)
    return number


def _max_attempts(text: str) -> int:
    return JobOptions.from_json(text).max_attempts


def _finite(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if np.isfinite(number) else None
