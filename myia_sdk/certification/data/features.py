"""Features in memory: rows as a model takes them, whatever holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd


@dataclass(frozen=True, slots=True)
class Features:
    """Rows of features as the model takes them: array, DataFrame, texts, or sparse.

    One small face over them all, so that checks need not tell them apart.
    """

    #: Two-dimensional array, DataFrame, one-dimensional array of texts, a sparse matrix
    #: or array of scipy in the CSR format, or a `MappedTable` on disk.
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
    def is_mapped(self) -> bool:
        """Whether the rows stay on disk: `take` some, or go through `parts`."""
        return hasattr(type(self.data), "frames")

    @property
    def is_sparse(self) -> bool:
        """Whether only what is not zero is stored."""
        return hasattr(self.data, "tocsr")

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
        """Positions of the columns that hold numbers (not truth values).

        None of a sparse matrix: changed numbers would fill it.
        """
        if self.is_frame:
            return tuple(
                position
                for position, dtype in enumerate(self.data.dtypes)
                if _is_number(dtype)
            )
        if self.is_text or self.is_sparse or not _is_number(self.data.dtype):
            return ()
        return tuple(range(self.width))

    def take(self, rows: np.ndarray | slice) -> Features:
        """Return the rows at these positions (or where a mask is true).

        A slice of what is in memory is no copy.
        """
        if self.is_mapped:
            return Features(self.data.take(rows))
        if self.is_frame:
            return Features(self.data.iloc[rows])
        return Features(self.data[rows])

    def parts(self) -> Iterator[Features]:
        """Yield the rows in order: all at once, or what fits into memory."""
        if not self.is_mapped:
            yield self
            return
        for frame in self.data.frames():
            yield Features(frame)

    def column(self, position: int) -> np.ndarray:
        """Return one column as an array."""
        if self.is_mapped:
            return np.asarray(self.data.column(position))
        if self.is_frame:
            return np.asarray(self.data.iloc[:, position])
        if self.is_text:
            return np.asarray(self.data)
        if self.is_sparse:
            return np.asarray(self.data[:, [position]].toarray()[:, 0])
        return np.asarray(self.data[:, position])

    def without_last(self) -> Features:
        """Return the rows without their last column."""
        if self.is_frame:
            return Features(self.data.iloc[:, :-1])
        return Features(self.data[:, :-1])

    def with_first_again(self) -> Features:
        """Return the rows of an array with their first column once more at the end."""
        if self.is_sparse:
            from scipy.sparse import hstack

            return Features(hstack([self.data, self.data[:, [0]]], format="csr"))
        return Features(np.column_stack([self.data, self.data[:, :1]]))

    def numbers(self) -> np.ndarray:
        """Return a copy of the numeric columns as floats, NaN where missing."""
        if not self.is_frame:
            return np.array(self.data, dtype=float)
        chosen = self.data.iloc[:, list(self.numeric)]
        return np.asarray(chosen.to_numpy(dtype=float, na_value=np.nan, copy=True))

    def with_numbers(self, values: np.ndarray) -> Features:
        """Return the same rows with the numeric columns replaced.

        The order is that of `numeric`. Floating columns keep their precision; columns
        of whole numbers become floating.
        """
        if not self.is_frame:
            return Features(_like(values, self.data.dtype))
        dtypes = list(self.data.dtypes)
        if set(dtypes) == {np.dtype(float)}:
            import pandas as pd

            like = {"index": self.data.index, "columns": self.data.columns}
            return Features(pd.DataFrame(values, **like))
        return self.replaced(
            {
                position: _like(values[:, place], dtypes[position])
                for place, position in enumerate(self.numeric)
            }
        )

    def replaced(self, columns: Mapping[int, np.ndarray]) -> Features:
        """Return the rows of a frame with the columns at some positions replaced."""
        import pandas as pd

        frame = self.data
        # Built anew at once: replaced one by one, the time grows by the square.
        changed = pd.DataFrame(
            {
                position: columns[position]
                if position in columns
                else frame.iloc[:, position].array
                for position in range(self.width)
            },
            index=frame.index,
        )
        changed.columns = frame.columns
        return Features(changed)


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
