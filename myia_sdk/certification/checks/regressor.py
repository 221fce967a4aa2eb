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
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import (
    Interval,
    bootstrap,
    wilson_interval,
)
from myia_sdk.certification.statistics.metrics import (
    REGRESSION_METRICS,
    regression_metric,
)

_KINDS = ["regressor"]
_MIN_CONFORMAL_ROWS = 40
_STANDARD_ERRORS = 2


@check(
    "beats-dummy",
    version="1.0.0",
    title="Better than a constant",
    kinds=_KINDS,
    params={"resamples": 1000},
    threshold=Threshold(comparator=">=", passed=0.10),
)
def beats_dummy(context: CheckContext) -> Measurement:
    """Share by which the mean absolute error is below that of a constant.

    The constant is the median of the training target, or of the test target where no
    training data were given, which makes it a stronger opponent. The lower bound of
    the interval must be above zero as well.
    """
    data = data_of(context)
    constant = float(np.median((data.train or data).truth))
    lost = np.abs(data.truth - constant)
    errors = np.abs(predictions(context) - data.truth)
    if lost.sum() == 0:
        return Measurement.skipped("The target is constant.")

    def skill(weights: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1 - (weights @ errors) / (weights @ lost))

    value = float(1 - errors.sum() / lost.sum())
    interval = bootstrap(
        skill, data.rows, context.rng, resamples=int(number(context, "resamples"))
    )
    outcome = context.thresholds.judge(value, None)
    if interval.low <= 0:
        outcome = Outcome.FAILED
    return Measurement(
        value=value,
        ci=interval,
        n=data.rows,
        outcome=outcome,
        message=(
            f"Mean absolute error {errors.mean():.4g} against {lost.mean():.4g} of the "
            f"constant {constant:.4g}."
        ),
        suggestions=("Check that y_test belongs to X_test, row by row.",),
        details={"mae": float(errors.mean()), "dummy_mae": float(lost.mean())},
    )


@check(
    "performance",
    version="1.0.0",
    title="Performance on the test data",
    kinds=_KINDS,
    params={"metric": "r2", "resamples": 1000},
    threshold=Threshold(comparator=">", passed=0.0, rule="bound"),
)
def performance(context: CheckContext) -> Measurement:
    """Return ``r2``, ``rmse`` or ``mae`` with its 95 % bootstrap interval."""
    truth, predicted = data_of(context).truth, predictions(context)
    metric = str(context.params["metric"])
    resamples = int(number(context, "resamples"))
    estimate = regression_metric(metric, truth, predicted, context.rng, resamples)
    others = {
        name: regression_metric(name, truth, predicted, context.rng, 1).value
        for name in REGRESSION_METRICS
    }
    return Measurement(
        value=estimate.value,
        ci=estimate.interval,
        n=len(truth),
        message=(
            f"{metric} {estimate.value:.4g} "
            f"({estimate.interval.low:.4g} to {estimate.interval.high:.4g})."
        ),
        suggestions=("Compare with the score on the training data.",),
        details={"metric": metric, **others},
    )


@check(
    "train-test-gap",
    version="1.0.0",
    title="Loss from training to test data",
    kinds=_KINDS,
    threshold=Threshold(comparator="<=", passed=0.10, warned=0.25),
)
def train_test_gap(context: CheckContext) -> Measurement:
    """Relative growth of the root mean squared error from training to test data."""
    data = data_of(context)
    if data.train is None:
        return Measurement.skipped("No training data were given.")
    on_train = _rmse(train_predictions(context, data.train), data.train.truth)
    on_test = _rmse(predictions(context), data.truth)
    if on_train == 0:
        gap = 0.0 if on_test == 0 else 1.0
    else:
        gap = (on_test - on_train) / on_train
    return Measurement(
        value=gap,
        n=data.rows,
        message=f"RMSE {on_train:.4g} in training, {on_test:.4g} in test.",
        suggestions=(
            "The model fits its training data too closely: simplify or regularise it.",
        ),
        details={"train": on_train, "test": on_test, "train_rows": data.train.rows},
    )


def _rmse(predicted: np.ndarray, truth: np.ndarray) -> float:
    return math.sqrt(float(np.mean((predicted - truth) ** 2)))


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
    "residual-kurtosis",
    version="1.0.0",
    title="Shape of the errors",
    kinds=_KINDS,
)
def residual_kurtosis(context: CheckContext) -> Measurement:
    """Excess kurtosis of the errors: recorded, not judged."""
    errors = predictions(context) - data_of(context).truth
    centred = errors - errors.mean()
    variance = float(np.mean(centred**2))
    if variance == 0:
        return Measurement.skipped("The errors are constant.")
    kurtosis = float(np.mean(centred**4)) / variance**2 - 3
    return Measurement(
        value=kurtosis,
        n=len(errors),
        outcome=Outcome.SKIPPED,
        message=f"Excess kurtosis {kurtosis:.3f}; recorded only.",
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
