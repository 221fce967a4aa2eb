"""What a column of a frame is, and how records become arrays of its exact dtype."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from myia_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Dtype: TypeAlias = "str | pd.CategoricalDtype"
#: numpy's and pandas' arrays have no base in common.
Array: TypeAlias = Any

TEXT = "str"
INTEGER = "Int64"
NUMBER = "Float64"
FLAG = "boolean"
TIME = "datetime64[us, UTC]"
SPAN = "timedelta64[us]"

#: pandas 3 has a text dtype of its own; pandas 2 answers ``object`` here.
_TEXT_DTYPE = pd.Series([], dtype="str").dtype


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame."""

    #: Name in the frame.
    name: str
    #: Exact dtype, also with zero rows.
    dtype: Dtype
    #: Reads the value from one record; ``None`` means missing.
    getter: Callable[[Any], object]
    #: One line for the table of columns.
    doc: str
    #: Only present when asked for by name: payloads, results, long texts.
    opt_in: bool = False


C = TypeVar("C", bound=Column)


def ordered(categories: Iterable[str]) -> pd.CategoricalDtype:
    """Return an ordered categorical dtype of all the words, lowest first."""
    return pd.CategoricalDtype([str(word) for word in categories], ordered=True)


def choose(
    columns: Sequence[C], names: Sequence[str] | None, *, frame: str
) -> tuple[C, ...]:
    """Return the columns called for, in the order asked.

    Parameters
    ----------
    columns : sequence of Column
        The table of the frame.
    names : sequence of str, optional
        Names wanted; the default is every column that is not opt-in. The identity
        column, the first of the table, always comes first.
    frame : str
        Name of the frame, for the error.

    Raises
    ------
    ConfigurationError
        A name is not in the table.
    """
    if names is None:
        return tuple(column for column in columns if not column.opt_in)
    known = {column.name: column for column in columns}
    unknown = [name for name in names if name not in known]
    if unknown:
        msg = (
            f"The {frame} frame has no column {unknown[0]!r}; "
            f"choose from {', '.join(known)}."
        )
        raise ConfigurationError(msg)
    wanted = dict.fromkeys((columns[0].name, *names))
    return tuple(known[name] for name in wanted)


def build_frame(
    records: Sequence[Any],
    columns: Sequence[Column],
    *,
    as_of: datetime | None = None,
    truncated: bool = False,
) -> pd.DataFrame:
    """Turn records into a frame; zero records give the same columns and dtypes.

    Parameters
    ----------
    records : sequence
        What the getters of the columns read.
    columns : sequence of Column
        Chosen columns.
    as_of : datetime, optional
        When the records were read; now when not given.
    truncated : bool, default False
        Whether more records existed than were read.
    """
    arrays = {
        column.name: array_of([column.getter(record) for record in records], column)
        for column in columns
    }
    return frame_of(arrays, as_of=as_of, truncated=truncated)


def frame_of(
    arrays: Mapping[str, Array],
    *,
    as_of: datetime | None = None,
    truncated: bool = False,
) -> pd.DataFrame:
    """Put ready arrays side by side and note when and how fully they were read."""
    frame = pd.DataFrame(dict(arrays), copy=False)
    return annotate(frame, as_of=as_of, truncated=truncated)


def annotate(
    frame: pd.DataFrame, *, as_of: datetime | None, truncated: bool
) -> pd.DataFrame:
    """Set ``attrs``: ``as_of`` as ISO 8601 text (JSON keeps it), and ``truncated``."""
    frame.attrs["as_of"] = (as_of or datetime.now(UTC)).isoformat()
    frame.attrs["truncated"] = truncated
    return frame


def array_of(values: Sequence[object], column: Column) -> Array:
    """Turn Python values into an array of the column's dtype."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return categories_of(values, column.dtype)
    if column.dtype == TEXT:
        return texts_of(values)
    if column.dtype == TIME:
        return _times(values)
    if column.dtype == SPAN:
        return pd.array(
            np.array(values, dtype="timedelta64[us]"), dtype="timedelta64[us]"
        )
    return pd.array(values, dtype=column.dtype)  # type: ignore[call-overload]  # three literals


def texts_of(values: Sequence[object]) -> Array:
    """Turn texts and ``None`` into an array of pandas' text dtype."""
    texts: Any = values
    return pd.Series(texts, dtype=_TEXT_DTYPE).array


def categories_of(
    values: Sequence[object], dtype: pd.CategoricalDtype
) -> pd.Categorical:
    """Turn words into a categorical; a word that is no category becomes missing."""
    codes: dict[object, int] = {word: i for i, word in enumerate(dtype.categories)}
    return pd.Categorical.from_codes(
        [codes.get(value, -1) for value in values], dtype=dtype
    )


def _times(values: Sequence[object]) -> Array:
    naive = [
        value.astimezone(UTC).replace(tzinfo=None)
        if isinstance(value, datetime)
        else None
        for value in values
    ]
    return utc_times(np.array(naive, dtype="datetime64[us]"))


def utc_times(instants: Array) -> pd.DatetimeIndex:
    """Declare an array of ``datetime64`` to be UTC, in microseconds."""
    return pd.DatetimeIndex(instants.astype("datetime64[us]")).tz_localize("UTC")
