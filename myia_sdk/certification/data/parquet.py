"""Datasets as Parquet files: one table of features, truth and groups.

What cannot be told from the table itself (which columns are no features, whether the
features were an array) stands in the file's own metadata, so a file written by
anybody else is read as well: all its columns but the target are features.
"""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from myia_sdk.certification.data.datasets import Dataset
from myia_sdk.certification.data.features import Features, frame_of
from myia_sdk.certification.data.tables import (
    SMALL_BYTES,
    MappedTable,
    map_parquet,
    with_nan,
)
from myia_sdk.certification.request import DatasetRef
from myia_sdk.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_METADATA_KEY = b"myia"
_TARGET = "target"
#: Files of fewer bytes are read at once: what they hold is small, or nearly so.
_MAPPED_FROM = 32 << 20
#: Columns that hold a sparse matrix, outside the names that frames have.
_INDICES, _VALUES = "myia:indices", "myia:values"


class Store(Protocol):
    """What keeps the files: the artifact store."""

    def put_bytes(self, content: bytes) -> str:
        """Store bytes and return their digest."""

    def put_file(self, path: Path) -> str:
        """Store the content of a file and return its digest."""

    def size(self, digest: str) -> int:
        """Return the size of a file, bytes."""

    def read_bytes(self, digest: str) -> bytes:
        """Return the content of a file."""

    def local_path(self, digest: str) -> Path:
        """Return a local file with the content."""


def write_dataset(dataset: Dataset, store: Store) -> DatasetRef:
    """Write a dataset and its training data as artifacts."""
    train = None if dataset.train is None else write_dataset(dataset.train, store)
    if dataset.features.is_mapped:
        artifact, target = _write_mapped(dataset, store)
    else:
        content, target = to_parquet(dataset)
        artifact = store.put_bytes(content)
    return DatasetRef(
        artifact=artifact,
        rows=dataset.rows,
        target=target,
        name=dataset.name,
        sensitive=tuple(dataset.sensitive),
        train=train,
    )


def read_dataset(reference: DatasetRef, store: Store) -> Dataset:
    """Read a dataset and its training data; a large one stays on disk."""
    dataset = _read_mapped(reference, store)
    if dataset is None:
        content = store.read_bytes(reference.artifact)
        dataset = from_parquet(content, reference.target, reference.sensitive)
    if reference.train is not None:
        dataset = replace(dataset, train=read_dataset(reference.train, store))
    return replace(dataset, name=reference.name)


def _write_mapped(dataset: Dataset, store: Store) -> tuple[str, str | None]:
    """Store a table that is on disk, batch by batch."""
    table: MappedTable = dataset.X
    names = list(table.columns)
    _require_unique(names)
    columns, target, extra = {}, None, {}
    if dataset.y is not None:
        target = _free_name(dataset.target or _TARGET, names)
        columns[target] = np.asarray(dataset.y)
    for name, values in dataset.sensitive.items():
        given = np.asarray(values)
        if name not in names or not _is_same(table.column(names.index(name)), given):
            extra[name] = _free_name(name, [*names, *columns])
            columns[extra[name]] = given
    marks = {"container": "frame", "target": target, "extra": extra}
    with tempfile.TemporaryDirectory(prefix="myia-dataset-") as folder:
        path = Path(folder, "dataset.parquet")
        table.write(path, json.dumps(marks).encode(), _METADATA_KEY, columns)
        return store.put_file(path), target


def _read_mapped(reference: DatasetRef, store: Store) -> Dataset | None:
    """Read a large file by way of the disk; ``None`` when it is none, or no frame."""
    if store.size(reference.artifact) <= _MAPPED_FROM:
        return None
    path = store.local_path(reference.artifact)
    try:
        metadata = pq.read_schema(path).metadata or {}
        marks = json.loads(metadata.get(_METADATA_KEY, b"{}"))
        if marks.get("container", "frame") != "frame":
            return None
        table = map_parquet(path)
    except (pa.ArrowException, OSError) as exc:
        raise DatasetError(
            f"The dataset is not a readable Parquet file: {exc}"
        ) from exc
    names, extra = list(table.columns), marks.get("extra", {})
    target = reference.target or marks.get("target")
    dropped = {target, *extra.values()}
    kept = table.select([at for at, name in enumerate(names) if name not in dropped])
    return Dataset(
        X=kept.frame() if kept.nbytes <= SMALL_BYTES else kept,
        y=None if target is None else table.column(_place(names, target)),
        sensitive={
            name: table.column(_place(names, extra.get(name, name)))
            for name in reference.sensitive
        },
        target=target,
    )


