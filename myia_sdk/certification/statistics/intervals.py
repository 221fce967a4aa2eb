"""Confidence intervals: of shares, and of whatever can be resampled."""

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
