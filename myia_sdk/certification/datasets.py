"""Test data in memory: features, truth, training data, sensitive groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from myia_sdk.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@dataclass(frozen=True, slots=True)
class Features:
    """Rows of features as the model takes them: array, DataFrame, or texts.

    One small face over the three, so that checks need not tell them apart.
    """

    #: Two-dimensional array, DataFrame, or one-dimensional array of texts.
    data: Any

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.data.shape[0])

    @property
    def width(self) -> int:
        """Number of columns; texts are one."""
        return int(self.data.shape[1]) if self.data.ndim > 1 else 1

    @property
    def is_frame(self) -> bool:
        """Whether columns have names and types of their own."""
        return hasattr(self.data, "columns")

    @property
    def is_text(self) -> bool:
        """Whether a row is one text rather than several features."""
        return not self.is_frame and self.data.ndim == 1

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns; numbers as texts when they have none."""
        if self.is_frame:
            return tuple(str(name) for name in self.data.columns)
        return tuple(str(number) for number in range(self.width))

    @property
    def numeric(self) -> tuple[int, ...]:
        """Positions of the columns that hold numbers (not truth values)."""
        if self.is_frame:
            return tuple(
                position
                for position, dtype in enumerate(self.data.dtypes)
                if _is_number(dtype)
            )
        if self.is_text or not _is_number(self.data.dtype):
            return ()
        return tuple(range(self.width))

    def take(self, rows: np.ndarray) -> Features:
        """Return the rows at these positions (or where a mask is true)."""
        if self.is_frame:
            return Features(self.data.iloc[rows])
        return Features(self.data[rows])

    def column(self, position: int) -> np.ndarray:
        """Return one column as an array."""
        if self.is_frame:
            return np.asarray(self.data.iloc[:, position])
        if self.is_text:
            return np.asarray(self.data)
        return np.asarray(self.data[:, position])

    def numbers(self) -> np.ndarray:
        """Return the numeric columns as one array of floats, NaN where missing."""
        if not self.is_frame:
            return np.asarray(self.data, dtype=float)
        chosen = self.data.iloc[:, list(self.numeric)]
        return np.asarray(chosen.to_numpy(dtype=float, na_value=np.nan))

    def with_numbers(self, values: np.ndarray) -> Features:
        """Return the same rows with the numeric columns replaced.

        The order is that of `numeric`. Floating columns keep their precision; columns
        of whole numbers become floating.
        """
        if not self.is_frame:
            return Features(_like(values, self.data.dtype))
        frame = self.data.copy()
        for place, position in enumerate(self.numeric):
            name = frame.columns[position]
            dtype = frame.dtypes.iloc[position]
            frame[name] = _like(values[:, place], dtype)
        return Features(frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Data that a model is certified on.

    Attributes
    ----------
    X : array, DataFrame or Series of texts
        Features, one row per observation.
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


def _is_number(dtype: object) -> bool:
    return getattr(dtype, "kind", "O") in "iuf"


def _like(values: np.ndarray, dtype: object) -> np.ndarray:
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return values.astype(dtype)
    return values


def frame_of(features: Features) -> pd.DataFrame:
    """Return the features as a DataFrame with textual column names."""
    import pandas as pd

    if features.is_frame:
        frame: pd.DataFrame = features.data.rename(columns=str)
        return frame
    if features.is_text:
        return pd.DataFrame({"text": features.data})
    return pd.DataFrame(features.data, columns=list(features.names))
