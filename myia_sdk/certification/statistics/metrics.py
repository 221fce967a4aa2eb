"""Metrics of classifiers and regressors, for many resamples at once.

Every metric takes row weights of shape (resamples, rows), so that one call gives the
whole bootstrap; a single row of ones gives the plain value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from myia_sdk.certification.statistics.intervals import Interval, bootstrap
from myia_sdk.errors import SuiteError


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value with its 95 % bootstrap interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Labels:
    """True and predicted classes as positions in a common list of classes."""

    truth: np.ndarray
    predicted: np.ndarray
    #: The classes, in the order of the positions.
    classes: tuple[object, ...]

    @property
    def count(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @classmethod
    def of(cls, truth: np.ndarray, predicted: np.ndarray) -> Labels:
        """Code two arrays of classes together."""
        classes = sorted({*truth.tolist(), *predicted.tolist()}, key=_sort_key)
        place = {label: position for position, label in enumerate(classes)}
        return cls(
            np.array([place[label] for label in truth.tolist()]),
            np.array([place[label] for label in predicted.tolist()]),
            tuple(classes),
        )

    def confusion(self, weights: np.ndarray) -> np.ndarray:
        """Confusion matrices of shape (resamples, true, predicted)."""
        codes = self.truth * self.count + self.predicted
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        sums = np.add.reduceat(weights[:, order], starts, axis=1)
        matrices = np.zeros((len(weights), self.count * self.count))
        matrices[:, present] = sums
        return np.asarray(matrices.reshape(len(weights), self.count, self.count))


def _sort_key(label: object) -> tuple[str, object]:
    if isinstance(label, bool | int | float):
        return ("", float(label))
    return (type(label).__name__, str(label))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return _divide(part, whole, 0.0)


def _divide(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    result = np.full(np.shape(part), otherwise)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of right predictions."""
    hits = np.trace(confusion, axis1=1, axis2=2)
    return np.asarray(hits / confusion.sum(axis=(1, 2)))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that occur."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    support = confusion.sum(axis=2)
    occurs = support > 0
    return np.asarray(_ratio(hits, support).sum(axis=1) / occurs.sum(axis=1))


