"""How good a regressor is, and whether its errors look like chance."""

from __future__ import annotations

import math

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    data_of,
    number,
    predictions,
    train_predictions,
    training_data,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.rows import row_weight
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import (
    Interval,
    has_heavy_tails,
    ratio_interval,
    wilson_interval,
)
from myia_sdk.certification.statistics.metrics import (
    REGRESSION_METRICS,
    regression_estimate,
    regression_metric,
)

_KINDS = ["regressor"]
_MIN_CONFORMAL_ROWS = 40
_STANDARD_ERRORS = 2
#: By simulation: below, intervals of errors with heavy tails are too narrow.
_ROWS_FOR_HEAVY_TAILS = 1000


@check(
    "beats-dummy",
    version="2.0.0",
    title="Better than a constant",
    kinds=_KINDS,
    threshold=Threshold(comparator=">=", passed=0.10, rule="bound"),
)
def beats_dummy(context: CheckContext) -> Measurement:
    """Share by which the mean absolute error is below that of a constant.

    The constant is the median of the training target, or of the test target where no
    training data were given, which makes it a stronger opponent.
    """
    data = data_of(context)
    constant = float(np.median((data.train or data).truth))
    lost = np.abs(data.truth - constant)
    errors = predictions(context) - data.truth
    if lost.sum() == 0:
        return Measurement.skipped("The target is constant.")
    low, high = ratio_interval(
        np.abs(errors),
        lost,
        weight=row_weight(context),
        widened=2.0 if has_heavy_tails(errors) else 1.0,
    )
    mae, dummy = float(np.abs(errors).mean()), float(lost.mean())
    return Measurement(
        value=1 - mae / dummy,
        ci=(1 - high, 1 - low),
        n=data.rows,
        message=(
            f"Mean absolute error {mae:.4g} against {dummy:.4g} of the constant "
            f"{constant:.4g}."
        ),
        suggestions=("Check that y_test belongs to X_test, row by row.",),
        details={"mae": mae, "dummy_mae": dummy},
    )


@check(
    "performance",
    version="2.0.0",
    title="Good enough on the test data",
    kinds=_KINDS,
    params={"metric": "r2"},
    threshold=Threshold(comparator=">", passed=0.0, rule="bound"),
)
def performance(context: CheckContext) -> Measurement:
    """Return ``r2``, ``rmse`` or ``mae`` with its 95 % interval.

    Where the errors have heavy tails, no interval is known to hold for few rows, unless
    the model is compared with the mean (an R2 of 0): below 1,000 rows a pass is then a
    warning.
    """
    truth, predicted = data_of(context).truth, predictions(context)
    metric = str(context.params["metric"])
    found = regression_estimate(metric, truth, predicted, row_weight(context))
    others = {
        name: regression_metric(name, truth, predicted) for name in REGRESSION_METRICS
    }
    rule, needed, more = context.thresholds, None, ""
    outcome = rule.judge(found.value, found.interval)
    if has_heavy_tails(predicted - truth):
        more = " The errors have heavy tails, so the interval is twice as wide."
        is_known = len(truth) >= _ROWS_FOR_HEAVY_TAILS or (metric, rule.passed) == (
            "r2",
            0.0,
        )
        if outcome is Outcome.PASSED and not is_known:
            outcome, needed = Outcome.WARNED, _ROWS_FOR_HEAVY_TAILS
            more += f" Too few rows for such: {needed} would do."
    return Measurement(
        value=found.value,
        ci=found.interval,
        n=len(truth),
        outcome=outcome if needed else None,
        undecided=needed is not None,
        needed=needed,
        message=(
            f"{metric} {found.value:.4g} "
            f"({found.interval.low:.4g} to {found.interval.high:.4g}).{more}"
        ),
        suggestions=("Compare with the score on the training data.",),
        details={"metric": metric, **others},
    )


@check(
    "train-test-gap",
    version="2.0.0",
    title="As good on new data as in training",
    kinds=_KINDS,
    needs=["train"],
    threshold=Threshold(comparator="<=", passed=0.10, warned=0.25),
)
def train_test_gap(context: CheckContext) -> Measurement:
    """Relative growth of the root mean squared error from training to test data.

    A growth beyond the threshold for a warning fails when its whole interval is beyond,
    and warns when it may be chance. The interval takes the farthest bounds of both.
    """
    data, train = data_of(context), training_data(context)
    before = regression_estimate("rmse", train.truth, train_predictions(context, train))
    after = regression_estimate(
        "rmse", data.truth, predictions(context), row_weight(context)
    )
    gap = _growth(before.value, after.value)
    interval = (
        _growth(before.interval.high, after.interval.low),
        _growth(before.interval.low, after.interval.high),
    )
    outcome = context.thresholds.judge_problem(gap, interval)
    return Measurement(
        value=gap,
        ci=interval,
        n=data.rows,
        outcome=outcome,
        message=f"RMSE {before.value:.4g} in training, {after.value:.4g} in test.",
        suggestions=(
            "The model fits its training data too closely: simplify or regularise it.",
        ),
        details={
            "train": before.value,
            "test": after.value,
            "train_rows": train.rows,
        },
    )


