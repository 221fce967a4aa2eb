"""Tables on disk, larger than memory: only what is asked for is read.

A file is rewritten once, batch by batch, in Arrow's own format, which the system then
maps into memory: rows and columns are found without reading the rest.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from myia_sdk.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Tables of fewer bytes are data frames: a notebook has some GB.
SMALL_BYTES = 256 << 20
#: Rows read, predicted or written at once.
BATCH_ROWS = 100_000
#: Bytes of a text file by which the types of its columns are told.
_BLOCK_BYTES = 16 << 20
#: What is tried for a column whose later values do not fit, and how often.
_WIDER = {"null": pa.float64(), "int64": pa.float64()}
_MOST_PASSES = 100
_COLUMN = re.compile(r"In CSV column #(\d+)")
#: What ``pandas.read_csv`` takes for missing, as its documentation lists it.
_MISSING = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan"),
    *("1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None"),
    *("n/a", "nan", "null"),
]


class MappedTable:
    """A table on disk that looks like a data frame as far as checks need.

    Parameters
    ----------
    table : pyarrow.Table
        Mapped into memory.
    """

    ndim = 2

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        empty = _to_frame(table.slice(0, 0))
        #: Numbers with gaps are floats in every part, as in the whole.
        self._types = {
            name: float if pa.types.is_integer(kind) else object
            for name, kind in zip(table.column_names, table.schema.types, strict=True)
            if (pa.types.is_integer(kind) or pa.types.is_boolean(kind))
            and table.column(name).null_count
            and not pd.api.types.is_extension_array_dtype(empty[name].dtype)
        }
        self._empty = empty.astype(self._types)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self._table.num_rows, self._table.num_columns

    @property
    def columns(self) -> pd.Index:
        """Names of the columns."""
        return self._empty.columns

    @property
    def dtypes(self) -> pd.Series:
        """Type of each column."""
        return self._empty.dtypes

    @property
    def nbytes(self) -> int:
        """Size as it is on disk, bytes."""
        return int(self._table.nbytes)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def take(self, rows: np.ndarray) -> pd.DataFrame:
        """Return the rows at these positions, or where a mask is true."""
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        is_range = len(rows) and np.array_equal(
            rows, np.arange(rows[0], rows[0] + len(rows))
        )
        if is_range:
            return self._frame(self._table.slice(int(rows[0]), len(rows)))
        return self._frame(self._table.take(pa.array(rows)))

    def column(self, position: int) -> np.ndarray:
        """Return one column; texts that are equal are one object."""
        column = self._table.column(position)
        if _is_text(column.type):
            coded = column.dictionary_encode().combine_chunks()
            known = np.asarray([*coded.dictionary.to_pylist(), np.nan], dtype=object)
            return np.asarray(known[coded.indices.fill_null(len(known) - 1).to_numpy()])
        return np.asarray(self._frame(self._table.select([position])).iloc[:, 0])

    def select(self, positions: Sequence[int]) -> MappedTable:
        """Return some of the columns, in this order."""
        return MappedTable(self._table.select(list(positions)))

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the rows in order, so many at a time."""
        for start in range(0, len(self), BATCH_ROWS):
            yield self._frame(self._table.slice(start, BATCH_ROWS))

    def frame(self) -> pd.DataFrame:
        """Return all rows in memory."""
        return self._frame(self._table)

    def write(
        self, path: Path, marks: bytes, key: bytes, extra: dict[str, np.ndarray]
    ) -> None:
        """Write a Parquet file, with more columns and a mark in its metadata."""
        schema = self._table.schema
        for name, values in extra.items():
            schema = schema.append(pa.field(name, _arrow_of(name, values).type))
        schema = schema.with_metadata({**(schema.metadata or {}), key: marks})
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for start in range(0, len(self), BATCH_ROWS):
                part = self._table.slice(start, BATCH_ROWS)
                for name, values in extra.items():
                    column = _arrow_of(name, values[start : start + BATCH_ROWS])
                    part = part.append_column(name, column)
                writer.write_table(part.cast(schema))

    def _frame(self, table: pa.Table) -> pd.DataFrame:
        frame = _to_frame(table)
        wanted = {name: kind for name, kind in self._types.items() if name in frame}
        return with_nan(frame.astype(wanted) if wanted else frame)


