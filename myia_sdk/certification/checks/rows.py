"""Which rows of the data are alike, and what a row counts where some are copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from myia_sdk.certification.checks.predictions import data_of
from myia_sdk.certification.data.features import Features, frame_of

if TYPE_CHECKING:
    from myia_sdk.certification.checks.context import CheckContext
    from myia_sdk.certification.data.datasets import Dataset

#: Share of the rows that may be alike by chance before equal rows say nothing.
_BY_CHANCE = 0.01
#: Columns looked at: the product of so many is as good as 0 or they are constant.
_MOST_COLUMNS = 50
_HASHED_ROWS = 100_000


class Copies(NamedTuple):
    """Test rows that are, features and target alike, the same as an earlier one."""

    #: Whether the columns have values enough for equal rows to be copies.
    can_be_told: bool
    #: Whether each row is a copy of an earlier one.
    is_copy: np.ndarray

    @property
    def weight(self) -> float:
        """What a row counts in intervals: the share of distinct rows, or 1."""
        return 1 - float(self.is_copy.mean()) if self.can_be_told else 1.0


def copies(context: CheckContext) -> Copies:
    """Find the copies among the test rows, once per run."""

    def find() -> Copies:
        if not data_of(context).features.width:
            return Copies(False, np.zeros(data_of(context).rows, dtype=bool))  # noqa: FBT003
        hashes = row_hashes(data_of(context))
        _, first = np.unique(hashes, return_index=True)
        is_copy = np.ones(len(hashes), dtype=bool)
        is_copy[first] = False
        told = not is_copy.any() or _are_unlikely(data_of(context), np.sort(first))
        return Copies(told, is_copy)

    return cast("Copies", context.shared.get("copies", find))


def row_weight(context: CheckContext) -> float:
    """Return what a row counts in intervals, see `Copies`."""
    return copies(context).weight


def _are_unlikely(data: Dataset, distinct: np.ndarray) -> bool:
    """Tell whether chance alone would make few pairs of rows alike.

    Where columns hold few values, two people may well agree in all of them. The
    probability is that of two distinct rows agreeing in each column, as if columns were
    independent; texts always differ by chance.
    """
    features = data.features
    if features.is_text or features.is_sparse:
        return True
    alike = _agreement(data.truth[distinct])
    pairs = data.rows * (data.rows - 1) / 2
    for place in range(min(features.width, _MOST_COLUMNS)):
        if alike * pairs <= _BY_CHANCE * data.rows:
            return True
        alike *= _agreement(features.column(place)[distinct])
    return alike * pairs <= _BY_CHANCE * data.rows


def _agreement(values: np.ndarray) -> float:
    """Probability that two different rows have the same value."""
    from pandas import factorize

    n = len(values)
    if n == 1:
        return 0.0
    codes, _ = factorize(values, use_na_sentinel=False)
    counts = np.bincount(codes).astype(float)
    return float((counts * (counts - 1)).sum() / (n * (n - 1)))


def row_hashes(data: Dataset) -> np.ndarray:
    """Return one number per row, equal where features and target are.

    Whole numbers and the same floating ones are equal; so is a label and its text.
    """
    from pandas import factorize

    codes, labels = factorize(data.truth, use_na_sentinel=False)
    hashed = np.array([hash(str(label)) for label in labels.tolist()], dtype=np.int64)
    mixed = hashed.view(np.uint64)[codes] if len(labels) else hashed.view(np.uint64)
    return np.asarray(_feature_hashes(data.features) ^ mixed)


def _feature_hashes(features: Features) -> np.ndarray:
    from pandas.util import hash_array

    if features.is_sparse:
        table = features.data
        cells = hash_array(table.indices.astype(np.int64)) ^ hash_array(
            table.data.astype(float), categorize=False
        ) * np.uint64(31)
        sums = np.concatenate([[np.uint64(0)], np.cumsum(cells, dtype=np.uint64)])
        return np.asarray(sums[table.indptr[1:]] - sums[table.indptr[:-1]])
    return np.concatenate([_frame_hashes(part) for part in features.parts()])


def _frame_hashes(features: Features) -> np.ndarray:
    from pandas.util import hash_pandas_object

    hashes = np.zeros(features.rows, dtype=np.uint64)
    for start in range(0, features.rows if features.numeric else 0, _HASHED_ROWS):
        end = min(start + _HASHED_ROWS, features.rows)
        # Plus 0, since -0 is 0; every NaN by the same bits.
        part = np.ascontiguousarray(features.take(slice(start, end)).numbers() + 0.0)
        part[np.isnan(part)] = np.nan
        found = [hash(row.tobytes()) for row in part]
        hashes[start:end] = np.array(found, dtype=np.int64).view(np.uint64)
    numeric = set(features.numeric)
    rest = [place for place in range(features.width) if place not in numeric]
    if rest:
        frame = frame_of(features).iloc[:, rest]
        hashes ^= hash_pandas_object(frame, index=False).to_numpy()
    return hashes
