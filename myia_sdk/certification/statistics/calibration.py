"""How far probabilities are from what they claim."""

from __future__ import annotations

import math

import numpy as np

from myia_sdk.certification.statistics.intervals import Interval, ratio_interval


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


def calibration_interval(
    confidence: np.ndarray, correct: np.ndarray, bins: int = 15, weight: float = 1.0
) -> Interval:
    """Interval of `expected_calibration_error`, given the confidences.

    1.96 standard errors by the binomial distribution of each bin's hits. Chance alone
    makes gaps, so the error found is too great on average: by no more than the mean
    size of a normal deviation in each bin, which is taken off the lower bound.

    Parameters
    ----------
    confidence, correct, bins
        As for `expected_calibration_error`.
    weight : float
        What a row counts, less than 1 where there are copies.
    """
    found = calibration_bins(confidence, correct, bins)
    rows = np.array([one["count"] for one in found], dtype=float) * weight
    # Plus one of each kind: a bin without a miss is not certain.
    share = np.array([one["accuracy"] for one in found])
    share = (share * rows + 1) / (rows + 2)
    error = rows / rows.sum() * np.sqrt(share * (1 - share) / rows)
    value = expected_calibration_error(confidence, correct, bins)
    reach = 1.96 * math.sqrt(float((error**2).sum()))
    chance = math.sqrt(2 / math.pi) * float(error.sum())
    return Interval(max(0.0, value - reach - chance), min(1.0, value + reach))


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
    return float(_squares(probabilities, truth).mean())


def _squares(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    squares = np.einsum("ij,ij->i", probabilities, probabilities) + 1
    known = truth >= 0
    rows = np.flatnonzero(known)
    squares[known] -= 2 * probabilities[rows, truth[known]]
    # Rounding leaves some -1e-17 of a perfect answer.
    return np.asarray(np.maximum(squares, 0))


def brier_skill(
    probabilities: np.ndarray, truth: np.ndarray, weight: float = 1.0
) -> tuple[float, Interval]:
    """Share by which the Brier score beats always telling the class shares (d2).

    Parameters
    ----------
    probabilities, truth
        As for `brier_score`.
    weight : float
        What a row counts, less than 1 where there are copies.

    Returns
    -------
    tuple
        The share and its 95 % interval, by `ratio_interval`; both NaN when all rows are
        of one class.
    """
    shares = np.bincount(truth[truth >= 0], minlength=probabilities.shape[1])
    constant = np.broadcast_to(shares / len(truth), probabilities.shape)
    reference = _squares(constant, truth)
    if not reference.any():
        return math.nan, Interval(math.nan, math.nan)
    squares = _squares(probabilities, truth)
    low, high = ratio_interval(squares, reference, weight=weight)
    value = 1 - float(squares.sum()) / float(reference.sum())
    return value, Interval(1 - high, 1 - low)