def _growth(before: float, after: float) -> float:
    if before == 0:
        return 0.0 if after == 0 else 1.0
    return (after - before) / before


@check(
    "systematic-error",
    version="1.0.0",
    title="No systematic error",
    kinds=_KINDS,
    params={"max_ratio": 0.10},
)
def systematic_error(context: CheckContext) -> Measurement:
    """Mean error, in its own standard errors.

    Within two of them it may be chance. Beyond, it is a warning as long as it is at
    most a tenth of the root mean squared error. (A fixed share of 0.01, as others
    use, fails honest models: sampling alone gives one over the root of n.)
    """
    errors = predictions(context) - data_of(context).truth
    mean, rmse = float(errors.mean()), math.sqrt(float(np.mean(errors**2)))
    if rmse == 0:
        return Measurement(value=0.0, outcome=Outcome.PASSED, message="No error.")
    standard_error = float(errors.std(ddof=1)) / math.sqrt(len(errors))
    ratio = abs(mean) / rmse
    outcome = Outcome.FAILED
    if abs(mean) <= _STANDARD_ERRORS * standard_error:
        outcome = Outcome.PASSED
    elif ratio <= number(context, "max_ratio"):
        outcome = Outcome.WARNED
    spread = 1.96 * standard_error / rmse
    return Measurement(
        value=ratio,
        ci=Interval(max(0.0, ratio - spread), ratio + spread),
        n=len(errors),
        outcome=outcome,
        threshold=Threshold(comparator="<=", passed=number(context, "max_ratio")),
        message=(
            f"Predictions are {abs(mean):.4g} too {'high' if mean > 0 else 'low'} on "
            f"average, {ratio:.3f} of the RMSE; the standard error is "
            f"{standard_error:.4g}."
        ),
        suggestions=("Check for a shift between training and test data.",),
        details={"mean_error": mean, "standard_error": standard_error, "rmse": rmse},
    )


@check(
    "conformal-coverage",
    version="1.0.0",
    title="Intervals made from its errors hold",
    kinds=_KINDS,
    params={"confidence": 0.90, "max_coverage": 0.97, "repeats": 20},
    threshold=Threshold(comparator=">=", passed=0.87),
)
def conformal_coverage(context: CheckContext) -> Measurement:
    """Coverage of 90 % intervals by split conformal prediction.

    Half of the test rows set the width, the other half is counted, averaged over
    random halves. Far from 90 % means that the rows are not alike.
    """
    data = data_of(context)
    if data.rows < _MIN_CONFORMAL_ROWS:
        return Measurement.skipped("There are too few rows.")
    errors, rng = np.abs(predictions(context) - data.truth), context.rng
    if not errors.any():
        return Measurement.skipped("No error on any row, so no interval to make.")
    confidence = number(context, "confidence")
    coverages = []
    for _ in range(int(number(context, "repeats"))):
        order = rng.permutation(data.rows)
        width = conformal_width(errors[order[: data.rows // 2]], confidence)
        coverages.append(float(np.mean(errors[order[data.rows // 2 :]] <= width)))
    coverage = float(np.mean(coverages))
    outcome = context.thresholds.judge(coverage, None)
    if coverage > number(context, "max_coverage"):
        outcome = Outcome.FAILED
    return Measurement(
        value=coverage,
        ci=wilson_interval(coverage * data.rows, data.rows),
        n=data.rows,
        outcome=outcome,
        message=f"{coverage:.1%} of the rows are in their {confidence:.0%} interval.",
        suggestions=("Check whether the test rows are ordered or of several kinds.",),
    )


def conformal_width(errors: np.ndarray, confidence: float) -> float:
    """Half width of split conformal intervals from absolute errors.

    The ``ceil((n + 1) * confidence)``-th smallest error; infinite when there are too
    few errors for this confidence.
    """
    rank = math.ceil((len(errors) + 1) * confidence)
    if rank > len(errors):
        return math.inf
    return float(np.partition(errors, rank - 1)[rank - 1])


@check(
    "range-sanity",
    version="1.0.0",
    title="Predictions within the range of the target",
    kinds=_KINDS,
    params={"margin": 0.20},
    threshold=Threshold(comparator=">=", passed=1.0, warned=0.99),
)
def range_sanity(context: CheckContext) -> Measurement:
    """Share of predictions within the known range, a fifth wider at both ends."""
    data = data_of(context)
    known = (data.train or data).truth.astype(float)
    low, high = float(known.min()), float(known.max())
    margin = (high - low) * number(context, "margin")
    predicted = predictions(context).astype(float)
    inside = (predicted >= low - margin) & (predicted <= high + margin)
    return Measurement(
        value=float(inside.mean()),
        ci=wilson_interval(int(inside.sum()), len(inside)),
        n=len(inside),
        message=(
            f"{int((~inside).sum())} of {len(inside)} predictions are outside "
            f"{low - margin:.4g} to {high + margin:.4g}."
        ),
        suggestions=("Clip predictions, or refuse rows unlike the training data.",),
    )
