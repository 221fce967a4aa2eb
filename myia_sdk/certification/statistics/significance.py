"""Whether differences are more than chance, one of them or many at once."""

from __future__ import annotations

import numpy as np


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
