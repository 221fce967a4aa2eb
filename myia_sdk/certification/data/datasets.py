"""Test data in memory: features, truth, training data, sensitive groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from myia_sdk.certification.data.features import Features
from myia_sdk.errors import DatasetError

_TABLE_DIMENSIONS = 2
#: (X, y) and (X, y, train).
_TUPLE_LENGTHS = (2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Data that a model is certified on.

    Attributes
    ----------
    X : array, DataFrame or Series of texts
        Features, one row per observation. What comes from a file of more than 256 MB
        stays on disk; `features` reads parts of it.
    y : array, optional
        Truth, one value per row.
    train : Dataset, optional
        What the model was trained with; enables the checks that compare.
    sensitive : mapping of str to array
        Groups for fairness, one value per row. They need not be features.
    name : str, optional
        How reports call the data.
    """

    X: Any
    y: Any = None
    train: Dataset | None = None
    sensitive: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    target: str | None = None

    @classmethod
    def of(cls, value: object) -> Dataset:
        """Understand what a user gives as a dataset.

        Parameters
        ----------
        value : Dataset, tuple or mapping
            ``(X, y)``, ``(frame, "target column")``, ``(X, y, (X_train, y_train))``,
            or a mapping with the keys ``X y train sensitive name``. A frame may be the
            path of a ``.parquet`` or ``.csv`` file, which is read in batches.

        Raises
        ------
        DatasetError
            It is none of these, or X is not a table.
        """
        if isinstance(value, Dataset):
            return cls._normal(value)
        if isinstance(value, tuple) and len(value) in _TUPLE_LENGTHS:
            train = (
                _training_data(value[2]) if len(value) == _TUPLE_LENGTHS[1] else None
            )
            return cls._normal(cls(X=value[0], y=value[1], train=train))
        if isinstance(value, Mapping):
            return cls._from_mapping(value)
        raise DatasetError(
            f"The dataset is a {type(value).__name__}; give (X, y), "
            "(frame, 'target column'), a mapping with the keys X and y, or a Dataset."
        )

    @classmethod
    def _from_mapping(cls, value: Mapping[str, Any]) -> Dataset:
        unknown = sorted(set(value) - {"X", "y", "train", "sensitive", "name"}, key=str)
        if unknown or "X" not in value:
            raise DatasetError(
                f"The dataset has the keys {sorted(map(str, value))}; "
                "it needs X, and may have y, train, sensitive and name."
            )
        train = value.get("train")
        sensitive = value.get("sensitive")
        return cls._normal(
            cls(
                X=value["X"],
                y=value.get("y"),
                train=None if train is None else cls.of(train),
                sensitive={} if sensitive is None else sensitive,
                name=value.get("name"),
            )
        )

    @classmethod
    def _normal(cls, given: Dataset) -> Dataset:
        X, y, target = given.X, given.y, given.target
        if isinstance(X, str | PathLike):
            X = _read_frame(Path(X))
        if isinstance(y, str):
            X, y, target = _split(X, y)
        X = as_table(X)
        return cls(
            X=X,
            y=None if y is None else as_column(y, "y"),
            train=None if given.train is None else cls._normal(given.train),
            sensitive=_groups(given.sensitive, X),
            name=given.name,
            target=target or _column_name(y),
        )

    @property
    def features(self) -> Features:
        """The features behind one face."""
        return Features(self.X)

    @property
    def rows(self) -> int:
        """Number of observations."""
        return self.features.rows

    @property
    def truth(self) -> np.ndarray:
        """The truth as an array.

        Raises
        ------
        DatasetError
            The dataset has none.
        """
        if self.y is None:
            raise DatasetError(
                "The dataset has no target; give it as dataset=(X, y) or "
                "(frame, 'target column')."
            )
        return np.asarray(self.y)


def as_table(X: Any) -> Any:
    """Return features as `Features` holds them.

    Parameters
    ----------
    X : DataFrame, array, sparse matrix, sequence or Series of texts
        Frames of pandas, polars and pyarrow; whatever numpy makes a table of.

    Raises
    ------
    DatasetError
        They have another shape or type.
    """
    if hasattr(X, "tocsr"):
        return _as_sparse(X)
    if Features(X).is_mapped:
        return X
    if hasattr(X, "to_pandas") and not hasattr(X, "iloc"):
        X = X.to_pandas()
    if hasattr(X, "columns"):
        return _without_sparse_columns(X.reset_index(drop=True))
    array = np.asarray(X)
    if array.ndim == 1 and array.size and isinstance(array[0], str):
        return array.astype(object)
    if array.ndim != _TABLE_DIMENSIONS:
        raise DatasetError(
            f"X has {array.ndim} dimensions {array.shape}; it must be a table of rows "
            "and columns. For one feature give X.reshape(-1, 1)."
        )
    return array


