"""Whether groups of people are treated alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    data_of,
    known_classes,
    number,
    predictions,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.slices import judge_errors, slices_of
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.fairness import Fairness, group_fairness

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_GROUPS = 10
_BINARY = 2


class _Finding(NamedTuple):
    column: str
    label: object
    rows: int
    groups: int
    fairness: Fairness


@check(
    "fairness",
    version="2.0.0",
    title="Groups are treated alike",
    kinds=["classifier"],
    needs=["sensitive"],
    params={
        "max_odds_difference": 0.10,
        "min_group_rows": 30,
        "positive": None,
        "fail": False,
    },
    threshold=Threshold(comparator=">=", passed=0.80, warned=0.0),
)
def fairness(context: CheckContext) -> Measurement:
    """Demographic parity ratio of the worst column, and equalised odds difference.

    The ratio is the four-fifths rule's. With two classes the second one, or the one
    named by ``positive``, is the decision; with more, each class in turn. Unequal
    treatment is a warning, unless the suite sets ``fail``: whether it is wrong
    depends on the use.
    """
    findings = list(_findings(context))
    if not findings:
        return Measurement.skipped("No sensitive column has two groups large enough.")
    worst = min(findings, key=lambda finding: finding.fairness.parity_ratio)
    odds = max(finding.fairness.odds_difference for finding in findings)
    ratio = worst.fairness.parity_ratio
    is_fair = context.thresholds.judge(ratio, None) is Outcome.PASSED
    is_fair = is_fair and odds <= number(context, "max_odds_difference")
    unfair = Outcome.FAILED if context.params["fail"] else Outcome.WARNED
    return Measurement(
        value=ratio,
        n=worst.rows,
        outcome=Outcome.PASSED if is_fair else unfair,
        message=(
            f"Between the groups of {worst.column!r} the least selected one is chosen "
            f"{ratio:.2f} times as often as the most selected; error rates differ by "
            f"up to {odds:.3f}."
        ),
        suggestions=(
            "Look at the selection and error rates of each group in the details.",
            "fairlearn offers ways to train under such constraints.",
        )
        if not is_fair
        else (),
        details={
            "equalized_odds_difference": odds,
            "columns": [
                {
                    "column": finding.column,
                    "class": finding.label,
                    "groups": finding.groups,
                    "demographic_parity_ratio": finding.fairness.parity_ratio,
                    "equalized_odds_difference": finding.fairness.odds_difference,
                }
                for finding in findings
            ],
        },
    )


def _findings(context: CheckContext) -> Iterator[_Finding]:
    data, predicted = data_of(context), predictions(context)
    labels = known_classes(context)
    positive = context.params["positive"]
    chosen = list(labels[1:]) if len(labels) == _BINARY else list(labels)
    if positive is not None:
        chosen = [label for label in labels if str(label) == str(positive)]
    for column, values in data.sensitive.items():
        groups, rows = _groups(values, int(number(context, "min_group_rows")))
        count = len(np.unique(groups[rows]))
        if count < _BINARY:
            continue
        for label in chosen:
            yield _Finding(
                column,
                label,
                int(rows.sum()),
                count,
                group_fairness(
                    data.truth[rows] == label, predicted[rows] == label, groups[rows]
                ),
            )


def _groups(values: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Group of each row, and which rows are in a group of enough rows."""
    if values.dtype.kind in "iuf" and len(np.unique(values)) > _MOST_GROUPS:
        numbers = values.astype(float)
        edges = np.nanquantile(numbers, [0.25, 0.5, 0.75])
        codes = np.searchsorted(edges, numbers)
        known = np.isfinite(numbers)
    else:
        texts = values.astype(str)
        _, codes = np.unique(texts, return_inverse=True)
        known = ~np.isin(texts, ["nan", "None", "NaT", "<NA>"])
    sizes = np.bincount(codes[known], minlength=int(codes.max()) + 1)
    return codes, known & (sizes[codes] >= least)


@check(
    "fairness",
    version="1.0.0",
    title="Groups are treated alike",
    kinds=["regressor"],
    needs=["sensitive"],
    params={"min_group_rows": 30, "alpha": 0.10, "fail": False},
    threshold=Threshold(comparator="<=", passed=0.20),
)
def regression_fairness(context: CheckContext) -> Measurement:
    """Relative growth of the mean absolute error in the group that fares worst.

    Judged as the slices of the features are. Unequal treatment is a warning, unless the
    suite sets ``fail``.
    """
    groups = slices_of(data_of(context).sensitive, 4, number(context, "min_group_rows"))
    if not groups.names:
        return Measurement.skipped("No sensitive column has two groups large enough.")
    found = judge_errors(context, groups)
    if found.outcome is Outcome.FAILED and not context.params["fail"]:
        return replace(found, outcome=Outcome.WARNED)
    return found
