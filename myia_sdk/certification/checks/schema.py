"""Whether a model refuses what it cannot understand, instead of answering it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import (
    classifier_of,
    data_of,
    known_classes,
    regressor_of,
)
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.errors import ModelNotSeenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from myia_sdk.certification.data.features import Features

_PROBE_ROWS = 5
_UNSEEN = "a category nobody has seen"


class _Probe(NamedTuple):
    name: str
    rows: object
    #: Whether an answer is wrong, however it looks.
    must_refuse: bool
    #: Whether an answer deserves a warning.
    should_refuse: bool = False


class _Reaction(NamedTuple):
    probe: str
    outcome: Outcome
    text: str
    must_refuse: bool


@check(
    "schema-errors",
    version="2.0.0",
    title="Refuses rows it cannot understand",
    kinds=["classifier", "regressor"],
    threshold=Threshold(comparator=">=", passed=1.0),
)
def schema_errors(context: CheckContext) -> Measurement:
    """Share of malformed inputs that get no wrong answer.

    Rows of the wrong width and texts in place of numbers must be refused. Missing and
    infinite values, and unknown categories, may be answered, but not with a class that
    the model does not have; how they are answered is the check ``unknown-values``.
    """
    found = _reactions(context)
    if not found:
        return Measurement.skipped("The data have no features.")
    return _judged(found, (Outcome.FAILED,), "malformed inputs")


@check(
    "unknown-values",
    version="1.0.0",
    title="Says when a value tells it nothing",
    kinds=["classifier", "regressor"],
    threshold=Threshold(comparator=">=", passed=1.0, warned=0.0),
)
def unknown_values(context: CheckContext) -> Measurement:
    """Share of inputs without meaning that are refused, or understood.

    Missing and infinite values may be answered with a class or a finite number; NaN in
    place of an error is a warning, since whoever looks only at the class sees none. So
    is an answer to an unknown category as if it were known: encoders can be told to.
    """
    open_ended = [one for one in _reactions(context) if not one.must_refuse]
    if not open_ended:
        return Measurement.skipped("No value of these data could be unknown.")
    bad = (Outcome.FAILED, Outcome.WARNED)
    return _judged(open_ended, bad, "inputs without meaning")


def _judged(found: list[_Reaction], bad: tuple[Outcome, ...], what: str) -> Measurement:
    wrong = [f"{one.probe}: {one.text}" for one in found if one.outcome in bad]
    good = len(found) - len(wrong)
    return Measurement(
        value=good / len(found),
        n=len(found),
        message=(
            f"{good} of {len(found)} {what} are handled rightly"
            + (f"; not so {'; '.join(wrong)}" if wrong else "")
            + "."
        ),
        suggestions=("Validate the input before predicting.",) if wrong else (),
        details={
            one.probe: {"outcome": one.outcome.value, "answer": one.text}
            for one in found
        },
    )


def _reactions(context: CheckContext) -> list[_Reaction]:
    """Ask the model once what both checks look at."""

    def ask() -> object:
        rows = np.arange(min(_PROBE_ROWS, data_of(context).rows))
        features = data_of(context).features.take(rows)
        probes = _probes(features) if features.width else ()
        return [_react(context, probe) for probe in probes]

    return cast("list[_Reaction]", context.shared.get("malformed input", ask))


def _probes(features: Features) -> Iterator[_Probe]:
    if features.is_text:
        yield _Probe("numbers for texts", np.ones((features.rows, 2)), True)  # noqa: FBT003
        return
    if features.width > 1:
        narrow = features.without_last().data
        yield _Probe("one column too few", narrow, must_refuse=True)
    if not features.is_frame:
        wide = features.with_first_again().data
        yield _Probe("one column too many", wide, must_refuse=True)
    if features.numeric:
        yield _Probe("texts for numbers", _with_texts(features), must_refuse=True)
        for name, value in (("missing", np.nan), ("infinite", np.inf)):
            values = np.full((features.rows, len(features.numeric)), value)
            rows = features.with_numbers(values).data
            yield _Probe(f"all values {name}", rows, must_refuse=False)
    unseen = _with_unseen(features)
    if unseen is not None:
        yield _Probe("unknown category", unseen, False, should_refuse=True)  # noqa: FBT003


def _with_texts(features: Features) -> object:
    if features.is_frame:
        return _filled(features, features.numeric, "not a number")
    return np.full(features.data.shape, "not a number", dtype=object)


def _with_unseen(features: Features) -> object | None:
    if not features.is_frame:
        return None
    places = [
        place
        for place, dtype in enumerate(features.data.dtypes)
        if getattr(dtype, "kind", "O") not in "iufbMm"
    ]
    return _filled(features, places, _UNSEEN) if places else None


def _filled(features: Features, places: Sequence[int], text: str) -> object:
    column = np.full(features.rows, text, dtype=object)
    malformed: object = features.replaced(dict.fromkeys(places, column)).data
    return malformed


def _react(context: CheckContext, probe: _Probe) -> _Reaction:
    outcome, text = _reaction(context, probe)
    return _Reaction(probe.name, outcome, text, probe.must_refuse)


def _reaction(context: CheckContext, probe: _Probe) -> tuple[Outcome, str]:
    try:
        answer = _answer(context, probe.rows)
    except ModelNotSeenError:
        raise
    except Exception as exc:  # noqa: BLE001 - an error is the right answer
        return Outcome.PASSED, f"refused, {type(exc).__name__}"
    if probe.must_refuse:
        return Outcome.FAILED, f"answered {answer.ravel()[:3]}"
    if probe.should_refuse:
        return Outcome.WARNED, "answered as if it were known"
    if not _is_finite(answer):
        return Outcome.WARNED, "answered with NaN"
    if not _is_known(context, answer):
        return Outcome.FAILED, f"answered {answer.ravel()[:3]}"
    return Outcome.PASSED, "answered soundly"


def _answer(context: CheckContext, rows: object) -> np.ndarray:
    if context.model.family == "regressor":
        return regressor_of(context).predict(rows)
    model = classifier_of(context)
    answer = model.predict(rows)
    return model.predict_proba(rows) if model.has_probabilities else answer


def _is_finite(answer: np.ndarray) -> bool:
    return answer.dtype.kind not in "fc" or bool(np.isfinite(answer).all())


def _is_known(context: CheckContext, answer: np.ndarray) -> bool:
    model = classifier_of(context)
    if context.model.family == "regressor" or model.has_probabilities:
        return True
    return set(answer.ravel().tolist()) <= set(known_classes(context).tolist())
