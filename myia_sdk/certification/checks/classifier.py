"""How good a classifier is: better than guessing, good enough, on every class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    class_positions,
    classifier_of,
    data_of,
    known_classes,
    labels,
    number,
    probabilities,
    some_rows,
    train_predictions,
    training_data,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.rows import row_weight
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import (
    Interval,
    rows_needed,
    wilson_interval,
)
from myia_sdk.certification.statistics.metrics import (
    LABEL_METRICS,
    Estimate,
    Labels,
    auc_estimate,
    label_estimate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from myia_sdk.certification.data.features import Features

_SHOWN_CLASSES = 100
_NAMED_CLASSES = 5
_MIN_DOMINANCE_ROWS = 40
_COLUMNS_AT_ONCE = 200


@check(
    "beats-dummy",
    version="2.0.0",
    title="Better than guessing",
    kinds=["classifier"],
    threshold=Threshold(comparator=">=", passed=0.10, rule="bound"),
)
def beats_dummy(context: CheckContext) -> Measurement:
    """Gain in balanced accuracy over a model that ignores its input.

    Such a model reaches one over the number of classes, which is what
    ``DummyClassifier`` measures. The gain is ``(score - dummy) / (1 - dummy)``.
    """
    found = labels(context)
    score = label_estimate("balanced_accuracy", found.confusion(), row_weight(context))
    dummy = 1 / len(np.unique(found.truth))
    gain, low, high = (
        (value - dummy) / (1 - dummy) for value in (score.value, *score.interval)
    )
    return Measurement(
        value=gain,
        ci=(low, high),
        n=len(found.truth),
        message=(
            f"Balanced accuracy {score.value:.3f} against {dummy:.3f} by guessing."
        ),
        suggestions=(
            "Check that y_test belongs to X_test, row by row.",
            "Check that the model was trained with the right labels.",
        ),
        details={"balanced_accuracy": score.value, "dummy": dummy},
    )


@check(
    "performance",
    version="2.0.0",
    title="Good enough on the test data",
    kinds=["classifier"],
    params={"metric": "auto"},
    threshold=Threshold(comparator=">=", passed=0.70, rule="bound"),
)
def performance(context: CheckContext) -> Measurement:
    """Return the metric the suite names, with its 95 % confidence interval.

    ``auto`` is the ROC AUC where the model gives probabilities, else the balanced
    accuracy. How each interval is made stands at `label_estimate` and `auc_estimate`.
    """
    metric = str(context.params["metric"])
    if metric == "auto":
        has_scores = classifier_of(context).has_probabilities
        metric = "roc_auc" if has_scores else "balanced_accuracy"
    confusion = labels(context).confusion()
    estimate = _measure(context, metric, confusion)
    return Measurement(
        value=estimate.value,
        ci=estimate.interval,
        n=data_of(context).rows,
        message=(
            f"{metric} {estimate.value:.3f} "
            f"({estimate.interval.low:.3f} to {estimate.interval.high:.3f})."
        ),
        suggestions=("Compare with the score on the training data.",),
        details={
            "metric": metric,
            **{name: float(found(confusion)) for name, found in LABEL_METRICS.items()},
        },
    )


def _measure(context: CheckContext, metric: str, confusion: np.ndarray) -> Estimate:
    weight = row_weight(context)
    if metric == "roc_auc":
        shares = probabilities(context)
        return auc_estimate(shares, class_positions(context), weight)
    return label_estimate(metric, confusion, weight)


class _Recall(NamedTuple):
    """How much of one class of the data is recognised."""

    label: object
    rows: int
    share: float
    interval: Interval
    #: NaN where the class is never predicted.
    precision: float
    precision_interval: Interval

    def to_record(self) -> dict[str, object]:
        """Return what the report's details show."""
        return {
            "rows": self.rows,
            "recall": self.share,
            "recall_interval": list(self.interval),
            "precision": self.precision,
            "precision_interval": list(self.precision_interval),
        }