def to_parquet(dataset: Dataset) -> tuple[bytes, str | None]:
    """Return the Parquet file of one table and the name of its target column."""
    features = dataset.features
    frame = pd.DataFrame(index=range(dataset.rows))
    frame = frame if features.is_sparse else frame_of(features)
    _require_unique(list(frame.columns))
    target = None
    columns: dict[str, Any] = {}
    if dataset.y is not None:
        target = _free_name(dataset.target or _name_of(dataset.y), frame.columns)
        columns[target] = pd.Series(np.asarray(dataset.y), index=frame.index)
    extra = {}
    for name, values in dataset.sensitive.items():
        if not _is_feature(frame, name, values):
            stored = _free_name(name, [*frame.columns, *columns])
            extra[name] = stored
            columns[stored] = pd.Series(np.asarray(values), index=frame.index)
    table = _table(frame.assign(**columns) if columns else frame)
    marks: dict[str, Any] = {"container": _container(features), "target": target}
    marks["extra"] = extra
    if features.is_sparse:
        table = _with_cells(table, features)
        marks |= {"width": features.width, "matrix": type(features.data).__name__}
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), _METADATA_KEY: json.dumps(marks).encode()}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue(), target


def from_parquet(
    content: bytes, target: str | None, sensitive: tuple[str, ...] = ()
) -> Dataset:
    """Return the dataset in a Parquet file.

    Raises
    ------
    DatasetError
        The file is no Parquet file, or lacks a column that was named.
    """
    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as exc:
        raise DatasetError(
            f"The dataset is not a readable Parquet file: {exc}"
        ) from exc
    marks = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    sparse = _cells_of(table, marks) if marks.get("container") == "sparse" else None
    if sparse is not None:
        table = table.drop_columns([_INDICES, _VALUES])
    frame = with_nan(table.to_pandas())
    target = target or marks.get("target")
    extra: Mapping[str, str] = marks.get("extra", {})
    groups = {name: _pick(frame, extra.get(name, name)) for name in sensitive}
    truth = None if target is None else _pick(frame, target)
    dropped = [name for name in (target, *extra.values()) if name is not None]
    frame = frame.drop(columns=dropped)
    return Dataset(
        X=_restore(frame, marks) if sparse is None else sparse,
        y=truth,
        sensitive=groups,
        target=target,
    )


def _with_cells(table: pa.Table, features: Features) -> pa.Table:
    """Add what is not zero: for each row the numbers of its columns, and the values."""
    cells = features.data
    offsets = pa.array(cells.indptr, pa.int64())
    for name, values in ((_INDICES, cells.indices), (_VALUES, cells.data)):
        rows = pa.LargeListArray.from_arrays(offsets, pa.array(values))
        table = table.append_column(name, rows)
    return table


def _cells_of(table: pa.Table, marks: Mapping[str, Any]) -> object:
    """Read a sparse matrix back; the table is checked, since anybody may write one."""
    from scipy.sparse import csr_array, csr_matrix

    try:
        indices = table.column(_INDICES).combine_chunks()
        values = table.column(_VALUES).combine_chunks()
        make = csr_array if marks["matrix"] == "csr_array" else csr_matrix
        parts = (
            values.flatten().to_numpy(zero_copy_only=False),
            indices.flatten().to_numpy(),
            indices.offsets.to_numpy(),
        )
        cells = make(parts, shape=(table.num_rows, int(marks["width"])))
        cells.check_format(full_check=True)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise DatasetError(f"The dataset's sparse matrix is not whole: {exc}") from exc
    return cells


def _restore(frame: pd.DataFrame, marks: Mapping[str, Any]) -> object:
    container = marks.get("container", "frame")
    if container == "array":
        return frame.to_numpy()
    if container == "text":
        return frame.iloc[:, 0].to_numpy(dtype=object)
    return frame


def _container(features: Features) -> str:
    if features.is_frame:
        return "frame"
    if features.is_sparse:
        return "sparse"
    return "text" if features.is_text else "array"


def _table(frame: pd.DataFrame) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
        raise DatasetError(
            f"The dataset cannot be written as Parquet: {exc}. Give each column one "
            "type: numbers, texts, truth values or times."
        ) from exc


def _pick(frame: pd.DataFrame, name: str) -> np.ndarray:
    place = _place(list(frame.columns), name)
    return np.asarray(frame.iloc[:, place].to_numpy())


def _place(names: list[Any], wanted: str) -> int:
    if wanted not in names:
        known = ", ".join(map(str, names[:10]))
        raise DatasetError(
            f"The dataset has no column {wanted!r}; it has {len(names)}: "
            f"{known}{', ...' if len(names) > 10 else ''}."  # noqa: PLR2004
        )
    return names.index(wanted)


def _is_feature(frame: pd.DataFrame, name: str, values: object) -> bool:
    if name not in frame.columns:
        return False
    return _is_same(frame[name].to_numpy(), np.asarray(values))


def _is_same(one: np.ndarray, other: np.ndarray) -> bool:
    return pd.Series(one).equals(pd.Series(other))


def _require_unique(names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DatasetError(
            f"The features have columns of the same name: {', '.join(doubled)}; "
            "rename them."
        )


def _free_name(wanted: str, taken: Collection[object]) -> str:
    name = wanted
    while name in taken:
        name = f"_{name}"
    return name


def _name_of(values: object) -> str:
    name = getattr(values, "name", None)
    return name if isinstance(name, str) and name else _TARGET
