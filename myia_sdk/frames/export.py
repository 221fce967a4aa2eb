"""Frames out of the notebook: CSV that a spreadsheet will not execute."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pandas as pd
from pandas.api.types import is_object_dtype, is_string_dtype

from myia_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any

#: A cell that begins with one of these is a formula to Excel, LibreOffice or Google
#: Sheets (OWASP, "CSV Injection"); tab and carriage return hide one behind a blank.
FORMULA_STARTS = (
    *("=", "+", "-", "@", "\t", "\r", "\n"),
    *("\uff1d", "\uff0b", "\uff0d", "\uff20"),
)
ESCAPE = "'"


def defuse_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy whose texts no spreadsheet takes for a formula.

    Job names, reasons and labels are written by anybody who may submit. A text that
    begins like a formula gets an apostrophe in front, which spreadsheets show as plain
    text; so does a text that already begins with apostrophe and formula sign, so that
    :func:`restore_formulas` is its exact inverse. Numbers and times are left alone.

    Parameters
    ----------
    frame : pandas.DataFrame
        Any frame; it is not changed.

    Examples
    --------
    >>> frame = pd.DataFrame({"reason": ["=1+1", "timed out"]})
    >>> list(defuse_formulas(frame)["reason"])
    ["'=1+1", 'timed out']
    """
    return _map_texts(frame, _defused)


def restore_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Undo :func:`defuse_formulas`, for a CSV that is read back into pandas."""
    return _map_texts(frame, _restored)


def write_csv(
    frame: pd.DataFrame, path: str | os.PathLike[str], *, index: bool = False
) -> None:
    """Write a CSV file that is safe to open in a spreadsheet.

    Times are written as ISO 8601, durations as pandas writes them; CSV keeps no types,
    so use ``frame.to_parquet`` where they matter.

    Parameters
    ----------
    frame : pandas.DataFrame
        What to write.
    path : str or path-like
        The file; it is replaced.
    index : bool, default False
        Whether to write the index too; frames of the SDK carry nothing in it.
    """
    # Python 3.11 leaves a lone carriage return unquoted, and spreadsheets take what
    # follows it for a new cell: all texts are quoted.
    defuse_formulas(frame).to_csv(path, index=index, quoting=csv.QUOTE_NONNUMERIC)


def write_excel(
    frame: pd.DataFrame, path: str | os.PathLike[str], *, sheet: str = "myia"
) -> None:
    """Write an Excel file (needs ``openpyxl``); formulas stay text.

    Excel knows no time zones and no missing integers: times are written as naive UTC
    under the same names, durations as seconds under ``<name>_s``.

    Parameters
    ----------
    frame : pandas.DataFrame
        What to write.
    path : str or path-like
        The file; it is replaced.
    sheet : str, default "myia"
        Name of the sheet.
    """
    flat = defuse_formulas(frame)
    for name in frame.columns:
        values = frame[name]
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            flat[name] = values.dt.tz_localize(None)
        elif pd.api.types.is_timedelta64_dtype(values.dtype):
            flat[name] = values.dt.total_seconds()
            flat = flat.rename(columns={name: f"{name}_s"})
    flat.to_excel(path, index=False, sheet_name=sheet)


def _map_texts(frame: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise ConfigurationError(
            f"A {type(frame).__name__} is no DataFrame; give one, as of client.jobs()."
        )
    out = frame.copy()
    for position, dtype in enumerate(frame.dtypes):
        values = frame.iloc[:, position]
        if isinstance(dtype, pd.CategoricalDtype):
            out.isetitem(position, values.cat.rename_categories(change).array)
        elif is_string_dtype(dtype) or is_object_dtype(dtype):
            changed = values.map(change, na_action="ignore").astype(dtype)
            out.isetitem(position, changed.array)
    return out.rename(columns=change)


def _defused(value: object) -> object:
    if isinstance(value, str) and _bare(value).startswith(FORMULA_STARTS):
        return ESCAPE + value
    return value


def _restored(value: object) -> object:
    if (
        isinstance(value, str)
        and value.startswith(ESCAPE)
        and _bare(value).startswith(FORMULA_STARTS)
    ):
        return value[1:]
    return value


def _bare(value: str) -> str:
    return value.lstrip(ESCAPE + " ")
