"""How good a classifier is: better than guessing, good enough, generalising."""

from __future__ import annotations

import warnings

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    class_positions,
    classifier_of,
    data_of,
    number,
    predictions,
    probabilities,
    some_rows,
    train_predictions,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import wilson_interval
from myia_sdk.certification.statistics.metrics import (
    LABEL_METRICS,
    Estimate,
    Labels,
    auc_metric,
    balanced_accuracy,
    label_metric,
)

_SHOWN_CLASSES = 100
_MIN_SHUFFLE_ROWS = 20
_MIN_DOMINANCE_ROWS = 40


@check(
    "beats-dummy",
    version="1.0.0",
    title="Better than guessing",
    kinds=["classifier"],
    params={"resamples": 1000},
    threshold=Threshold(comparator=">=", passed=0.10),
)
def beats_dummy(context: CheckContext) -> Measurement:
    """Gain in balanced accuracy over a model that ignores its input.

    Such a model reaches one over the number of classes, which is what
    ``DummyClassifier`` measures. The gain is ``(score - dummy) / (1 - dummy)``, and
    the lower bound of its interval must be above zero as well.
    """
    truth = data_of(context).truth
    score = label_metric(
        "balanced_accuracy",
        truth,
        predictions(context),
        context.rng,
        int(number(context, "resamples")),
    )
    dummy = 1 / len(np.unique(truth))
    gain, low, high = (
        (value - dummy) / (1 - dummy) for value in (score.value, *score.interval)
    )
    outcome = context.thresholds.judge(gain, None)
    if low <= 0:
        outcome = Outcome.FAILED
    return Measurement(
        value=gain,
        ci=(low, high),
        n=len(truth),
        outcome=outcome,
        message=(
            f"Balanced accuracy {score.value:.3f} against {dummy:.3f} by guessing."
        ),
        suggestions=(
            "Check that y_test belongs to X_test, row by row.",
            "Check that the model was trained with the right labels.",
        )
        if outcome is Outcome.FAILED
        else (),
        details={"balanced_accuracy": score.value, "dummy": dummy},
    )


@check(
    "performance",
    version="1.0.0",
    title="Performance on the test data",
    kinds=["classifier"],
    params={"metric": "auto", "resamples": 1000},
    threshold=Threshold(comparator=">=", passed=0.70, rule="bound"),
)
def performance(context: CheckContext) -> Measurement:
    """Return the metric the suite names, with its 95 % confidence interval.

    ``auto`` is the ROC AUC where the model gives probabilities, else the balanced
    accuracy. The interval of the accuracy is Wilson's, all others are bootstrapped.
    """
    metric = str(context.params["metric"])
    if metric == "auto":
        has_scores = classifier_of(context).has_probabilities
        metric = "roc_auc" if has_scores else "balanced_accuracy"
    estimate = _measure(context, metric)
    labels = Labels.of(data_of(context).truth, predictions(context))
    confusion = labels.confusion(np.ones((1, data_of(context).rows)))
    others = {name: float(found(confusion)[0]) for name, found in LABEL_METRICS.items()}
    return Measurement(
        value=estimate.value,
        ci=estimate.interval,
        n=data_of(context).rows,
        message=(
            f"{metric} {estimate.value:.3f} "
            f"({estimate.interval.low:.3f} to {estimate.interval.high:.3f})."
        ),
        suggestions=(
            "A wide interval narrows with more test data.",
            "Compare with the score on the training data.",
        ),
        details={
            "metric": metric,
            **others,
            "classes": _by_class(labels, confusion[0]),
        },
    )


def _by_class(labels: Labels, confusion: np.ndarray) -> dict[str, dict[str, float]]:
    """Recall and precision of each class of the data, by its label."""
    hits, rows = np.diag(confusion), confusion.sum(axis=1)
    recalls = hits / np.maximum(rows, 1)
    # NaN where the class is never predicted.
    answers = confusion.sum(axis=0)
    precisions = np.where(answers > 0, hits / np.maximum(answers, 1), np.nan)
    return {
        str(labels.classes[place]): {
            "rows": int(rows[place]),
            "recall": float(recalls[place]),
            "precision": float(precisions[place]),
        }
        for place in np.flatnonzero(rows)[:_SHOWN_CLASSES]
    }


def _measure(context: CheckContext, metric: str) -> Estimate:
    resamples = int(number(context, "resamples"))
    truth = data_of(context).truth
    if metric == "roc_auc":
        return auc_metric(
            probabilities(context), class_positions(context), context.rng, resamples
        )
    estimate = label_metric(metric, truth, predictions(context), context.rng, resamples)
    if metric == "accuracy":
        hits = int((predictions(context) == truth).sum())
        return Estimate(estimate.value, wilson_interval(hits, len(truth)))
    return estimate


