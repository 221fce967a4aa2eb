"""Test data that the model has seen in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.predictions import data_of
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.data.features import Features, frame_of
from myia_sdk.certification.statistics.intervals import wilson_interval

if TYPE_CHECKING:
    from myia_sdk.certification.data.datasets import Dataset


@check(
    "leakage",
    version="1.0.0",
    title="Test rows are not training rows",
    kinds=["classifier", "regressor"],
    threshold=Threshold(comparator="<=", passed=0.05),
)
def leakage(context: CheckContext) -> Measurement:
    """Share of test rows that are in the training data, features and target alike."""
    data = data_of(context)
    if data.train is None:
        return Measurement.skipped("No training data were given.")
    seen = np.isin(_row_hashes(data), _row_hashes(data.train))
    share = float(seen.mean())
    return Measurement(
        value=share,
        ci=wilson_interval(int(seen.sum()), len(seen)),
        n=len(seen),
        message=f"{int(seen.sum())} of {len(seen)} test rows are training rows too.",
        suggestions=("Remove these rows from the test data and measure again.",),
        details={"rows": np.flatnonzero(seen)[:20].tolist()},
    )


def _row_hashes(data: Dataset) -> np.ndarray:
    truth = [hash(str(label)) for label in data.truth.tolist()]
    rows = _feature_hashes(data.features)
    return np.asarray(rows ^ np.array(truth, dtype=np.int64).view(np.uint64))


def _feature_hashes(features: Features) -> np.ndarray:
    from pandas.util import hash_array, hash_pandas_object

    if features.is_sparse:
        table = features.data
        cells = hash_array(table.indices.astype(np.int64)) ^ hash_array(
            table.data.astype(float), categorize=False
        ) * np.uint64(31)
        sums = np.concatenate([[np.uint64(0)], np.cumsum(cells, dtype=np.uint64)])
        return np.asarray(sums[table.indptr[1:]] - sums[table.indptr[:-1]])
    hashes = []
    for part in features.parts():
        frame = frame_of(part)
        numeric = frame.select_dtypes("number").columns
        # Whole numbers and the same floating ones must hash alike.
        frame = frame.astype(dict.fromkeys(numeric, float))
        hashes.append(hash_pandas_object(frame, index=False).to_numpy())
    return np.concatenate(hashes)
