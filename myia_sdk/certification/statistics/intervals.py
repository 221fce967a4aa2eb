"""Statistics behind the checks, as pure functions of arrays.

Each agrees with scipy, statsmodels, scikit-learn or fairlearn to 1e-12, see the
tests; they are here because those libraries are large, or need a loop where one
array operation does.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

#: Numbers drawn at a time by the bootstrap, so that memory stays bounded.
_CHUNK_ELEMENTS = 4_000_000

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """Bounds of a confidence interval."""

    low: float
    high: float


def wilson_interval(
    successes: float, n: int, confidence: float = CONFIDENCE
) -> Interval:
    """Wilson's score interval of a share.

    Parameters
    ----------
    successes : float
        Number of successes, between 0 and ``n``.
    n : int
        Number of trials; 0 gives the interval that says nothing, 0 to 1.
    confidence : float
        Level, 0.95 by default.

    Examples
    --------
    >>> low, high = wilson_interval(20, 20)
    >>> round(low, 3)
    0.839
    """
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Where the bound is 0 or 1, rounding would leave some 1e-17.
    return Interval(
        0.0 if successes == 0 else max(0.0, (centre - spread) / scale),
        1.0 if successes == n else min(1.0, (centre + spread) / scale),
    )


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    n: int,
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Percentile bootstrap of a statistic that takes row weights.

    Drawing rows with replacement is the same as weighting each row by how often it
    was drawn, and a weighted statistic can be computed for all resamples at once.

    Parameters
    ----------
    statistic : callable
        Maps weights of shape (resamples, n) to one value per resample; NaN where a
        resample allows none.
    n : int
        Number of rows.
    rng : numpy.random.Generator
        Source of the resamples.
    resamples : int
        1000 by default: the Monte Carlo error of a bound is then well below the
        width of the interval.
    confidence : float
        Level, 0.95 by default.
    """
    size = max(1, min(resamples, _CHUNK_ELEMENTS // max(n, 1)))
    values = []
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        values.append(statistic(_draw_weights(n, count, rng)))
    found = np.concatenate(values)
    found = found[np.isfinite(found)]
    if not len(found):
        return Interval(-math.inf, math.inf)
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _draw_weights(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(0, n, size=(count, n))
    drawn += np.arange(count)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)


def bootstrap_mean(
    values: np.ndarray, rng: np.random.Generator, resamples: int = 1000
) -> Interval:
    """Percentile bootstrap of a mean over rows."""
    n = len(values)
    return bootstrap(lambda weights: weights @ values / n, n, rng, resamples=resamples)


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values for the false discovery rate.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    p_values = np.asarray(p_values, dtype=float)
    m = len(p_values)
    if m == 0:
        return p_values
    order = np.argsort(p_values)[::-1]
    scaled = p_values[order] * m / np.arange(m, 0, -1)
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled))
    return adjusted


def expected_calibration_error(
    confidence: np.ndarray, correct: np.ndarray, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over bins of equal width.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", with their 15 bins.

    Parameters
    ----------
    confidence : array
        Probability of the predicted class, per row.
    correct : array of bool
        Whether the prediction was right.
    bins : int
        Number of bins between 0 and 1, closed on the right.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.bincount(place, confidence, bins) - np.bincount(place, correct, bins)
    return float(np.abs(gap[count > 0]).sum() / len(confidence))


def calibration_bins(
    confidence: np.ndarray, correct: np.ndarray, bins: int = 15
) -> list[dict[str, float | int]]:
    """Describe the bins of `expected_calibration_error` that hold predictions.

    Parameters
    ----------
    confidence, correct, bins
        As for `expected_calibration_error`.

    Returns
    -------
    list of dict
        ``low high count confidence accuracy``: bounds, number of rows, their mean
        confidence, and the share of them that was right.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sure, right = (
        np.bincount(place, values, bins) / np.maximum(count, 1)
        for values in (confidence, correct)
    )
    return [
        {
            "low": one / bins,
            "high": (one + 1) / bins,
            "count": int(count[one]),
            "confidence": float(sure[one]),
            "accuracy": float(right[one]),
        }
        for one in np.flatnonzero(count).tolist()
    ]


def brier_score(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared distance between probabilities and the one-hot truth.

    Parameters
    ----------
    probabilities : array of shape (n, classes)
        One row per observation.
    truth : array of int
        Position of the true class; -1 for one the model does not know.
    """
    squares = (probabilities**2).sum(axis=1) + 1
    known = truth >= 0
    rows = np.flatnonzero(known)
    squares[known] -= 2 * probabilities[rows, truth[known]]
    return float(squares.mean())


def brier_skill(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Share by which the Brier score beats always telling the class shares (d2)."""
    shares = np.bincount(truth[truth >= 0], minlength=probabilities.shape[1])
    constant = np.broadcast_to(shares / len(truth), probabilities.shape)
    reference = brier_score(constant, truth)
    if reference == 0:
        return math.nan
    return 1 - brier_score(probabilities, truth) / reference


class Fairness(NamedTuple):
    """How differently groups are treated in one binary decision."""

    #: Smallest over greatest selection rate of a group; 1 is equal.
    parity_ratio: float
    #: Greatest difference of true or false positive rates; 0 is equal.
    odds_difference: float


def group_fairness(
    truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray
) -> Fairness:
    """Demographic parity ratio and equalised odds difference, as fairlearn's.

    Parameters
    ----------
    truth, predicted : array of bool
        Whether the decision should be, and is, positive.
    groups : array
        Group of each row.
    """
    _, codes = np.unique(groups, return_inverse=True)
    count = np.bincount(codes)
    selected = np.bincount(codes, predicted) / count
    ratio = 1.0 if selected.max() == 0 else selected.min() / selected.max()
    spreads = []
    for actual in (True, False):
        rows = truth == actual
        base = np.bincount(codes[rows], minlength=len(count))
        hits = np.bincount(codes[rows], predicted[rows], minlength=len(count))
        rates = np.divide(hits, base, out=np.zeros(len(count)), where=base > 0)
        spreads.append(rates.max() - rates.min())
    return Fairness(float(ratio), float(max(spreads)))


def one_sided_drop_p(
    hits_in: np.ndarray, n_in: np.ndarray, hits_all: int, n_all: int
) -> np.ndarray:
    """p-values that shares within slices are below those outside (Fisher, exact).

    Parameters
    ----------
    hits_in, n_in : array of int
        Successes and rows of each slice.
    hits_all, n_all : int
        Successes and rows of all.
    """
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.cdf(hits_in, n_all, hits_all, n_in))
