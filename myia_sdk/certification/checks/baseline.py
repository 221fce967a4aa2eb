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
    number,
    predictions,
    probabilities,
    probabilities_of,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.metrics import (
    Weighted,
    estimate,
    weighted_auc,
    weighted_label_metric,
    weighted_regression_metric,
)

if TYPE_CHECKING:
    from myia_sdk.certification.models import ClassifierAdapter

#: Metrics of which less is better.
_LOSSES = frozenset({"rmse", "mae"})


@check(
    "beats-baseline",
    version="1.0.0",
    title="Better than the baseline model",
    kinds=["classifier", "regressor"],
    params={
        "metric": "auto",
        "min_absolute": 0.0,
        "min_relative": 0.0,
        "resamples": 1000,
    },
    threshold=Threshold(comparator=">=", passed=0.0, rule="bound"),
)
def beats_baseline(context: CheckContext) -> Measurement:
    """Difference of the metric between this model and the request's baseline.

    As MLflow's thresholds the difference must reach an absolute size, and a size
    relative to the baseline's value; here the lower bound of its interval must, and
    the point alone is a warning. Both models answer the same rows, so the rows are
    resampled in pairs.
    """
    if context.baseline is None:
        return Measurement.skipped("No baseline model was given.")
    metric = _metric_name(context)
    ours, theirs = _weighted(context, metric)
    sign = -1.0 if metric in _LOSSES else 1.0
    rows = data_of(context).rows
    found = estimate(
        lambda weights: sign * (ours(weights) - theirs(weights)),
        rows,
        context.rng,
        int(number(context, "resamples")),
    )
    all_rows = np.ones((1, rows))
    mine, baseline = float(ours(all_rows)[0]), float(theirs(all_rows)[0])
    wanted = max(
        number(context, "min_absolute"),
        number(context, "min_relative") * abs(baseline),
        context.thresholds.passed or 0.0,
    )
    return Measurement(
        value=found.value,
        ci=found.interval,
        n=rows,
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


def _weighted(context: CheckContext, metric: str) -> tuple[Weighted, Weighted]:
    data, baseline = data_of(context), _baseline(context)
    if metric == "roc_auc":
        place = {label: at for at, label in enumerate(baseline.classes.tolist())}
        truth = np.array([place.get(label, -1) for label in data.truth.tolist()])
        return (
            weighted_auc(probabilities(context), class_positions(context)),
            weighted_auc(probabilities_of(baseline, data), truth),
        )
    make = (
        weighted_regression_metric
        if context.model.family == "regressor"
        else weighted_label_metric
    )
    return (
        make(metric, data.truth, predictions(context)),
        make(metric, data.truth, answers_to(baseline, data)),
    )