def _as_sparse(X: Any) -> Any:
    if X.ndim != _TABLE_DIMENSIONS:
        raise DatasetError(
            f"X has {X.ndim} dimensions {X.shape}; it must be a table of rows and "
            "columns. For one row give X.reshape(1, -1)."
        )
    table = X.tocsr()
    if table.dtype.kind not in "biuf":
        raise DatasetError(f"X is a sparse matrix of {table.dtype}; give real numbers.")
    # A caller's matrix is not sorted in place.
    return table if table.has_canonical_format else _canonical(table.copy())


def _canonical(table: Any) -> Any:
    table.sum_duplicates()
    return table


def _without_sparse_columns(frame: Any) -> Any:
    """Return a frame whose columns Arrow can hold: pandas' sparse ones it cannot."""
    dense = {
        name: dtype.subtype
        for name, dtype in frame.dtypes.items()
        if type(dtype).__name__ == "SparseDtype"
    }
    return frame.astype(dense) if dense else frame


def as_column(values: Any, what: str) -> np.ndarray:
    """Return one value per row as an array of numpy's own types.

    Parameters
    ----------
    values : array, sequence or Series
        Nullable and Arrow types become numpy's, their missing values NaN.
    what : str
        How messages call them.

    Raises
    ------
    DatasetError
        There is more than one value per row.
    """
    array = _of_numpy(values)
    if array.ndim == _TABLE_DIMENSIONS and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DatasetError(
            f"{what} has the shape {array.shape}; it must hold one value per row. A "
            f"model with several outputs is certified output by output: submit one "
            f"model for each, with its own column of {what}."
        )
    return array


def _of_numpy(values: Any) -> np.ndarray:
    import pandas as pd

    if hasattr(values, "to_pandas") and not hasattr(values, "iloc"):
        values = values.to_pandas()
    dtype = getattr(values, "dtype", None)
    if not isinstance(dtype, pd.api.extensions.ExtensionDtype):
        return np.asarray(values)
    kind = getattr(dtype, "kind", "O")
    if kind not in "biuf":
        return np.asarray(values)
    if pd.isna(values).any():
        return np.asarray(pd.Series(values).to_numpy(dtype=float, na_value=np.nan))
    plain = {"b": bool, "f": float}.get(kind, np.int64 if kind == "i" else np.uint64)
    return np.asarray(pd.Series(values).to_numpy(dtype=plain))


def _split(frame: Any, target: str) -> tuple[Any, Any, str]:
    if not hasattr(frame, "columns"):
        raise DatasetError(
            f"The target {target!r} is a column's name, so X must be a DataFrame or a "
            f".parquet or .csv file, not {type(frame).__name__}."
        )
    if target not in frame.columns:
        known = ", ".join(map(str, frame.columns[:10]))
        raise DatasetError(f"The data have no column {target!r}; they have: {known}.")
    place = list(frame.columns).index(target)
    if Features(frame).is_mapped:
        kept = [one for one in range(frame.shape[1]) if one != place]
        return frame.select(kept), frame.column(place), target
    return frame.drop(columns=[target]), frame[target], target


def _read_frame(path: Path) -> Any:
    from myia_sdk.certification.data.tables import SMALL_BYTES, read_file

    table = read_file(path.expanduser())
    return table.frame() if table.nbytes <= SMALL_BYTES else table


def _groups(sensitive: Any, X: Any) -> dict[str, np.ndarray]:
    if hasattr(sensitive, "columns"):
        sensitive = {str(name): sensitive[name] for name in sensitive.columns}
    if isinstance(sensitive, str):
        sensitive = (sensitive,)
    if isinstance(sensitive, Mapping):
        return {
            str(name): as_column(values, f"sensitive[{name!r}]")
            for name, values in sensitive.items()
        }
    names = [str(name) for name in getattr(X, "columns", ())]
    for name in sensitive:
        if name not in names:
            raise DatasetError(
                f"The sensitive column {name!r} is not a column of X; give "
                "sensitive={name: values} for groups that are no features."
            )
    features = Features(X)
    return {name: features.column(names.index(name)) for name in sensitive}


def _column_name(values: object) -> str | None:
    name = getattr(values, "name", None)
    return name if isinstance(name, str) and name else None


def _training_data(value: object) -> Dataset:
    if isinstance(value, Dataset | tuple | Mapping):
        return Dataset.of(value)
    raise DatasetError(
        f"The third part of the dataset is a {type(value).__name__}; it is for the "
        "training data: dataset=(X, y, (X_train, y_train))."
    )
