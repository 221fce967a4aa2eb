"""Whether a model is better than another one: the one in use, say."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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
from myia_sdk.certification.statistics.differences import (
    Difference,
    area_difference,
    error_difference,
    label_difference,
)
from myia_sdk.certification.statistics.metrics import Labels

if TYPE_CHECKING:
    from myia_sdk.certification.models import ClassifierAdapter


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
    found = _compared(context, metric)
    wanted = max(
        number(context, "min_absolute"),
        number(context, "min_relative") * abs(found.second),
        context.thresholds.passed or 0.0,
    )
    return Measurement(
        value=found.better,
        ci=found.interval,
        n=data_of(context).rows,
        threshold=Threshold(comparator=">=", passed=wanted, rule="bound"),
        message=(
            f"{metric} {found.first:.4g} against {found.second:.4g} of the baseline."
        ),
        suggestions=("Keep the baseline, or measure on more rows.",),
        details={"metric": metric, "model": found.first, "baseline": found.second},
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


def _compared(context: CheckContext, metric: str) -> Difference:
    data, baseline, weight = data_of(context), _baseline(context), row_weight(context)
    if metric == "roc_auc":
        theirs = probabilities_of(baseline, data)
        places = class_positions(context), positions_of(data.truth, baseline)
        return area_difference(probabilities(context), theirs, places, weight)
    answers = answers_to(baseline, data)
    if context.model.family == "regressor":
        ours = predictions(context)
        return error_difference(metric, ours, answers, data.truth, weight)
    coded = Labels.of(data.truth, answers)
    return label_difference(metric, labels(context), coded, context.rng, weight)
