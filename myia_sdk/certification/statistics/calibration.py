"""How far probabilities are from what they claim."""

from __future__ import annotations

import math

import numpy as np


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
