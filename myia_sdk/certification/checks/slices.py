"""Slices of the data on which a model may be weaker than on the whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    data_of,
    is_right,
    number,
    predictions,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.significance import (
    one_sided_drop_p,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from myia_sdk.certification.data.features import Features

_PARAMS = {"bins": 4, "min_share": 0.05, "min_rows": 30, "alpha": 0.10}
#: Columns and values looked at; beyond, the rest is left out.
_MAX_COLUMNS = 500
_MAX_VALUES = 20
_WORST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Slices:
    """Named subsets of the rows, overlapping."""

    names: tuple[str, ...]
    #: One row per slice, whether each observation is in it.
    masks: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Number of rows of each slice."""
        return np.asarray(self.masks.sum(axis=1))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of ``values`` within each slice."""
        return np.asarray(self.masks.astype(float) @ values.astype(float))

    def mean_and_error(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of ``values`` within each slice, and its standard error."""
        sizes = self.sizes
        means = self.sums(values) / sizes
        variances = np.maximum(self.sums(values**2) / sizes - means**2, 0)
        return means, np.sqrt(variances / np.maximum(sizes - 1, 1))


def find_slices(context: CheckContext) -> Slices:
    """Cut each feature into ranges or values, and keep slices with enough rows."""
    wanted = [number(context, name) for name in ("bins", "min_share", "min_rows")]

    def cut() -> Slices:
        features = data_of(context).features
        least = max(wanted[1] * features.rows, wanted[2])
        kept = [
            (name, mask)
            for name, mask in _candidates(features, int(wanted[0]))
            if least <= mask.sum() < features.rows
        ]
        masks = np.array([mask for _, mask in kept]).reshape(len(kept), features.rows)
        return Slices(tuple(name for name, _ in kept), masks)

    return cast("Slices", context.shared.get(f"slices {wanted}", cut))


def _candidates(features: Features, bins: int) -> Iterator[tuple[str, np.ndarray]]:
    if features.is_text:
        lengths = np.array([len(str(text)) for text in features.data], dtype=float)
        yield from _ranges("length of the text", lengths, bins)
        return
    numeric = set(features.numeric)
    for place in range(min(features.width, _MAX_COLUMNS)):
        values, name = features.column(place), features.names[place]
        if place in numeric:
            yield from _ranges(name, values.astype(float), bins)
        else:
            yield from _values(name, values)


def _ranges(
    name: str, values: np.ndarray, bins: int
) -> Iterator[tuple[str, np.ndarray]]:
    missing = ~np.isfinite(values)
    if missing.any():
        yield f"{name} is missing", missing
    known = values[~missing]
    if not len(known):
        return
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)))
    for low, high in pairwise(edges):
        is_first = low == edges[0]
        above = values >= low if is_first else values > low
        sign = "≤" if is_first else "<"
        yield f"{low:.4g} {sign} {name} ≤ {high:.4g}", above & (values <= high)


def _values(name: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    texts = values.astype(str)
    found, counts = np.unique(texts, return_counts=True)
    for text in found[np.argsort(-counts, kind="stable")][:_MAX_VALUES]:
        yield f"{name} is {text}", texts == text


@check(
    "slices",
    version="1.0.0",
    title="No weak slice of the data",
    kinds=["classifier"],
    params=_PARAMS,
    threshold=Threshold(comparator="<=", passed=0.20),
)
def slices(context: CheckContext) -> Measurement:
    """Relative loss of accuracy on the worst slice against all rows.

    A loss beyond the threshold fails when it is significant (Fisher's exact test,
    false discovery rate over all slices), and warns when it may be chance.
    """
    found = find_slices(context)
    if not found.names:
        return Measurement.skipped("No slice of the data has enough rows.")
    right = is_right(context)
    overall = float(right.mean())
    hits, sizes = found.sums(right).round().astype(int), found.sizes
    if overall == 0:
        return Measurement(value=1.0, outcome=Outcome.FAILED, message="All is wrong.")
    drops = (overall - hits / sizes) / overall
    p_values = one_sided_drop_p(hits, sizes, int(right.sum()), len(right))
    return judge_slices(context, found, drops, p_values, "accuracy")


def judge_slices(
    context: CheckContext,
    found: Slices,
    drops: np.ndarray,
    p_values: np.ndarray,
    what: str,
) -> Measurement:
    """Conclude from the relative loss on each slice and how likely it is chance."""
    from scipy.stats import false_discovery_control

    significant = false_discovery_control(p_values) <= number(context, "alpha")
    limit = context.thresholds.passed or 0.0
    bad = (drops > limit) & significant
    worst = int(np.argmax(np.where(bad, drops + 10, drops)))
    outcome = Outcome.PASSED
    if (drops > limit).any():
        outcome = Outcome.FAILED if bad.any() else Outcome.WARNED
    order = np.argsort(-drops, kind="stable")[:_WORST_SHOWN]
    return Measurement(
        value=float(drops[worst]),
        n=int(found.sizes[worst]),
        outcome=outcome,
        message=(
            f"Where {found.names[worst]}, the {what} is {drops[worst]:.1%} worse than "
            f"on all rows{'' if significant[worst] else ', which may be chance'}."
        ),
        suggestions=(
            "Look at the rows of this slice, and collect more training data like them.",
        ),
        details={
            "slices": len(found.names),
            "worst": [
                {
                    "slice": found.names[place],
                    "rows": int(found.sizes[place]),
                    "drop": float(drops[place]),
                    "p": float(p_values[place]),
                }
                for place in order
            ],
        },
    )


@check(
    "slices",
    version="1.0.0",
    title="No weak slice of the data",
    kinds=["regressor"],
    params=_PARAMS,
    threshold=Threshold(comparator="<=", passed=0.20),
)
def regression_slices(context: CheckContext) -> Measurement:
    """Relative growth of the mean absolute error on the worst slice.

    Significance by Welch's t-test of the slice against the other rows.
    """
    from scipy.stats import ttest_ind_from_stats

    found = find_slices(context)
    if not found.names:
        return Measurement.skipped("No slice of the data has enough rows.")
    data = data_of(context)
    errors = np.abs(predictions(context) - data.truth)
    overall = float(errors.mean())
    if overall == 0:
        return Measurement(value=0.0, n=data.rows, message="No error on any row.")
    inside, outside = found, Slices(found.names, ~found.masks)
    means_in, errors_in = inside.mean_and_error(errors)
    means_out, errors_out = outside.mean_and_error(errors)
    p_values = ttest_ind_from_stats(
        means_in,
        errors_in * np.sqrt(inside.sizes),
        inside.sizes,
        means_out,
        errors_out * np.sqrt(outside.sizes),
        outside.sizes,
        equal_var=False,
        alternative="greater",
    ).pvalue
    drops = (means_in - overall) / overall
    return judge_slices(
        context, found, drops, np.nan_to_num(p_values, nan=1.0), "mean absolute error"
    )