@check(
    "train-test-gap",
    version="1.0.0",
    title="Loss from training to test data",
    kinds=["classifier"],
    threshold=Threshold(comparator="<=", passed=0.10),
)
def train_test_gap(context: CheckContext) -> Measurement:
    """Relative loss of balanced accuracy from the training to the test data."""
    data = data_of(context)
    train = data.train
    if train is None:
        return Measurement.skipped("No training data were given.")
    on_train = _balanced(train.truth, train_predictions(context, train))
    on_test = _balanced(data.truth, predictions(context))
    gap = (on_train - on_test) / on_train if on_train else 0.0
    return Measurement(
        value=gap,
        n=data.rows,
        message=f"Balanced accuracy {on_train:.3f} in training, {on_test:.3f} in test.",
        suggestions=(
            "The model fits its training data too closely: simplify or regularise it.",
            "Train with more data.",
        ),
        details={"train": on_train, "test": on_test, "train_rows": train.rows},
    )


def _balanced(truth: np.ndarray, predicted: np.ndarray) -> float:
    confusion = Labels.of(truth, predicted).confusion(np.ones((1, len(truth))))
    return float(balanced_accuracy(confusion)[0])


@check(
    "label-shuffle",
    version="1.0.0",
    title="Learns from the labels",
    kinds=["classifier"],
    params={"permutations": 19, "max_rows": 200},
    threshold=Threshold(comparator="<=", passed=0.05),
)
def label_shuffle(context: CheckContext) -> Measurement:
    """Permutation test: does the model's kind learn more from true than shuffled y.

    A fresh copy is trained on half of the rows and scored on the other half, once
    with the true labels and 19 times with shuffled ones, the least number with which
    ``p <= 0.05`` can be reached.
    """
    model, data = classifier_of(context), data_of(context)
    if not model.is_trainable:
        return Measurement.skipped("The model cannot be trained again.")
    source = data.train or data
    labels, counts = np.unique(source.truth, return_counts=True)
    if source.rows < _MIN_SHUFFLE_ROWS or counts.min() < 2:  # noqa: PLR2004
        return Measurement.skipped("There are too few rows to split by class.")
    most = max(int(number(context, "max_rows")), 2 * len(labels))
    score, shuffled, p_value = _permutation_test(context, most)
    return Measurement(
        value=p_value,
        n=len(shuffled),
        message=(
            f"Balanced accuracy {score:.3f} with true labels, "
            f"{np.mean(shuffled):.3f} on average with shuffled ones."
        ),
        suggestions=("The features may say nothing about these labels.",),
        details={"score": score, "shuffled_best": float(np.max(shuffled))},
    )


def _permutation_test(
    context: CheckContext, most: int
) -> tuple[float, np.ndarray, float]:
    from sklearn.model_selection import (
        StratifiedShuffleSplit,
        permutation_test_score,
        train_test_split,
    )

    source = data_of(context).train or data_of(context)
    rows = np.arange(source.rows)
    if len(rows) > most:
        rows, _ = train_test_split(
            rows, train_size=most, stratify=source.truth, random_state=context.seed
        )
    with warnings.catch_warnings():
        # Copies trained on nonsense labels are expected not to converge.
        warnings.simplefilter("ignore")
        score, shuffled, p_value = permutation_test_score(
            classifier_of(context).estimator(),
            source.features.take(rows).data,
            source.truth[rows],
            scoring="balanced_accuracy",
            cv=StratifiedShuffleSplit(1, test_size=0.5, random_state=context.seed),
            n_permutations=int(number(context, "permutations")),
            random_state=context.seed,
        )
    return float(score), np.asarray(shuffled), float(p_value)


@check(
    "single-feature-dominance",
    version="1.0.0",
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
    powers = [
        _power(codes, truth, half, len(labels))
        for codes in (
            _binned(features.column(place), int(number(context, "bins")))
            for place in range(features.width)
        )
    ]
    best = int(np.argmax(powers))
    name = features.names[best]
    return Measurement(
        value=powers[best],
        n=len(rows),
        message=f"The feature {name!r} alone has the power {powers[best]:.3f}.",
        suggestions=(
            f"Make sure that {name!r} is known before the answer, not made from it.",
        ),
        details={"feature": name},
    )


def _binned(values: np.ndarray, bins: int) -> np.ndarray:
    if values.dtype.kind in "iufb":
        numbers = values.astype(float)
        known = numbers[np.isfinite(numbers)]
        if not len(known):
            return np.zeros(len(values), dtype=int)
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
        codes = np.searchsorted(edges, numbers, side="left")
        return np.where(np.isfinite(numbers), codes, len(edges) + 1)
    _, codes = np.unique(values.astype(str), return_inverse=True)
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
