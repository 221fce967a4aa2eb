"""Metrics of classifiers and regressors, each with an interval that holds.

Metrics of predicted classes are functions of confusion matrices, and take one of shape
(classes, classes) or several at once, of shape (..., classes, classes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from myia_sdk.certification.statistics.intervals import (
    Interval,
    auc_interval,
    exact_bounds,
    has_heavy_tails,
    mean_interval,
    mean_share_interval,
    ratio_interval,
    wilson_interval,
)
from myia_sdk.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Draws of a confusion matrix: fewer of a large one, and so many numbers at a time.
_DRAWS = 1000
_LEAST_DRAWS = 100
_DRAWN_ELEMENTS = 20_000_000
_CHUNK_ELEMENTS = 4_000_000
#: Level at which the draws for Matthews' coefficient cover 95 %, by simulation.
_DRAWN_CONFIDENCE = 0.97


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value with its 95 % interval."""

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
        from pandas import factorize

        both = [values.astype(object) for values in (truth, predicted)]
        if truth.dtype.kind == predicted.dtype.kind:
            both = [truth, predicted]
        codes, found = factorize(np.concatenate(both), use_na_sentinel=False)
        classes = found.tolist()
        order = sorted(range(len(classes)), key=lambda one: _sort_key(classes[one]))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        coded = place[codes]
        return cls(
            coded[: len(truth)],
            coded[len(truth) :],
            tuple(classes[one] for one in order),
        )

    def confusion(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Confusion matrix of some rows, of shape (true, predicted)."""
        codes = self.truth[rows] * self.count + self.predicted[rows]
        counts = np.bincount(codes, minlength=self.count**2)
        return counts.reshape(self.count, self.count).astype(float)


def _sort_key(label: object) -> tuple[str, object]:
    if isinstance(label, bool | int | float):
        return ("", float(label))
    return (type(label).__name__, str(label))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    result = np.zeros(np.shape(part))
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of right predictions."""
    return np.asarray(_hits(confusion).sum(axis=-1) / confusion.sum(axis=(-2, -1)))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that occur."""
    support = confusion.sum(axis=-1)
    recalls = _ratio(_hits(confusion), support)
    return np.asarray(recalls.sum(axis=-1) / (support > 0).sum(axis=-1))


def recall_macro(confusion: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that occur or are predicted."""
    recalls = _ratio(_hits(confusion), confusion.sum(axis=-1))
    return _mean_over_present(recalls, confusion)


def precision_macro(confusion: np.ndarray) -> np.ndarray:
    """Mean precision over the classes that occur or are predicted."""
    precisions = _ratio(_hits(confusion), confusion.sum(axis=-2))
    return _mean_over_present(precisions, confusion)


def f1_macro(confusion: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes that occur or are predicted."""
    return _mean_over_present(_f1(confusion), confusion)


def f1_weighted(confusion: np.ndarray) -> np.ndarray:
    """F1 averaged over the classes by how often they occur."""
    support = confusion.sum(axis=-1)
    return np.asarray((_f1(confusion) * support).sum(axis=-1) / support.sum(axis=-1))


def _f1(confusion: np.ndarray) -> np.ndarray:
    both = confusion.sum(axis=-2) + confusion.sum(axis=-1)
    return _ratio(2 * _hits(confusion), both)


def matthews(confusion: np.ndarray) -> np.ndarray:
    """Matthews correlation coefficient."""
    total = confusion.sum(axis=(-2, -1))
    true, guessed = confusion.sum(axis=-1), confusion.sum(axis=-2)
    hits = _hits(confusion).sum(axis=-1)
    covariance = hits * total - (true * guessed).sum(axis=-1)
    scale = (total**2 - (true**2).sum(axis=-1)) * (total**2 - (guessed**2).sum(axis=-1))
    return _ratio(np.asarray(covariance), np.sqrt(np.maximum(scale, 0)))


def _mean_over_present(scores: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    present = (confusion.sum(axis=-2) + confusion.sum(axis=-1)) > 0
    return np.asarray((scores * present).sum(axis=-1) / present.sum(axis=-1))


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


def label_metric(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return a metric of predicted classes.

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
    return metric


def label_estimate(name: str, confusion: np.ndarray, weight: float = 1.0) -> Estimate:
    """Return a metric of predicted classes with its interval.

    Parameters
    ----------
    name : str
        One of `LABEL_METRICS`.
    confusion : array of shape (classes, classes)
        Counts by true and predicted class.
    weight : float
        What a row counts, less than 1 where there are copies.

    Notes
    -----
    Shares have Wilson's interval, means of shares that of `mean_share_interval`. F1
    follows from the share of hits among all rows that are or are taken for the class,
    whose bounds are exact (the indirect method of Lam, Gopal and Qian 2024, "Confidence
    intervals for the F1 score: a comparison of four methods"); averages over classes
    take the averages of the bounds, which holds however the classes depend on one
    another. Matthews' coefficient is drawn from the table's posterior distribution.
    """
    value = float(label_metric(name)(confusion))
    return Estimate(value, _LABEL_INTERVALS[name](confusion * weight))


def _accuracy_interval(counts: np.ndarray) -> Interval:
    return wilson_interval(float(np.trace(counts)), float(counts.sum()))


def _balanced_interval(counts: np.ndarray) -> Interval:
    support = counts.sum(axis=1)
    occurs = support > 0
    return mean_share_interval(np.diag(counts)[occurs], support[occurs])


def _recall_interval(counts: np.ndarray) -> Interval:
    return _macro_interval(counts, counts.sum(axis=1))


def _precision_interval(counts: np.ndarray) -> Interval:
    return _macro_interval(counts, counts.sum(axis=0))


def _macro_interval(counts: np.ndarray, trials: np.ndarray) -> Interval:
    """Classes that are present without a trial count as 0, as in scikit-learn."""
    tried = trials > 0
    present = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    part = float(tried.sum() / present.sum())
    low, high = mean_share_interval(np.diag(counts)[tried], trials[tried])
    return Interval(low * part, high * part)


def _f1_macro_interval(counts: np.ndarray) -> Interval:
    return _f1_interval(counts, np.ones(len(counts)))


def _f1_weighted_interval(counts: np.ndarray) -> Interval:
    return _f1_interval(counts, counts.sum(axis=1))


def _f1_interval(counts: np.ndarray, shares: np.ndarray) -> Interval:
    hits = np.diag(counts)
    involved = counts.sum(axis=0) + counts.sum(axis=1) - hits
    known = involved > 0
    low, high = (
        float(np.average(2 * bounds / (1 + bounds), weights=shares[known]))
        for bounds in exact_bounds(hits[known], involved[known])
    )
    return Interval(low, high)


def _matthews_interval(counts: np.ndarray) -> Interval:
    """Quantiles of draws; the wider of two weak priors, each wrong somewhere else."""
    rng = np.random.default_rng(0)
    tail = (1 - _DRAWN_CONFIDENCE) / 2
    draws = min(_DRAWS, max(_LEAST_DRAWS, _DRAWN_ELEMENTS // counts.size))
    size = max(1, min(draws, _CHUNK_ELEMENTS // counts.size))
    bounds = []
    for prior in (1 / len(counts), 1 / counts.size):
        drawn = np.concatenate(
            [
                matthews(rng.standard_gamma(counts + prior, (size, *counts.shape)))
                for _ in range(draws // size)
            ]
        )
        bounds.append(np.quantile(drawn, [tail, 1 - tail]))
    lows, highs = zip(*bounds, strict=True)
    return Interval(float(min(lows)), float(max(highs)))


_LABEL_INTERVALS: dict[str, Callable[[np.ndarray], Interval]] = {
    "accuracy": _accuracy_interval,
    "balanced_accuracy": _balanced_interval,
    "recall_macro": _recall_interval,
    "precision_macro": _precision_interval,
    "f1_macro": _f1_macro_interval,
    "f1_weighted": _f1_weighted_interval,
    "matthews_corrcoef": _matthews_interval,
}


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve of one score, ties counting half.

    Parameters
    ----------
    scores : array
        Greater means more likely positive.
    positive : array of bool
        Whether the row is positive; some are and some are not.
    """
    from scipy.stats import rankdata

    hits = int(np.count_nonzero(positive))
    ranks = float(rankdata(scores)[positive].sum())
    return (ranks - hits * (hits + 1) / 2) / (hits * (len(scores) - hits))


def auc_columns(probabilities: np.ndarray, truth: np.ndarray) -> list[int]:
    """Columns whose areas are averaged: the second of two classes, else each.

    Parameters
    ----------
    probabilities : array of shape (n, classes)
        As of ``predict_proba``.
    truth : array of int
        Position of the true class, -1 for one the model does not know.
    """
    classes = probabilities.shape[1]
    chosen = [1] if classes == 2 else range(classes)  # noqa: PLR2004
    counts = np.bincount(truth[truth >= 0], minlength=classes)
    return [column for column in chosen if 0 < counts[column] < len(truth)]


def auc_estimate(
    probabilities: np.ndarray, truth: np.ndarray, weight: float = 1.0
) -> Estimate:
    """Return the ROC AUC with its interval; several classes one against the rest.

    Parameters
    ----------
    probabilities, truth
        As for `auc_columns`.
    weight : float
        What a row counts.

    Notes
    -----
    The interval is Newcombe's of each area, and the mean of the bounds for several,
    which holds however the areas depend on one another.
    """
    found = []
    for column in auc_columns(probabilities, truth):
        positive = truth == column
        hits = int(positive.sum())
        area = roc_auc(probabilities[:, column], positive)
        others = len(truth) - hits
        found.append((area, *auc_interval(area, hits * weight, others * weight)))
    area, low, high = np.mean(found, axis=0)
    return Estimate(float(area), Interval(float(low), float(high)))


@dataclass(frozen=True, slots=True)
class AreaParts:
    """A ROC AUC and how much of it each row makes."""

    area: float
    #: What the area would lose without each row, about: its jackknife is less this.
    parts: np.ndarray


def area_parts(probabilities: np.ndarray, truth: np.ndarray) -> AreaParts:
    """Return the ROC AUC with what each row contributes to its variance.

    The structural components of DeLong, DeLong and Clarke-Pearson 1988, centred and by
    the size of their group, from ranks (Sun and Xu 2014).

    Parameters
    ----------
    probabilities, truth
        As for `auc_columns`.
    """
    from scipy.stats import rankdata

    columns = auc_columns(probabilities, truth)
    total, parts = 0.0, np.zeros(len(truth))
    for column in columns:
        scores, positive = probabilities[:, column], truth == column
        ranks = rankdata(scores)
        hits = int(positive.sum())
        others = len(truth) - hits
        placed = np.empty(len(truth))
        placed[positive] = (ranks[positive] - rankdata(scores[positive])) / others
        below = (ranks[~positive] - rankdata(scores[~positive])) / hits
        placed[~positive] = 1 - below
        area = float(placed[positive].mean())
        total += area
        parts += (placed - area) / np.where(positive, hits, others)
    return AreaParts(total / len(columns), parts / len(columns))


#: Metrics of regressors by name; only of ``r2`` is more better.
REGRESSION_METRICS = ("r2", "rmse", "mae")


def regression_metric(name: str, truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return ``r2``, ``rmse`` or ``mae``; NaN is the R2 of a constant target.

    Raises
    ------
    SuiteError
        No metric has this name.
    """
    errors = predicted - truth
    match name:
        case "mae":
            return float(np.abs(errors).mean())
        case "rmse":
            return math.sqrt(float((errors**2).mean()))
        case "r2":
            spread = float(((truth - truth.mean()) ** 2).sum())
            return 1 - float((errors**2).sum()) / spread if spread else math.nan
    raise SuiteError(
        f"No metric is called {name!r}; there are: {', '.join(REGRESSION_METRICS)}."
    )


def regression_estimate(
    name: str, truth: np.ndarray, predicted: np.ndarray, weight: float = 1.0
) -> Estimate:
    """Return ``r2``, ``rmse`` or ``mae`` with its interval.

    Parameters
    ----------
    name : str
        One of `REGRESSION_METRICS`.
    truth, predicted : array
        Of the same rows.
    weight : float
        What a row counts.

    Notes
    -----
    Errors with heavy tails have intervals that are twice as wide, on a logarithmic
    scale: see `has_heavy_tails`.
    """
    value = regression_metric(name, truth, predicted)
    errors = predicted - truth
    wide = {"weight": weight, "widened": 2.0 if has_heavy_tails(errors) else 1.0}
    if name == "mae":
        return Estimate(value, mean_interval(np.abs(errors), **wide))
    if name == "rmse":
        low, high = mean_interval(errors**2, **wide)
        return Estimate(value, Interval(math.sqrt(low), math.sqrt(high)))
    around = (truth - truth.mean()) ** 2
    if not around.any():
        return Estimate(value, Interval(-math.inf, 1.0))
    n = len(truth)
    low, high = ratio_interval(errors**2, around, removed=around * n / (n - 1), **wide)
    return Estimate(value, Interval(1 - high, 1 - low))
