"""Whether a classifier's probabilities mean what they say."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    class_positions,
    classifier_of,
    data_of,
    is_right,
    number,
    probabilities,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.rows import row_weight
from myia_sdk.certification.checks.slices import find_slices
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.calibration import (
    brier_score,
    brier_skill,
    calibration_bins,
    calibration_interval,
    expected_calibration_error,
)

_NO_PROBABILITIES = "The model gives no probabilities."


@check(
    "calibration",
    version="2.0.0",
    title="Probabilities mean what they say",
    kinds=["classifier"],
    params={"bins": 15},
    threshold=Threshold(comparator="<=", passed=0.10, warned=1.0, rule="bound"),
)
def calibration(context: CheckContext) -> Measurement:
    """Measure the expected calibration error and the skill of the Brier score.

    A great error is a warning: good forests are often too modest. Probabilities that
    are worse than always telling the class shares fail, and warn where that may be
    chance.
    """
    if not classifier_of(context).has_probabilities:
        return Measurement.skipped(_NO_PROBABILITIES)
    shares, truth = probabilities(context), class_positions(context)
    right = np.argmax(shares, axis=1) == truth
    sure, bins = shares.max(axis=1), int(number(context, "bins"))
    error = expected_calibration_error(sure, right, bins)
    weight = row_weight(context)
    skill, (_, best_skill) = brier_skill(shares, truth, weight)
    is_useless = skill <= 0
    outcome = Outcome.FAILED if best_skill <= 0 else Outcome.WARNED
    return Measurement(
        value=error,
        ci=calibration_interval(sure, right, bins, weight),
        n=data_of(context).rows,
        outcome=outcome if is_useless else None,
        message=(
            f"Probabilities are off by {error:.3f} on average; their Brier skill is "
            f"{skill:.3f}{', worse than the class shares' if is_useless else ''}."
        ),
        suggestions=(
            "Calibrate the model: sklearn.calibration.CalibratedClassifierCV.",
        ),
        details={
            "brier": brier_score(shares, truth),
            "brier_skill": skill,
            "bins": calibration_bins(sure, right, bins),
        },
    )


@check(
    "confidence",
    version="1.0.0",
    title="Neither over- nor under-confident on a slice",
    kinds=["classifier"],
    params={"bins": 4, "min_share": 0.05, "min_rows": 30, "alpha": 0.10},
    threshold=Threshold(comparator="<=", passed=0.10),
)
def confidence(context: CheckContext) -> Measurement:
    """Greatest gap between mean confidence and accuracy on a slice of the data.

    A gap beyond the threshold fails when it is significant (false discovery rate
    over all slices), and warns when it may be chance.
    """
    if not classifier_of(context).has_probabilities:
        return Measurement.skipped(_NO_PROBABILITIES)
    slices = find_slices(context)
    if not slices.names:
        return Measurement.skipped("No slice of the data has enough rows.")
    sure, right = probabilities(context).max(axis=1), is_right(context)
    gaps, errors = slices.mean_and_error(sure - right)
    limit = context.thresholds.passed or 0.0
    scores = (np.abs(gaps) - limit) / np.maximum(errors, 1e-12)
    p_values = np.array([1 - NormalDist().cdf(float(score)) for score in scores])
    from scipy.stats import false_discovery_control

    significant = false_discovery_control(p_values) <= number(context, "alpha")
    beyond = np.abs(gaps) > limit
    chosen = np.abs(gaps) * (1 + (beyond & significant))
    worst = int(np.argmax(chosen))
    gap = float(gaps[worst])
    outcome = Outcome.PASSED
    if beyond.any():
        outcome = Outcome.FAILED if (beyond & significant).any() else Outcome.WARNED
    return Measurement(
        value=abs(gap),
        n=int(slices.sizes[worst]),
        ci=(abs(gap) - 1.96 * float(errors[worst]), abs(gap) + 1.96 * errors[worst]),
        outcome=outcome,
        message=(
            f"Where {slices.names[worst]}, the model is "
            f"{'over' if gap > 0 else 'under'}confident by {abs(gap):.3f}."
        ),
        suggestions=("Calibrate the model, and look at the data of this slice.",),
        details={"slice": slices.names[worst], "slices": len(slices.names)},
    )
