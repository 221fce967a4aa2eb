"""How differently a decision treats groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


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
