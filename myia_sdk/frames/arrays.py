"""Raw hash fields of many jobs, turned column by column into arrays.

Values mean what `Job.from_hash` makes of them, a test compares both; a field that makes
no sense gets the same default, and its row is remembered as malformed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from myia_sdk.frames.columns import Array, categories_of, texts_of, utc_times
from myia_sdk.queue.jobs import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.queue.store.hashes import JobTable

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MISSING = np.iinfo(np.int64).min
#: ``datetime`` ends with year 9999; epoch milliseconds beyond it are malformed.
LAST_MS = 253_402_300_799_999
FIRST_MS = -62_135_596_800_000
MAX_SPAN_MS = 2**53
#: Integers are cut here, to fit into 64 bits.
LARGEST = 2**62
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
        values = np.maximum(self._integers(name), 0)
        return pd.arrays.IntegerArray(values, np.zeros(len(values), dtype=bool))

    def numbers(self, name: str) -> Array:
        """Return a field as numbers, missing where it is not set or not a number."""
        found = [finite(text) for text in self.table.fields[name]]
        return pd.array(found, dtype="Float64")

    def times(self, name: str) -> pd.DatetimeIndex:
        """Return a field of epoch milliseconds as UTC times."""
        return utc_times(self.instants(name))

    def instants(self, name: str) -> Array:
        """Return a field of epoch milliseconds as ``datetime64[us]``."""
        values = self._whole(name)
        if values is None:
            found = self._parsed(name, _microseconds, MISSING)
            return np.array(found, dtype=np.int64).view("datetime64[us]")
        ms = values.fill_null(MISSING).to_numpy(zero_copy_only=False)
        is_missing = ms == MISSING
        is_absurd = ~is_missing & ((ms > LAST_MS) | (ms < FIRST_MS))
        self.malformed.update(np.flatnonzero(is_absurd).tolist())
        micros = np.where(is_missing | is_absurd, 0, ms) * 1000
        return np.where(is_missing | is_absurd, MISSING, micros).view("datetime64[us]")

    def spans(self, name: str) -> Array:
        """Return a field of milliseconds as durations; zero where it is not set."""
        values = np.clip(self._integers(name), 0, MAX_SPAN_MS) * 1000
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

    def last_traces(self, name: str) -> Array:
        """Return the last stack trace of each job."""
        unset: str | None = None
        return texts_of(self._parsed(name, _last_trace, unset))

    def flags(self) -> Array:
        """Return which rows were malformed in the columns read so far."""
        flags = np.zeros(len(self.table), dtype=bool)
        flags[list(self.malformed)] = True
        return pd.arrays.BooleanArray(flags, np.zeros(len(flags), dtype=bool))

    def _integers(self, name: str) -> Array:
        """Return a field as ``int64``; zero where it is not set or malformed."""
        whole = self._whole(name)
        if whole is None:
            return np.array(self._parsed(name, _integer, 0), dtype=np.int64)
        return whole.fill_null(0).to_numpy(zero_copy_only=False)

    def _whole(self, name: str) -> pa.Int64Array | None:
        """Return a field as integers, ``None`` when some text is anything else."""
        texts = pa.array(self.table.fields[name], pa.string())
        # Arrow reads 0x1 as 1, Python's float and JavaScript's parseInt do not.
        if pc.any(pc.match_substring(texts, "x", ignore_case=True)).as_py():
            return None
        try:
            return texts.cast(pa.int64())
        except pa.ArrowInvalid:
            return None

    def _parsed(self, name: str, parse: Callable[[str], T], default: T) -> list[T]:
        """Parse each distinct text once; what is not set or raises is the default."""
        known: dict[str | None, T] = {None: default}
        wrong: set[str] = set()
        for text in set(self.table.fields[name]) - {None}:
            try:
                known[text] = parse(str(text))
            except (ValueError, RecursionError, OverflowError, OSError):
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


def _last_trace(text: str) -> str | None:
    traces = json.loads(text, parse_constant=_refuse_constant)
    found = traces if isinstance(traces, list) else []
    return next((item for item in reversed(found) if isinstance(item, str)), None)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _integer(text: str) -> int:
    return min(max(int(float(text)), -LARGEST), LARGEST)


def _microseconds(text: str) -> int:
    moment = datetime.fromtimestamp(float(text) / 1000, UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def _max_attempts(text: str) -> int:
    return min(JobOptions.from_json(text).max_attempts, LARGEST)


def finite(text: str | None) -> float | None:
    """Return the number a text holds, ``None`` when it is none or not finite."""
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if np.isfinite(number) else None
