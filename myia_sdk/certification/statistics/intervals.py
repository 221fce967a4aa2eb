"""Confidence intervals that hold: of shares, ROC AUC, means, their ratios, quantiles.

How often each covers the truth is measured by ``python -m tests.benchmarks.intervals``.
Where a function takes ``weight``, a row counts as that much of a row: less than 1 where
some rows are copies of others, and then the interval is as wide as without them.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIDENCE = 0.95
#: Excess kurtosis of errors, that of Laplace's distribution, beyond which intervals of
#: means and their ratios are doubled: by simulation they are too narrow else.
HEAVY_TAILS = 3.0

_TAIL = (1 - CONFIDENCE) / 2
_Z = NormalDist().inv_cdf(1 - _TAIL)
_STEPS = 60
_MOST_ROWS = 1e9
#: No distribution has an excess kurtosis below -2.
_LEAST_KURTOSIS = 1e-9


class Interval(NamedTuple):
    """Bounds of a confidence interval."""

    low: float
    high: float


def wilson_interval(
    successes: float, n: float, confidence: float = CONFIDENCE
) -> Interval:
    """Wilson's score interval of a share.

    Parameters
    ----------
    successes : float
        Number of successes, between 0 and ``n``.
    n : float
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
    spread = z * math.sqrt(max(0.0, share * (1 - share)) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Where the bound is 0 or 1, rounding would leave some 1e-17.
    return Interval(
        0.0 if successes == 0 else max(0.0, (centre - spread) / scale),
        1.0 if successes == n else min(1.0, (centre + spread) / scale),
    )


def mean_share_interval(successes: np.ndarray, trials: np.ndarray) -> Interval:
    """Interval of the plain mean of several independent shares, of recalls for one.

    The wider, at each end, of two that fail at different places: exact intervals
    (Clopper and Pearson 1934) joined by the method of variance estimates recovery (Zou
    and Donner 2008), too narrow for many shares near 1; and the score interval with
    shares estimated under each mean (Wilson's for a single share), too narrow for few
    trials a share.

    Parameters
    ----------
    successes, trials : array
        Of each share; the trials are positive.
    """
    hits, n = successes.astype(float), trials.astype(float)
    mean, shares = float(np.mean(hits / n)), hits / n
    low, high = exact_bounds(hits, n)
    count = len(n)
    recovered = (
        mean - math.sqrt(float(((shares - low) ** 2).sum())) / count,
        mean + math.sqrt(float(((high - shares) ** 2).sum())) / count,
    )
    return Interval(
        max(0.0, min(recovered[0], _score_bound(hits, n))),
        min(1.0, max(recovered[1], 1 - _score_bound(n - hits, n))),
    )


def exact_bounds(hits: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of Clopper and Pearson 1934 for each of several shares."""
    from scipy.stats import beta

    misses = n - hits
    # The clipped parameters belong to bounds that the outer choice replaces.
    low = beta.ppf(_TAIL, np.maximum(hits, 1e-9), misses + 1)
    high = beta.ppf(1 - _TAIL, hits + 1, np.maximum(misses, 1e-9))
    return np.where(hits > 0, low, 0.0), np.where(misses > 0, high, 1.0)


def _score_bound(hits: np.ndarray, n: np.ndarray) -> float:
    """Least mean that a score test does not refuse.

    Under a mean below the one found, the likeliest shares solve
    ``hits / p - misses / (1 - p) = multiplier`` with one multiplier for all of them.
    """
    count = len(n)
    mean = float(np.mean(hits / n))
    if mean == 0:
        return 0.0

    def shares(multiplier: float) -> np.ndarray:
        both = multiplier + n
        root = np.sqrt(np.maximum(both**2 - 4 * multiplier * hits, 0))
        return np.clip(2 * hits / (both + root), 0, 1)

    def is_refused(exponent: float) -> bool:
        p = shares(10**exponent)
        spread = math.sqrt(float((p * (1 - p) / n).sum())) / count
        return mean - float(p.mean()) > _Z * spread

    exponent = _first(is_refused, -6.0, 6 + math.log10(float(n.max())))
    return float(shares(10**exponent).mean())


def _first(is_so: Callable[[float], bool], low: float, high: float) -> float:
    """Find where something begins to be so: it is not so at low, and is at high."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_so(middle) else (middle, high)
    return low


def auc_interval(area: float, positives: float, negatives: float) -> Interval:
    """Interval of an area under the ROC curve.

    Newcombe 2006, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic, part 2", method 5: the areas from which the one found is
    less than 1.96 standard errors away, by Hanley and McNeil's variance with the mean
    of both group sizes in place of either. It keeps a width at an area of 1.

    Parameters
    ----------
    area : float
        Area found, 0 to 1.
    positives, negatives : float
        Number of rows of each kind, positive.
    """
    low = _least_area(area, positives, negatives)
    return Interval(low, 1 - _least_area(1 - area, positives, negatives))


def _least_area(area: float, positives: float, negatives: float) -> float:
    if area <= 0:
        return 0.0
    size = (positives + negatives) / 2 - 1

    def is_near(other: float) -> bool:
        variance = (
            other
            * (1 - other)
            * (1 + size * (1 - other) / (2 - other) + size * other / (1 + other))
        ) / (positives * negatives)
        return (area - other) ** 2 <= _Z**2 * variance

    # At 1 itself every area of 1 is near: the root below it is wanted.
    return _first(is_near, 0.0, min(area, 1 - 1e-9))


def mean_interval(
    values: np.ndarray, *, weight: float = 1.0, widened: float = 1.0
) -> Interval:
    """Interval of the mean of values that are not negative, of absolute errors for one.

    Student's t of the logarithm of the mean, by the delta method; above, where that is
    farther, a gamma distribution of the same variance, since means of few squares are
    skewed. The degrees of freedom are fewer where the values have tails, for then
    their variance is less certain (Satterthwaite 1946: ``2 n / (kurtosis + 2)``).

    Parameters
    ----------
    values : array
        One for each row.
    weight : float
        What a row counts, see above.
    widened : float
        Factor of the half width on the logarithmic scale.
    """
    from scipy.stats import chi2

    n, mean = len(values), float(values.mean())
    if n == 1:
        return Interval(0.0, math.inf)
    if mean == 0:
        return Interval(0.0, 0.0)
    error = float(values.std(ddof=1)) / math.sqrt(n * weight) / mean * widened
    if error == 0:
        return Interval(mean, mean)
    quantile = _t_of(values, weight)
    reach = math.exp(quantile * error)
    freedom = 2 / (error * quantile / _Z) ** 2
    skewed = freedom / float(chi2.ppf(_TAIL, freedom))
    return Interval(mean / reach, mean * max(reach, skewed))


def ratio_interval(
    top: np.ndarray,
    bottom: np.ndarray,
    *,
    removed: np.ndarray | None = None,
    weight: float = 1.0,
    widened: float = 1.0,
) -> Interval:
    """Interval of the ratio of two sums over the same rows.

    Student's t of the logarithm of the ratio, with the jackknife's standard error; the
    degrees of freedom are those of that error, see `mean_interval`.

    Parameters
    ----------
    top, bottom : array
        What each row adds to the sums; not negative.
    removed : array, optional
        What the lower sum loses without a row, if that is not what the row added: a sum
        of squares around the mean loses more.
    weight, widened : float
        As of `mean_interval`.
    """
    n, above, below = len(top), float(top.sum()), float(bottom.sum())
    if above == 0:
        return Interval(0.0, 0.0)
    lost = bottom if removed is None else removed
    rests = above - top, below - lost
    if min(float(rest.min()) for rest in rests) <= 0:
        # A single row is all of a sum, so nothing is known.
        return Interval(0.0, math.inf)
    without = np.log(rests[0] / rests[1])
    spread = float(((without - without.mean()) ** 2).sum())
    error = math.sqrt((n - 1) / n * spread / weight)
    reach = math.exp(min(_t_of(without, weight) * error * widened, 700.0))
    return Interval(above / below / reach, above / below * reach)


def difference_interval(
    difference: float, pseudo: np.ndarray, *, weight: float = 1.0, unseen: float = 0.0
) -> Interval:
    """Interval of a difference between two models that answered the same rows.

    Parameters
    ----------
    difference : float
        Difference found.
    pseudo : array
        What the difference was without each row, or without each group of rows.
    weight : float
        What a row counts.
    unseen : float
        Variance to add for rows on which the models were not seen to differ.
    """
    n = len(pseudo)
    spread = float(((pseudo - pseudo.mean()) ** 2).sum()) * (n - 1) / n
    reach = _t(weight * (n - 1)) * math.sqrt(spread / weight + unseen)
    return Interval(difference - reach, difference + reach)


def quantile_interval(values: np.ndarray, share: float) -> Interval:
    """Interval of a quantile by order statistics; it assumes no distribution.

    A bound is infinite where there are too few values: the 95th percentile has an upper
    bound from 72 values on.

    Parameters
    ----------
    values : array
        Values measured.
    share : float
        The quantile, 0.95 for the 95th percentile.

    Notes
    -----
    The order statistics whose ranks the binomial distribution gives (David and
    Nagaraja, "Order Statistics", section 7.1).
    """
    from scipy.stats import binom

    ordered, n = np.sort(values), len(values)
    ranks = binom.cdf(np.arange(n), n, share)
    below = np.flatnonzero(ranks <= _TAIL)
    above = np.flatnonzero(ranks >= 1 - _TAIL)
    return Interval(
        float(ordered[below[-1]]) if len(below) else -math.inf,
        float(ordered[above[0]]) if len(above) else math.inf,
    )


def rows_needed(n: float, value: float, bound: float, limit: float) -> int | None:
    """Return how many observations would tell a value from a limit.

    The distance of bound and value shrinks with the root of the number; four times out
    of five it is then shorter than that of limit and value (a power of 80 %).

    Parameters
    ----------
    n : float
        Observations that the value rests on.
    value, bound : float
        The value, and the bound of its interval on the side of the limit.
    limit : float
        What the value is compared with.

    Returns
    -------
    int or None
        With two significant digits; ``None`` where no number would do, or one beyond
        10^9.
    """
    if value == limit or not math.isfinite(bound):
        return None
    reach = (_Z + NormalDist().inv_cdf(0.8)) / _Z
    wanted = n * ((bound - value) / (value - limit) * reach) ** 2
    if wanted > _MOST_ROWS:
        return None
    digits = max(0, math.floor(math.log10(max(wanted, 1))) - 1)
    scale = float(10**digits)
    return int(math.ceil(wanted / scale) * scale)


def has_heavy_tails(errors: np.ndarray) -> bool:
    """Tell whether errors have heavier tails than means of them can be trusted with."""
    return _excess_kurtosis(errors) > HEAVY_TAILS


def _t_of(values: np.ndarray, weight: float) -> float:
    n = len(values)
    known = 2 * n / max(_excess_kurtosis(values) + 2, _LEAST_KURTOSIS)
    return _t(weight * min(n - 1, known))


def _t(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(1 - _TAIL, max(freedom, 1.0)))


def _excess_kurtosis(values: np.ndarray) -> float:
    centred = values - values.mean()
    variance = float(np.mean(centred**2))
    return float(np.mean(centred**4)) / variance**2 - 3 if variance else 0.0
