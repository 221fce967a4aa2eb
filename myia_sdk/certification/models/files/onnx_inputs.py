"""Rows of data in the shapes and types that a graph takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from myia_sdk.certification.data.features import Features
from myia_sdk.certification.request.records import unknown_keys
from myia_sdk.errors import InvalidRequestError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DTYPES: dict[str, type] = {
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
_MATRIX = 2


class GraphInputs:
    """The inputs of a graph: one for all columns, or several.

    Parameters
    ----------
    inputs : sequence
        As the session lists them: name, type, shape with ``None`` or a name for what
        is free.
    fixed : mapping of str to number
        Values of the inputs that are no columns.
    """

    def __init__(self, inputs: Sequence[Any], fixed: Mapping[str, float]) -> None:
        names = [each.name for each in inputs]
        unknown = set(fixed).difference(names)
        if unknown:
            where = "'fixed' of the ONNX model"
            raise InvalidRequestError(unknown_keys(where, unknown, names))
        self._fixed = {
            each.name: (each, fixed[each.name]) for each in inputs if each.name in fixed
        }
        self._columns = [each for each in inputs if each.name not in fixed]
        for each in self._columns:
            self._require_columns(each)

    def _require_columns(self, wanted: Any) -> None:
        if wanted.type not in _DTYPES:
            raise ModelRejectedError(
                f"The input {wanted.name!r} of the ONNX model takes {wanted.type}, "
                "which is not supported."
            )
        rank = len(wanted.shape)
        if rank == 0 or (rank > _MATRIX and len(self._columns) > 1):
            raise ModelRejectedError(
                f"The input {wanted.name!r} of the ONNX model, of shape "
                f"{wanted.shape}, is no column of the data; give its value: "
                f"OnnxModel(path, fixed={{{wanted.name!r}: 0}})."
            )

    @property
    def n_features(self) -> int | None:
        """Number of columns, ``None`` when the graph does not say."""
        widths = [_width(each.shape) for each in self._columns]
        return None if None in widths else sum(width or 0 for width in widths)

    def feeds(self, X: Any) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        """Yield what to run the graph on, and how many of its answers count.

        All rows at once, or, where the graph takes a number of rows of its own, so
        many at a time, the last ones filled up.
        """
        features = Features(X)
        size = self._columns[0].shape[0]
        if not isinstance(size, int):
            yield self._feed(features.data, features.rows), features.rows
            return
        for start in range(0, features.rows, size):
            places = np.arange(start, start + size)
            rows = features.take(np.minimum(places, features.rows - 1))
            yield self._feed(rows.data, size), min(size, features.rows - start)

    def _feed(self, X: Any, rows: int) -> dict[str, np.ndarray]:
        feed = {
            name: np.full(
                [side if isinstance(side, int) else rows for side in wanted.shape],
                value,
                dtype=_DTYPES.get(wanted.type),
            )
            for name, (wanted, value) in self._fixed.items()
        }
        for wanted, values in zip(self._columns, self._parts(X), strict=True):
            feed[wanted.name] = _shaped(_cast(values, wanted.type), wanted.shape)
        return feed

    def _parts(self, X: Any) -> list[Any]:
        """Return the columns of each input: by name, else in order."""
        if len(self._columns) == 1:
            return [X]
        names = [str(name) for name in getattr(X, "columns", ())]
        if set(names) == {each.name for each in self._columns}:
            return [X.iloc[:, [names.index(each.name)]] for each in self._columns]
        if X.shape[1] != self.n_features:
            raise ValueError(
                f"The model takes {self.n_features} columns, not {X.shape[1]}."
            )
        parts, start = [], 0
        for each in self._columns:
            end = start + (_width(each.shape) or 0)
            parts.append(
                X.iloc[:, start:end] if hasattr(X, "iloc") else X[:, start:end]
            )
            start = end
        return parts


def _width(shape: Sequence[Any]) -> int | None:
    sides = shape[1:]
    return math.prod(sides) if all(isinstance(side, int) for side in sides) else None


def _shaped(values: np.ndarray, shape: Sequence[Any]) -> np.ndarray:
    """Give rows the shape of the input: a row may be one value, or an image."""
    sides = [side if isinstance(side, int) else -1 for side in shape[1:]]
    if sides.count(-1) > 1:
        return values
    # A wrong number of columns is the graph's to refuse.
    is_other = len(sides) != values.ndim - 1
    return values.reshape(len(values), *sides) if is_other else values


def _cast(values: Any, kind: str) -> np.ndarray:
    dtype = _DTYPES[kind]
    array = values.toarray() if hasattr(values, "tocsr") else np.asarray(values)
    if dtype is np.object_:
        return array.astype(str).astype(object)
    if array.dtype.kind in "OU":
        # Texts that look like numbers are texts still.
        array = np.array([_number(item) for item in array.ravel()]).reshape(array.shape)
    return np.ascontiguousarray(array, dtype=dtype)


def _number(item: object) -> float:
    if isinstance(item, str):
        raise TypeError(f"The model takes numbers, not the text {item!r}.")
    return float("nan") if item is None else float(item)  # type: ignore[arg-type]
