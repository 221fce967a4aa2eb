"""Whether a difference is more than chance."""

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