def recall_macro(confusion: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that occur or are predicted."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    return _mean_over_present(_ratio(hits, confusion.sum(axis=2)), confusion)


def precision_macro(confusion: np.ndarray) -> np.ndarray:
    """Mean precision over the classes that occur or are predicted."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    return _mean_over_present(_ratio(hits, confusion.sum(axis=1)), confusion)


def f1_macro(confusion: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes that occur or are predicted."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    both = confusion.sum(axis=1) + confusion.sum(axis=2)
    return _mean_over_present(_ratio(2 * hits, both), confusion)


def f1_weighted(confusion: np.ndarray) -> np.ndarray:
    """F1 averaged over the classes by how often they occur."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    support = confusion.sum(axis=2)
    scores = _ratio(2 * hits, confusion.sum(axis=1) + support)
    return np.asarray((scores * support).sum(axis=1) / support.sum(axis=1))


def matthews(confusion: np.ndarray) -> np.ndarray:
    """Matthews correlation coefficient."""
    total = confusion.sum(axis=(1, 2))
    true, guessed = confusion.sum(axis=2), confusion.sum(axis=1)
    hits = np.trace(confusion, axis1=1, axis2=2)
    covariance = hits * total - (true * guessed).sum(axis=1)
    scale = (total**2 - (true**2).sum(axis=1)) * (total**2 - (guessed**2).sum(axis=1))
    return _ratio(covariance, np.sqrt(scale))


def _mean_over_present(scores: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    present = (confusion.sum(axis=1) + confusion.sum(axis=2)) > 0
    return np.asarray((scores * present).sum(axis=1) / present.sum(axis=1))


#: Metrics by the names scikit-learn's scorers have.
LABEL_METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "recall_macro": recall_macro,
    "precision_macro": precision_macro,
    "f1_macro": f1_macro,
    "f1_weighted": f1_weighted,
    "matthews_corrcoef": matthews,
}

#: A metric of fixed predictions, as a function of row weights.
Weighted = Callable[[np.ndarray], np.ndarray]


def weighted_label_metric(
    name: str, truth: np.ndarray, predicted: np.ndarray
) -> Weighted:
    """Return a metric of predicted classes as a function of row weights.

    Raises
    ------
    SuiteError
        No metric has this name.
    """
    metric = LABEL_METRICS.get(name)
    if metric is None:
        raise SuiteError(
            f"No metric is called {name!r}; "
            f"there are: roc_auc, {', '.join(LABEL_METRICS)}."
        )
    labels = Labels.of(truth, predicted)
    return lambda weights: metric(labels.confusion(weights))


def label_metric(
    name: str,
    truth: np.ndarray,
    predicted: np.ndarray,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Estimate:
    """Return a metric of predicted classes with its bootstrap interval."""
    metric = weighted_label_metric(name, truth, predicted)
    return estimate(metric, len(truth), rng, resamples)


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> Weighted:
    """Return the weighted area under the ROC curve of one score.

    Parameters
    ----------
    scores : array
        Greater means more likely positive; ties count half.
    positive : array of bool
        Whether the row is positive.
    """
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    is_positive = positive[order]

    def area(weights: np.ndarray) -> np.ndarray:
        ordered = weights[:, order].astype(float)
        up = np.add.reduceat(ordered * is_positive, starts, axis=1)
        down = np.add.reduceat(ordered * ~is_positive, starts, axis=1)
        below = np.cumsum(down, axis=1) - down / 2
        pairs = up.sum(axis=1) * down.sum(axis=1)
        wins = (up * below).sum(axis=1)
        return _divide(wins, pairs, math.nan)

    return area


def weighted_auc(probabilities: np.ndarray, truth: np.ndarray) -> Weighted:
    """Return the ROC AUC by row weights; several classes one against the rest.

    Parameters
    ----------
    probabilities : array of shape (n, classes)
        As of ``predict_proba``.
    truth : array of int
        Position of the true class, -1 for one the model does not know.
    """
    classes = probabilities.shape[1]
    chosen = [1] if classes == 2 else list(range(classes))  # noqa: PLR2004
    areas = [
        roc_auc(probabilities[:, column], truth == column)
        for column in chosen
        if 0 < np.count_nonzero(truth == column) < len(truth)
    ]

    def mean_area(weights: np.ndarray) -> np.ndarray:
        found = np.stack([area(weights) for area in areas])
        return np.asarray(found.mean(axis=0))

    return mean_area


def auc_metric(
    probabilities: np.ndarray,
    truth: np.ndarray,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Estimate:
    """Return the ROC AUC with its bootstrap interval."""
    metric = weighted_auc(probabilities, truth)
    return estimate(metric, len(truth), rng, resamples)


def _regression(
    truth: np.ndarray, predicted: np.ndarray
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    errors = predicted - truth
    squares, absolute, truth_squares = errors**2, np.abs(errors), truth**2

    def r2(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        spread = weights @ truth_squares - (weights @ truth) ** 2 / total
        return np.asarray(1 - _divide(weights @ squares, spread, math.nan))

    return {
        "r2": r2,
        "rmse": lambda weights: np.sqrt(weights @ squares / weights.sum(axis=1)),
        "mae": lambda weights: weights @ absolute / weights.sum(axis=1),
    }


REGRESSION_METRICS = ("r2", "rmse", "mae")


def weighted_regression_metric(
    name: str, truth: np.ndarray, predicted: np.ndarray
) -> Weighted:
    """Return ``r2``, ``rmse`` or ``mae`` as a function of row weights.

    Raises
    ------
    SuiteError
        No metric has this name.
    """
    if name not in REGRESSION_METRICS:
        raise SuiteError(
            f"No metric is called {name!r}; there are: {', '.join(REGRESSION_METRICS)}."
        )
    # Centred: R2 does not change, and its sums of squares lose no digits.
    centre = truth.mean()
    return _regression(truth - centre, predicted - centre)[name]


def regression_metric(
    name: str,
    truth: np.ndarray,
    predicted: np.ndarray,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Estimate:
    """Return ``r2``, ``rmse`` or ``mae`` with its bootstrap interval."""
    metric = weighted_regression_metric(name, truth, predicted)
    return estimate(metric, len(truth), rng, resamples)


def estimate(
    metric: Weighted, n: int, rng: np.random.Generator, resamples: int
) -> Estimate:
    """Return a metric of ``n`` rows with its bootstrap interval."""
    value = float(metric(np.ones((1, n)))[0])
    return Estimate(value, bootstrap(metric, n, rng, resamples=resamples))
