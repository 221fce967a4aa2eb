"""Test rows that say nothing new: seen in training, or copies of one another."""

from __future__ import annotations

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.predictions import data_of, training_data
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.rows import copies, row_hashes
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import wilson_interval

_KINDS = ["classifier", "regressor"]


@check(
    "leakage",
    version="2.0.0",
    title="Test rows are not training rows",
    kinds=_KINDS,
    needs=["train"],
    threshold=Threshold(comparator="<=", passed=0.05),
)
def leakage(context: CheckContext) -> Measurement:
    """Share of test rows that are in the training data, features and target alike."""
    data, train = data_of(context), training_data(context)
    seen = np.isin(row_hashes(data), row_hashes(train))
    share = float(seen.mean())
    return Measurement(
        value=share,
        ci=wilson_interval(int(seen.sum()), len(seen)),
        n=len(seen),
        message=f"{int(seen.sum())} of {len(seen)} test rows are training rows too.",
        suggestions=("Remove these rows from the test data and measure again.",),
        details={"rows": np.flatnonzero(seen)[:20].tolist()},
    )


@check(
    "copies",
    version="1.0.0",
    title="Test rows are not copies of one another",
    kinds=_KINDS,
    threshold=Threshold(comparator="<=", passed=0.05),
)
def copied_rows(context: CheckContext) -> Measurement:
    """Share of test rows that repeat an earlier one, features and target alike.

    Intervals of the other checks count each distinct row once. Where the columns hold
    so few values that more than a hundredth of the rows would be alike by chance, equal
    rows are no copies, and each counts.
    """
    found = copies(context)
    count, rows = int(found.is_copy.sum()), len(found.is_copy)
    if not data_of(context).features.width:
        return Measurement.skipped("The data have no features.")
    if not found.can_be_told:
        return Measurement.skipped(
            f"{count} of {rows} test rows are like an earlier one, as rows of so few "
            "values are by chance."
        )
    return Measurement(
        value=count / rows,
        n=rows,
        message=(
            f"{count} of {rows} test rows are copies of an earlier one"
            + (f"; intervals are those of {rows - count} rows." if count else ".")
        ),
        suggestions=("Remove the copies: they measure nothing twice.",),
        details={"rows": np.flatnonzero(found.is_copy)[:20].tolist()},
    )
