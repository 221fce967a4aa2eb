"""Whether predictions stand small changes that should not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    classifier_of,
    data_of,
    number,
    predictions,
    regressor_of,
    some_rows,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import mean_interval, wilson_interval
from myia_sdk.errors import ModelNotSeenError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from myia_sdk.certification.data.features import Features

_NOISE = {"scale": 0.1, "repeats": 5, "max_rows": 5000}
_MISSING = {"share": 0.05, "repeats": 3, "max_rows": 5000}
_NOT_CHANGED = "There are no dense columns of numbers to change."


@check(
    "noise-robustness",
    version="2.0.0",
    title="Robust against small noise",
    kinds=["classifier"],
    params=_NOISE,
    threshold=Threshold(comparator="<=", passed=0.05, warned=0.10, rule="bound"),
)
def noise_robustness(context: CheckContext) -> Measurement:
    """Share of labels that change under noise of a tenth of each feature's spread."""
    rows = some_rows(context, int(number(context, "max_rows")))
    features = data_of(context).features.take(rows)
    if not features.numeric:
        return Measurement.skipped(_NOT_CHANGED)
    before, predict = predictions(context)[rows], classifier_of(context).predict
    changed = np.mean(
        [predict(noisy) != before for noisy in _noisy(context, features)], axis=0
    )
    share = float(changed.mean())
    return Measurement(
        value=share,
        ci=wilson_interval(share * len(rows), len(rows)),
        n=len(rows),
        message=f"{share:.1%} of the labels change under small noise.",
        suggestions=(
            "Scale the features, regularise the model, or train with noise added.",
        ),
    )


@check(
    "noise-robustness",
    version="2.0.0",
    title="Robust against small noise",
    kinds=["regressor"],
    params=_NOISE,
    threshold=Threshold(comparator="<=", passed=0.05, warned=0.10, rule="bound"),
)
def regression_noise_robustness(context: CheckContext) -> Measurement:
    """Mean change of the prediction under noise, in spreads of the target."""
    data = data_of(context)
    rows = some_rows(context, int(number(context, "max_rows")))
    features = data.features.take(rows)
    spread = float(np.std(data.truth))
    if not features.numeric or spread == 0:
        return Measurement.skipped(_NOT_CHANGED)
    before, predict = predictions(context)[rows], regressor_of(context).predict
    after = np.mean(
        [np.abs(predict(noisy) - before) for noisy in _noisy(context, features)],
        axis=0,
    )
    change = float(after.mean()) / spread
    return Measurement(
        value=change,
        ci=mean_interval(after / spread),
        n=len(rows),
        message=f"Predictions move by {change:.1%} of the target's spread.",
        suggestions=("Regularise the model, or train with noise added.",),
    )


def _noisy(context: CheckContext, features: Features) -> Iterator[object]:
    """Yield the rows with noise, as often as the check says."""
    values, rng = features.numbers(), context.rng
    spread = np.nan_to_num(np.nanstd(values, axis=0))
    # An indicator has no small change.
    least, most = (one.reduce(values, axis=0) for one in (np.fmin, np.fmax))
    ends = (values == least) | (values == most)
    spread[(ends | np.isnan(values)).all(axis=0)] = 0
    spread *= number(context, "scale")
    for _ in range(int(number(context, "repeats"))):
        noise = rng.standard_normal(values.shape)
        noise *= spread
        noise += values
        yield features.with_numbers(noise).data


@check(
    "missing-values",
    version="2.0.0",
    title="Stands missing values, or says it does not",
    kinds=["classifier"],
    params=_MISSING,
    threshold=Threshold(comparator="<=", passed=0.10),
)
def missing_values(context: CheckContext) -> Measurement:
    """Share of labels that change when one value in twenty is missing.

    Raising an error is right as well: only a wrong answer without a word is not.
    """
    rows = some_rows(context, int(number(context, "max_rows")))
    features = data_of(context).features.take(rows)
    if not features.numeric:
        return Measurement.skipped(_NOT_CHANGED)
    rng, before = context.rng, predictions(context)[rows]
    changed = []
    for _ in range(int(number(context, "repeats"))):
        values = features.numbers()
        values[rng.random(values.shape) < number(context, "share")] = np.nan
        try:
            after = classifier_of(context).predict(features.with_numbers(values).data)
        except ModelNotSeenError:
            raise
        except Exception as exc:  # noqa: BLE001 - any error is the right answer
            return Measurement(
                outcome=Outcome.PASSED,
                n=len(rows),
                message=f"The model refuses missing values: {_short(exc)}",
                details={"refused": True},
            )
        changed.append(after != before)
    share = np.mean(changed, axis=0)
    return Measurement(
        value=float(share.mean()),
        ci=wilson_interval(float(share.mean()) * len(rows), len(rows)),
        n=len(rows),
        message=f"{share.mean():.1%} of the labels change with missing values.",
        suggestions=("Impute in the model, or refuse rows with missing values.",),
        details={"refused": False},
    )


@check(
    "determinism",
    version="1.0.0",
    title="The same rows give the same answer",
    kinds=["classifier", "regressor"],
    params={"rows": 100},
    threshold=Threshold(comparator=">=", passed=1.0),
)
def determinism(context: CheckContext) -> Measurement:
    """Share of rows with equal predictions when asked twice."""
    rows = some_rows(context, int(number(context, "rows")))
    chosen = data_of(context).features.take(rows)
    first, second = _outputs(context, chosen), _outputs(context, chosen)
    same = _equal_rows(first, second)
    return Measurement(
        value=float(same.mean()),
        n=len(rows),
        message=f"{int(same.sum())} of {len(rows)} rows are answered alike twice.",
        suggestions=("Fix the seeds, and use no randomness in predict().",),
    )


@check(
    "batch-invariance",
    version="1.0.0",
    title="A row is answered alike alone and among others",
    kinds=["classifier", "regressor"],
    params={"rows": 100, "single_rows": 20},
    threshold=Threshold(comparator=">=", passed=1.0),
)
def batch_invariance(context: CheckContext) -> Measurement:
    """Share of rows with the same answer alone, in a batch, and in another order."""
    rows = some_rows(context, int(number(context, "rows")))
    chosen = data_of(context).features.take(rows)
    batch = _outputs(context, chosen)
    order = context.rng.permutation(len(rows))
    shuffled = _outputs(context, chosen.take(order))
    same = np.empty(len(rows), dtype=bool)
    same[order] = _equal_rows(shuffled, batch[order])
    for place in range(min(len(rows), int(number(context, "single_rows")))):
        alone = _outputs(context, chosen.take(np.array([place])))
        same[place] &= bool(_equal_rows(alone, batch[[place]])[0])
    return Measurement(
        value=float(same.mean()),
        n=len(rows),
        message=(
            f"{int(same.sum())} of {len(rows)} rows do not depend on their company."
        ),
        suggestions=("Use statistics of the training data, not of the batch.",),
    )


def _outputs(context: CheckContext, features: Features) -> np.ndarray:
    """Predictions and, where there are, probabilities, one row per observation."""
    if context.model.family == "regressor":
        return regressor_of(context).predict(features.data)[:, None]
    model = classifier_of(context)
    if model.has_probabilities:
        return np.asarray(model.predict_proba(features.data))
    return np.asarray(model.predict(features.data)[:, None])


def _equal_rows(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.dtype.kind in "iuf" and other.dtype.kind in "iuf":
        # Single-precision models add in another order for another batch.
        close = np.isclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True)
        return np.asarray(close.all(axis=1))
    return np.asarray((one == other).all(axis=1))


def _short(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}"[:200]
