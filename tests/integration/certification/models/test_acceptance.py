"""All of scikit-learn: what is accepted predicts the same, bit for bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from myia_sdk.certification.models.files.sklearn import dump_estimator, load_estimator
from myia_sdk.errors import ModelRejectedError
from tests.helpers import zoo

#: Draw other numbers at each call, or add on several threads in another order.
_UNSTEADY = ("DummyClassifier", "LabelPropagation", "LabelSpreading")
#: What skops cannot store.
_KNOWN_REFUSALS = {"transformer Birch#0": "Birch"}


@pytest.mark.parametrize(
    "cases",
    [zoo.classifiers, zoo.regressors, zoo.transformers, zoo.ordinary],
    ids=lambda cases: cases.__name__,
)
def test_what_scikit_learn_has_is_accepted_and_predicts_the_same(
    cases: Callable[[], Iterator[zoo.Case]], capsys: pytest.CaptureFixture[str]
):
    accepted, refused, unfit = [], {}, []
    for case in cases():
        if case.unfit:
            unfit.append(f"{case.name}: {case.unfit}")
            continue
        try:
            copy = load_estimator(dump_estimator(case.estimator))
        except ModelRejectedError as error:
            refused[case.name] = str(error)
            continue
        accepted.append(case.name)
        _require_same(case, copy)
    with capsys.disabled():
        print(
            f"\n{cases.__name__}: {len(accepted)} accepted, {len(refused)} refused, "
            f"{len(unfit)} that scikit-learn does not fit on such data"
        )
        for name, reason in refused.items():
            print(f"  {name}: {reason}")
    assert set(refused) <= set(_KNOWN_REFUSALS), refused
    for name, reason in refused.items():
        assert _KNOWN_REFUSALS[name] in reason
    assert len(accepted) > 3 * len(unfit), unfit


def _require_same(case: zoo.Case, copy: object) -> None:
    compare = np.array_equal
    if any(name in case.name for name in _UNSTEADY):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method in ("predict", "predict_proba", "decision_function"):
            if not hasattr(case.estimator, method):
                assert not hasattr(copy, method)
                continue
            expected = np.asarray(getattr(case.estimator, method)(case.X))
            found = np.asarray(getattr(copy, method)(case.X))
            assert expected.dtype == found.dtype, case.name
            assert compare(expected, found), f"{case.name}.{method}"
