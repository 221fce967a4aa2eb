"""How long a prediction takes."""

from __future__ import annotations

import time

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    classifier_of,
    data_of,
    number,
    some_rows,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import quantile_interval

_MILLISECONDS = 1000


@check(
    "latency",
    version="2.0.0",
    title="Time of a prediction",
    kinds=["classifier", "regressor"],
    params={"calls": 72, "batch_rows": 1000, "max_batch_ms_per_row": 1.0},
    threshold=Threshold(comparator="<=", passed=100.0, rule="bound"),
)
def latency(context: CheckContext) -> Measurement:
    """95th percentile for one row, and time per row of a batch.

    Its interval is that of order statistics, which has an upper bound from 72 calls on.
    The first call is not counted: it warms up caches and thread pools.
    """
    features, model = data_of(context).features, classifier_of(context)
    calls = int(number(context, "calls"))
    places = np.resize(some_rows(context, calls), calls)
    single = [features.take(np.array([place])).data for place in places]
    model.predict(single[0])
    times = np.array([_time(model.predict, row) for row in single])
    rows = some_rows(context, int(number(context, "batch_rows")))
    batch, limit = features.take(rows).data, number(context, "max_batch_ms_per_row")
    per_row = _time(model.predict, batch) / len(rows)
    if per_row > limit:
        # A pause of the machine is not the model's: it does not come twice.
        per_row = min(per_row, _time(model.predict, batch) / len(rows))
    p95 = float(np.quantile(times, 0.95))
    return Measurement(
        value=p95,
        ci=quantile_interval(times, 0.95),
        unit="ms",
        n=len(times),
        outcome=Outcome.FAILED if per_row > limit else None,
        message=f"One row takes {p95:.2f} ms (p95), a row of a batch {per_row:.4f} ms.",
        suggestions=("Choose a smaller model, or predict in batches.",),
        details={"p50_ms": float(np.median(times)), "batch_ms_per_row": per_row},
    )


def _time(predict: object, rows: object) -> float:
    started = time.perf_counter()
    predict(rows)  # type: ignore[operator]
    return (time.perf_counter() - started) * _MILLISECONDS