@check(
    "per-class",
    version="1.0.0",
    title="Every class is recognised",
    kinds=["classifier"],
    params={"min_rows": 5},
    threshold=Threshold(comparator=">=", passed=0.50, rule="bound"),
)
def per_class(context: CheckContext) -> Measurement:
    """Recall of the class that is recognised worst; the precision of each beside it.

    Chance makes the worst of many classes look worse than it is, so the check fails
    only where the whole interval is below the threshold. Classes of which there are
    fewer rows than ``min_rows``, and those that the model knows and the data lack, are
    not measured: more rows would have to be given.
    """
    found, least = list(_recalls(context)), number(context, "min_rows")
    limit = context.thresholds.passed or 0.0
    worst = min(found, key=lambda one: (one.interval.high >= limit, one.interval.low))
    absent = _absent(context)
    scarce = [one.label for one in found if one.rows < least]
    outcome = needed = too_few = None
    if worst.interval.high < limit:
        outcome = Outcome.FAILED
    elif scarce or absent:
        outcome, needed = Outcome.WARNED, int(least)
    elif worst.share < limit:
        outcome = Outcome.WARNED
        needed = rows_needed(worst.rows, worst.share, worst.interval.high, limit)
        too_few = needed
    return Measurement(
        value=worst.share,
        ci=worst.interval,
        n=worst.rows,
        outcome=outcome,
        undecided=outcome is Outcome.WARNED,
        needed=needed,
        message=" ".join(
            _about_classes(context, found, worst, scarce, absent, needed=too_few)
        ),
        suggestions=(
            "Look at the rows of this class, and train with more of them.",
            "Weigh the classes, or move the threshold of the decision.",
        ),
        details={
            "classes": {
                str(one.label): one.to_record() for one in found[:_SHOWN_CLASSES]
            },
            "absent": [str(label) for label in absent[:_SHOWN_CLASSES]],
        },
    )


def _recalls(context: CheckContext) -> Iterator[_Recall]:
    coded, weight = labels(context), row_weight(context)
    confusion = coded.confusion()
    rows, answers = confusion.sum(axis=1), confusion.sum(axis=0)
    for place in np.flatnonzero(rows).tolist():
        hits = confusion[place, place]
        yield _Recall(
            coded.classes[place],
            int(rows[place]),
            float(hits / rows[place]),
            wilson_interval(hits * weight, rows[place] * weight),
            float(hits / answers[place]) if answers[place] else math.nan,
            wilson_interval(hits * weight, answers[place] * weight),
        )


def _absent(context: CheckContext) -> list[object]:
    occurring = set(data_of(context).truth.tolist())
    return [one for one in known_classes(context).tolist() if one not in occurring]


def _about_classes(
    context: CheckContext,
    found: list[_Recall],
    worst: _Recall,
    scarce: list[object],
    absent: list[object],
    *,
    needed: int | None,
) -> Iterator[str]:
    known = set(known_classes(context).tolist())
    unknown = [one.label for one in found if one.label not in known]
    never = [
        one.label
        for one in found
        if math.isnan(one.precision) and one.label not in unknown
    ]
    yield (
        f"Of class {worst.label!r}, {worst.share:.1%} of {worst.rows} rows are "
        "recognised."
    )
    if unknown:
        yield f"The model does not know the class {_named(unknown)}."
    if never:
        yield f"It never predicts the class {_named(never)}."
    if needed:
        yield f"Too few to tell: about {needed:,} would do."
    if scarce:
        yield f"There are too few rows of class {_named(scarce)}."
    if absent:
        yield f"The model knows the class {_named(absent)}, of which no row was given."


def _named(found: list[object]) -> str:
    more = len(found) - _NAMED_CLASSES
    shown = ", ".join(repr(label) for label in found[:_NAMED_CLASSES])
    return f"{shown} and {more} more" if more > 0 else shown


@check(
    "train-test-gap",
    version="2.0.0",
    title="As good on new data as in training",
    kinds=["classifier"],
    needs=["train"],
    threshold=Threshold(comparator="<=", passed=0.10),
)
def train_test_gap(context: CheckContext) -> Measurement:
    """Relative loss of balanced accuracy from training to test data.

    A loss beyond the threshold fails when its whole interval is beyond, and warns when
    it may be chance. The interval takes the farthest bounds of both scores.
    """
    data, train = data_of(context), training_data(context)
    coded = Labels.of(train.truth, train_predictions(context, train))
    before = label_estimate("balanced_accuracy", coded.confusion())
    after = label_estimate(
        "balanced_accuracy", labels(context).confusion(), row_weight(context)
    )
    gap = _loss(before.value, after.value)
    interval = (
        _loss(before.interval.low, after.interval.high),
        _loss(before.interval.high, after.interval.low),
    )
    outcome = context.thresholds.judge_problem(gap, interval)
    return Measurement(
        value=gap,
        ci=interval,
        n=data.rows,
        outcome=outcome,
        message=(
            f"Balanced accuracy {before.value:.3f} in training, {after.value:.3f} in "
            f"test{', which may be chance' if outcome is Outcome.WARNED else ''}."
        ),
        suggestions=(
            "The model fits its training data too closely: simplify or regularise it.",
            "Train with more data.",
        ),
        details={
            "train": before.value,
            "test": after.value,
            "train_rows": train.rows,
        },
    )


