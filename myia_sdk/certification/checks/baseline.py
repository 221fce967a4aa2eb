"""Whether a model is better than another one: the one in use, say."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.predictions import (
    answers_to,
    class_positions,
    classifier_of,
    data_of,
    labels,
    number,
    positions_of,
    predictions,
    probabilities,
    probabilities_of,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.rows import row_weight
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import Interval, difference_interval
from myia_sdk.certification.statistics.metrics import (
    Labels,
    area_parts,
    label_metric,
    regression_metric,
)

if TYPE_CHECKING:
    from myia_sdk.certification.models import ClassifierAdapter

#: Metrics of which less is better.
_LOSSES = frozenset({"rmse", "mae"})
#: More would change the interval's width little: t with 199 degrees of freedom.
_JACKKNIFE_GROUPS = 200


@check(
    "beats-baseline",
    version="2.0.0",
    title="Better than the baseline model",
    kinds=["classifier", "regressor"],
    needs=["baseline"],
    params={"metric": "auto", "min_absolute": 0.0, "min_relative": 0.0},
    threshold=Threshold(comparator=">=", passed=0.0, rule="bound"),
)
def beats_baseline(context: CheckContext) -> Measurement:
    """Difference of the metric between this model and the request's baseline.

    As MLflow's thresholds the difference must reach an absolute size, and a size
    relative to the baseline's value; here the lower bound of its interval must, and
    the point alone is a warning. Both models answer the same rows, so the interval is
    that of a paired difference: by DeLong's variance of two ROC AUCs (in the form of
    Sun and Xu 2014, n log n), by the jackknife over rows or groups of them else.
    """
    metric = _metric_name(context)
    mine, baseline, interval = _compared(context, metric)
    wanted = max(
        number(context, "min_absolute"),
        number(context, "min_relative") * abs(baseline),
        context.thresholds.passed or 0.0,
    )
    return Measurement(
        value=_gain(metric, mine, baseline),
        ci=interval,
        n=data_of(context).rows,
        threshold=Threshold(comparator=">=", passed=wanted, rule="bound"),
        message=f"{metric} {mine:.4g} against {baseline:.4g} of the baseline.",
        suggestions=("Keep the baseline, or measure on more rows.",),
        details={"metric": metric, "model": mine, "baseline": baseline},
    )


def _metric_name(context: CheckContext) -> str:
    metric = str(context.params["metric"])
    if metric != "auto":
        return metric
    if context.model.family == "regressor":
        return "mae"
    both = (classifier_of(context), _baseline(context))
    has_scores = all(model.has_probabilities for model in both)
    return "roc_auc" if has_scores else "balanced_accuracy"


def _baseline(context: CheckContext) -> ClassifierAdapter:
    return cast("ClassifierAdapter", context.baseline)


def _gain(metric: str, mine: float, baseline: float) -> float:
    return baseline - mine if metric in _LOSSES else mine - baseline


def _compared(context: CheckContext, metric: str) -> tuple[float, float, Interval]:
    """Both models' values, and the interval of how much better this one is."""
    if context.model.family == "regressor":
        return _compared_errors(context, metric)
    if metric == "roc_auc":
        return _compared_areas(context)
    return _compared_labels(context, metric)


def _compared_errors(
    context: CheckContext, metric: str
) -> tuple[float, float, Interval]:
    truth = data_of(context).truth
    theirs = answers_to(_baseline(context), data_of(context))
    both = [predictions(context), theirs]
    mine, baseline = (regression_metric(metric, truth, one) for one in both)
    ours_without, theirs_without = (_without_each(metric, truth, one) for one in both)
    return (
        mine,
        baseline,
        difference_interval(
            _gain(metric, mine, baseline),
            theirs_without - ours_without
            if metric in _LOSSES
            else ours_without - theirs_without,
            weight=row_weight(context),
        ),
    )


def _without_each(metric: str, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return a metric of regressors without each of the rows."""
    n, errors = len(truth), predicted - truth
    if metric == "mae":
        absolute = np.abs(errors)
        return np.asarray((absolute.sum() - absolute) / (n - 1))
    squares = errors**2
    if metric == "rmse":
        return np.asarray(np.sqrt(np.maximum(squares.sum() - squares, 0) / (n - 1)))
    around = (truth - truth.mean()) ** 2
    rest = around.sum() - around * n / (n - 1)
    return np.asarray(1 - (squares.sum() - squares) / rest)


def _compared_areas(context: CheckContext) -> tuple[float, float, Interval]:
    data, baseline = data_of(context), _baseline(context)
    ours = area_parts(probabilities(context), class_positions(context))
    theirs = area_parts(
        probabilities_of(baseline, data), positions_of(data.truth, baseline)
    )
    # A row moves the mean area by its part; rows seen to differ in none may yet.
    difference = ours.area - theirs.area
    return (
        ours.area,
        theirs.area,
        difference_interval(
            difference,
            difference - (ours.parts - theirs.parts),
            weight=row_weight(context),
            unseen=2 / (data.rows + 2) ** 2,
        ),
    )


def _compared_labels(
    context: CheckContext, metric: str
) -> tuple[float, float, Interval]:
    data, measure = data_of(context), label_metric(metric)
    ours = labels(context)
    theirs = Labels.of(data.truth, answers_to(_baseline(context), data))
    wholes = ours.confusion(), theirs.confusion()
    mine, baseline = (float(measure(whole)) for whole in wholes)
    groups = np.array_split(
        context.rng.permutation(data.rows), min(data.rows, _JACKKNIFE_GROUPS)
    )
    without = np.array(
        [
            float(measure(wholes[0] - ours.confusion(group)))
            - float(measure(wholes[1] - theirs.confusion(group)))
            for group in groups
        ]
    )
    sizes = np.bincount(ours.truth)
    # Bonett and Price 2012: two rows more on which the models differ, in each class.
    unseen = float((2 / (sizes[sizes > 0] + 2) ** 2).mean() / np.count_nonzero(sizes))
    return (
        mine,
        baseline,
        difference_interval(
            mine - baseline, without, weight=row_weight(context), unseen=unseen
        ),
    )
