"""How much better one model is than another that answered the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from myia_sdk.certification.statistics.intervals import Interval, difference_interval
from myia_sdk.certification.statistics.metrics import (
    Labels,
    area_parts,
    label_metric,
    regression_metric,
)

if TYPE_CHECKING:
    from collections.abc import Callable

#: Metrics of which less is better.
_LOSSES = frozenset({"rmse", "mae"})
#: More would change the interval's width little: t with 199 degrees of freedom.
_JACKKNIFE_GROUPS = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """Values of two models, and how much better the first is, with its interval."""

    first: float
    second: float
    better: float
    interval: Interval


def area_difference(
    first: np.ndarray,
    second: np.ndarray,
    truth: tuple[np.ndarray, np.ndarray],
    weight: float = 1.0,
) -> Difference:
    """Compare ROC AUCs by DeLong's variance of their difference.

    Parameters
    ----------
    first, second : array of shape (n, classes)
        Probabilities of both models.
    truth : tuple of array of int
        Position of the true class among those of each model.
    weight : float
        What a row counts.
    """
    ours, theirs = area_parts(first, truth[0]), area_parts(second, truth[1])
    better = ours.area - theirs.area
    interval = difference_interval(
        better,
        better - (ours.parts - theirs.parts),
        weight=weight,
        # Rows seen to differ in none may yet.
        unseen=2 / (len(first) + 2) ** 2,
    )
    return Difference(ours.area, theirs.area, better, interval)


def label_difference(
    metric: str,
    first: Labels,
    second: Labels,
    rng: np.random.Generator,
    weight: float = 1.0,
) -> Difference:
    """Compare a metric of predicted classes by the jackknife over groups of rows.

    Parameters
    ----------
    metric : str
        One of `LABEL_METRICS`.
    first, second : Labels
        Of the same rows.
    rng : numpy.random.Generator
        Puts the rows into at most 200 groups.
    weight : float
        What a row counts.
    """
    measure, rows = label_metric(metric), len(first.truth)
    groups = np.array_split(rng.permutation(rows), min(rows, _JACKKNIFE_GROUPS))
    ours, theirs = (_without_groups(measure, one, groups) for one in (first, second))
    value, other = (float(measure(one.confusion())) for one in (first, second))
    sizes = np.bincount(first.truth)
    sizes = sizes[sizes > 0]
    # Bonett and Price 2012: two rows more on which the models differ, in each class.
    unseen = float((2 / (sizes + 2) ** 2).mean() / len(sizes))
    interval = difference_interval(
        value - other, ours - theirs, weight=weight, unseen=unseen
    )
    return Difference(value, other, value - other, interval)


def _without_groups(
    measure: Callable[[np.ndarray], np.ndarray],
    labels: Labels,
    groups: list[np.ndarray],
) -> np.ndarray:
    whole = labels.confusion()
    return np.array(
        [float(measure(whole - labels.confusion(group))) for group in groups]
    )


def error_difference(
    metric: str,
    first: np.ndarray,
    second: np.ndarray,
    truth: np.ndarray,
    weight: float = 1.0,
) -> Difference:
    """Compare ``r2``, ``rmse`` or ``mae`` by the jackknife over rows.

    Parameters
    ----------
    metric : str
        One of `REGRESSION_METRICS`.
    first, second, truth : array
        Predictions of both models, and what is true.
    weight : float
        What a row counts.
    """
    sign = -1.0 if metric in _LOSSES else 1.0
    value, other = (regression_metric(metric, truth, one) for one in (first, second))
    ours, theirs = (_without_rows(metric, truth, one) for one in (first, second))
    better = sign * (value - other)
    interval = difference_interval(better, sign * (ours - theirs), weight=weight)
    return Difference(value, other, better, interval)


def _without_rows(metric: str, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
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