def read_file(path: Path) -> MappedTable:
    """Map a Parquet or CSV file.

    Raises
    ------
    DatasetError
        It is another kind of file, or cannot be read.
    """
    readers = {".parquet": map_parquet, ".csv": _map_csv}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise DatasetError(f"The data file {path} must be a .parquet or a .csv file.")
    try:
        return read(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
        raise DatasetError(f"The data file {path} cannot be read: {exc}") from exc


def map_parquet(path: Path) -> MappedTable:
    """Map a Parquet file.

    Raises
    ------
    pyarrow.ArrowException, OSError
        It cannot be read.
    """
    with pq.ParquetFile(path) as file:
        schema = _without_index(file.schema_arrow)
        coded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        # Categories must be the same in all batches, so their codes come at once.
        codes = file.read(columns=coded).unify_dictionaries() if coded else None
        return _mapped(schema, _parquet_batches(file, schema, codes))


def _parquet_batches(
    file: pq.ParquetFile, schema: pa.Schema, codes: pa.Table | None
) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=schema.names):
        if codes is None:
            yield batch.select(schema.names).replace_schema_metadata(schema.metadata)
        else:
            rows = codes.slice(start, batch.num_rows).combine_chunks()
            columns = [
                _one_chunk(rows, name)
                if name in codes.column_names
                else batch.column(name)
                for name in schema.names
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
        start += batch.num_rows


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _one_chunk(rows: pa.Table, name: str) -> pa.Array:
    column = rows.column(name)
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _map_csv(path: Path) -> MappedTable:
    """Map a text file; where later values do not fit its columns' types, again."""
    types: dict[str, pa.DataType] = {}
    for _ in range(_MOST_PASSES):
        with _open_csv(path, types) as reader:
            schema = reader.schema
            # Days and times are texts, as for ``pandas.read_csv``.
            times = {
                field.name: pa.string()
                for field in schema
                if pa.types.is_temporal(field.type)
            }
            _require_texts(schema, path)
            if times:
                types |= times
                continue
            try:
                return _mapped(
                    _named(schema), (_plain(each, schema) for each in reader)
                )
            except pa.ArrowInvalid as exc:
                found = _COLUMN.search(str(exc))
                if found is None:
                    raise
                name = schema.names[int(found[1])]
                kind = schema.field(name).type
                if pa.types.is_string(kind):
                    raise
                types[name] = _WIDER.get(str(kind), pa.string())
    raise DatasetError(f"The types of the columns of {path} cannot be told.")


def _require_texts(schema: pa.Schema, path: Path) -> None:
    for field in schema:
        if pa.types.is_binary(field.type):
            raise DatasetError(
                f"The data file {path} cannot be read: the column {field.name!r} is "
                "not in UTF-8; save it so."
            )


def _open_csv(path: Path, types: dict[str, pa.DataType]) -> pc.CSVStreamingReader:
    return pc.open_csv(
        path,
        read_options=pc.ReadOptions(block_size=_BLOCK_BYTES),
        convert_options=pc.ConvertOptions(
            column_types=types, null_values=_MISSING, strings_can_be_null=True
        ),
    )


def _named(schema: pa.Schema) -> pa.Schema:
    """Name a column without a name, as ``pandas.read_csv`` does: a written index."""
    fields = [
        field if field.name else field.with_name(f"Unnamed: {place}")
        for place, field in enumerate(schema)
    ]
    return pa.schema(
        [
            field.with_type(pa.float64()) if pa.types.is_null(field.type) else field
            for field in fields
        ]
    )


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    named = _named(schema)
    columns = [
        column.cast(field.type)
        for column, field in zip(batch.columns, named, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=named)


def _mapped(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> MappedTable:
    """Write batches to a file that lives as long as the table."""
    handle, name = tempfile.mkstemp(prefix="myia-table-", suffix=".arrow")
    try:
        with os.fdopen(handle, "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        table = pa.ipc.open_file(pa.memory_map(name)).read_all()
    finally:
        # What is mapped stays until nobody needs it, whatever ends this process.
        Path(name).unlink()
    return MappedTable(table)


def _without_index(schema: pa.Schema) -> pa.Schema:
    """Leave out the index that pandas wrote beside the columns."""
    metadata = dict(schema.metadata or {})
    notes = json.loads(metadata.get(b"pandas", b"{}"))
    index = [name for name in notes.get("index_columns", ()) if isinstance(name, str)]
    if b"pandas" in metadata:
        notes["index_columns"] = []
        metadata[b"pandas"] = json.dumps(notes).encode()
    kept = [field for field in schema if field.name not in index]
    return pa.schema(kept, metadata=metadata)


def with_nan(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose truth values with gaps have NaN there, as pandas reads them.

    Arrow makes them None, which scikit-learn takes for a category of its own.
    """
    objects = frame.columns[
        [getattr(dtype, "kind", "") == "O" for dtype in frame.dtypes]
    ]
    for name in objects:
        if frame[name].isna().any():
            frame[name] = frame[name].where(frame[name].notna(), np.nan)
    return frame


def _to_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame.reset_index(drop=True)


def _arrow_of(name: str, values: np.ndarray) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
        raise DatasetError(
            f"The column {name!r} cannot be written as Parquet: {exc}. Give it one "
            "type."
        ) from exc
