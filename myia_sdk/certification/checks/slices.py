"""Slices of the data on which a model may be weaker than on the whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from myia_sdk.certification.data.features import Features

_PARAMS = {"bins": 4, "min_share": 0.05, "min_rows": 30, "alpha": 0.10}
#: Columns and values looked at; beyond, the rest is left out.
_MAX_COLUMNS = 500
_MAX_VALUES = 20
_WORST_SHOWN = 5


class _Cut(NamedTuple):
    """One column cut into ranges or values: disjoint slices."""

    #: Slice of each row among those of the column, -1 for none.
    codes: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slices:
    """Named subsets of the rows, overlapping where they are of different columns."""

    rows: int
    cuts: tuple[_Cut, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What each slice is."""
        return tuple(name for cut in self.cuts for name in cut.names)

    @property
    def sizes(self) -> np.ndarray:
        """Number of rows of each slice."""
        return self.sums(np.ones(self.rows)).round().astype(int)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of ``values`` within each slice."""
        weights = values.astype(float)
        return np.concatenate(
            [
                np.bincount(cut.codes + 1, weights, minlength=len(cut.names) + 1)[1:]
                for cut in self.cuts
            ]
        )

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
        found = (_kept(one, least) for one in _cuts(features, int(wanted[0])))
        return Slices(features.rows, tuple(one for one in found if one.names))

    return cast("Slices", context.shared.get(f"slices {wanted}", cut))


def slices_of(values: Mapping[str, np.ndarray], bins: int, least: float) -> Slices:
    """Cut columns that need not be features, as `find_slices` does."""
    found = [
        _kept(
            _ranges(name, column.astype(float), bins)
            if column.dtype.kind in "iuf" and len(np.unique(column)) > _MAX_VALUES
            else _values(name, column),
            least,
        )
        for name, column in values.items()
    ]
    rows = max((len(column) for column in values.values()), default=0)
    return Slices(rows, tuple(one for one in found if one.names))


def _kept(cut: _Cut, least: float) -> _Cut:
    """Leave out slices with too few rows, and those that are all rows."""
    sizes = np.bincount(cut.codes + 1, minlength=len(cut.names) + 1)[1:]
    chosen = np.flatnonzero((sizes >= least) & (sizes < len(cut.codes)))
    place = np.full(len(cut.names) + 1, -1, dtype=np.int16)
    place[chosen] = np.arange(len(chosen))
    return _Cut(place[cut.codes], tuple(cut.names[one] for one in chosen))


def _cuts(features: Features, bins: int) -> Iterator[_Cut]:
    if features.is_text:
        lengths = np.array([len(str(text)) for text in features.data], dtype=float)
        yield _ranges("length of the text", lengths, bins)
        return
    numeric, names = set(features.numeric), features.names
    for place in range(min(features.width, _MAX_COLUMNS)):
        values, name = features.column(place), names[place]
        if place in numeric:
            yield _ranges(name, values.astype(float), bins)
        else:
            yield _values(name, values)


def _ranges(name: str, values: np.ndarray, bins: int) -> _Cut:
    known = np.isfinite(values)
    if not known.any():
        return _Cut(np.zeros(len(values), dtype=np.int16), (f"{name} is missing",))
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, bins + 1)))
    codes = np.maximum(np.searchsorted(edges, values, side="left") - 1, 0)
    names = [
        f"{low:.4g} {'<' if place else '≤'} {name} ≤ {high:.4g}"
        for place, (low, high) in enumerate(pairwise(edges))
    ]
    inside = codes if names else -1
    return _Cut(
        np.where(known, inside, len(names)).astype(np.int16),
        (*names, f"{name} is missing"),
    )


def _values(name: str, values: np.ndarray) -> _Cut:
    from pandas import factorize

    codes, found = factorize(values, use_na_sentinel=False)
    common = np.argsort(-np.bincount(codes), kind="stable")[:_MAX_VALUES]
    place = np.full(len(found), -1, dtype=np.int16)
    place[common] = np.arange(len(common))
    names = tuple(f"{name} is {found[one]}" for one in common.tolist())
    return _Cut(place[codes], names)


@check(
    "slices",
    version="2.0.0",
    title="No weak slice of the data",
    kinds=["classifier"],
    params=_PARAMS,
    threshold=Threshold(comparator="<=", passed=0.20),
)
def slices(context: CheckContext) -> Measurement:
    """Relative loss of accuracy on the worst slice against all rows.

    A loss beyond the threshold fails when it is significantly beyond (exact binomial
    test, false discovery rate over all slices), and warns when that may be chance.
    """
    from scipy.stats import binom

    found = find_slices(context)
    if not found.names:
        return Measurement.skipped("No slice of the data has enough rows.")
    right = is_right(context)
    overall = float(right.mean())
    hits, sizes = found.sums(right).round().astype(int), found.sizes
    if overall == 0:
        return Measurement(value=1.0, outcome=Outcome.FAILED, message="All is wrong.")
    drops = (overall - hits / sizes) / overall
    p_values = binom.cdf(hits, sizes, (1 - _limit(context)) * overall)
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
    limit = _limit(context)
    bad = (drops > limit) & significant
    worst = int(np.argmax(np.where(bad, drops + 10, drops)))
    outcome = Outcome.PASSED
    if (drops > limit).any():
        outcome = Outcome.FAILED if bad.any() else Outcome.WARNED
    order = np.argsort(-drops, kind="stable")[:_WORST_SHOWN]
    may_be_chance = drops[worst] > limit and not significant[worst]
    return Measurement(
        value=float(drops[worst]),
        n=int(found.sizes[worst]),
        outcome=outcome,
        message=(
            f"Where {found.names[worst]}, the {what} is {drops[worst]:.1%} worse than "
            f"on all rows{', which may be chance' if may_be_chance else ''}."
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
    version="2.0.0",
    title="No weak slice of the data",
    kinds=["regressor"],
    params=_PARAMS,
    threshold=Threshold(comparator="<=", passed=0.20),
)
def regression_slices(context: CheckContext) -> Measurement:
    """Relative growth of the mean absolute error on the worst slice.

    Significance by Student's t-test of the slice against the greatest error allowed.
    """
    found = find_slices(context)
    if not found.names:
        return Measurement.skipped("No slice of the data has enough rows.")
    return judge_errors(context, found)


def judge_errors(context: CheckContext, found: Slices) -> Measurement:
    """Conclude from the errors of a regressor on each slice."""
    from scipy.stats import t

    data = data_of(context)
    errors = np.abs(predictions(context) - data.truth)
    overall = float(errors.mean())
    if overall == 0:
        return Measurement(value=0.0, n=data.rows, message="No error on any row.")
    means, spreads = found.mean_and_error(errors)
    beyond = means - (1 + _limit(context)) * overall
    # A slice without any spread of its errors is beyond or it is not.
    steps = beyond / np.maximum(spreads, 1e-12 * overall)
    drops = (means - overall) / overall
    return judge_slices(
        context, found, drops, t.sf(steps, found.sizes - 1), "mean absolute error"
    )


def _limit(context: CheckContext) -> float:
    return context.thresholds.passed or 0.0