def _loss(before: float, after: float) -> float:
    return (before - after) / before if before else 0.0


@check(
    "single-feature-dominance",
    version="2.0.0",
    title="No feature gives the answer away",
    kinds=["classifier"],
    params={"bins": 10, "max_rows": 10_000},
    threshold=Threshold(comparator="<", passed=0.80, warned=0.95),
)
def single_feature_dominance(context: CheckContext) -> Measurement:
    """Predictive power of the best single feature.

    Each feature alone predicts the most frequent class of its bin, learned on one
    half of the rows and scored on the other, both ways. The power is the gain of
    balanced accuracy over guessing.
    """
    data = data_of(context)
    if data.features.is_text or data.features.is_sparse:
        return Measurement.skipped("A text or a sparse row is no set of few features.")
    if not data.features.width:
        return Measurement.skipped("The data have no features.")
    if data.rows < _MIN_DOMINANCE_ROWS:
        return Measurement.skipped("There are too few rows.")
    rows = some_rows(context, int(number(context, "max_rows")))
    features = data.features.take(rows)
    labels, truth = np.unique(data.truth[rows], return_inverse=True)
    half = context.rng.permutation(len(rows)) % 2 == 0
    powers = np.zeros(features.width)
    for place, codes in _binned(features, int(number(context, "bins"))):
        powers[place] = _power(codes, truth, half, len(labels))
    best = int(np.argmax(powers))
    name = features.names[best]
    return Measurement(
        value=float(powers[best]),
        n=len(rows),
        message=f"The feature {name!r} alone has the power {powers[best]:.3f}.",
        suggestions=(
            f"Make sure that {name!r} is known before the answer, not made from it.",
        ),
        details={"feature": name},
    )


def _binned(features: Features, bins: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each column's position and the bin of each row, missing ones for one."""
    from pandas import factorize

    numeric = features.numeric
    shares = np.linspace(0, 1, bins + 1)[1:-1]
    values = features.numbers() if numeric else np.empty((features.rows, 0))
    values[~np.isfinite(values)] = np.nan
    for start in range(0, len(numeric), _COLUMNS_AT_ONCE):
        block = values[:, start : start + _COLUMNS_AT_ONCE]
        for place, codes in enumerate(_quantile_bins(block, shares).T, start):
            yield numeric[place], codes
    for place in sorted(set(range(features.width)) - set(numeric)):
        codes, _ = factorize(features.column(place), use_na_sentinel=False)
        yield place, codes


def _quantile_bins(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    gaps = missing.any(axis=0)
    edges = np.empty((len(shares), values.shape[1]))
    edges[:, ~gaps] = np.quantile(values[:, ~gaps], shares, axis=0)
    for place in np.flatnonzero(gaps):
        known = values[~missing[:, place], place]
        edges[:, place] = np.quantile(known, shares) if len(known) else 0.0
    codes = np.zeros(values.shape, dtype=np.int64)
    for edge in edges:
        codes += values > edge
    codes[missing] = len(shares) + 1
    return codes


def _power(codes: np.ndarray, truth: np.ndarray, half: np.ndarray, count: int) -> float:
    width = int(codes.max()) + 1
    support = np.bincount(truth, minlength=count)
    tables = [
        np.bincount(codes[part] * count + truth[part], minlength=width * count).reshape(
            width, count
        )
        for part in (half, ~half)
    ]
    hits = np.zeros(count)
    for learned, scored in (tables, tables[::-1]):
        # Shares of a class, not counts: a rare class must be able to win a bin.
        guess = np.argmax(learned / np.maximum(support, 1), axis=1)
        hits += np.bincount(guess, scored[np.arange(width), guess], minlength=count)
    recall = (hits / support).mean()
    return float(max(0.0, (recall - 1 / count) / (1 - 1 / count)))
