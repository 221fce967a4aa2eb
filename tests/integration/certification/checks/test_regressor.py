"""regressor-baseline on real models and real data."""

import numpy as np
import pytest
import statsmodels.datasets
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.checks.regressor import conformal_width
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import DatasetError
from tests.helpers.speed import at_any_speed

SUITE = "regressor-baseline"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return train_test_split(X, y, test_size=0.3, random_state=0)


@pytest.fixture(scope="module")
def randhie():
    frame = statsmodels.datasets.randhie.load_pandas().data
    frame = frame.sample(6000, random_state=0)
    y = frame.pop("mdvis").to_numpy(float)
    return train_test_split(frame, y, test_size=0.3, random_state=0)


def certify(store, model, data, parameters=None):
    X_train, X_test, y_train, y_test = data
    with threadpool_limits(1):
        model.fit(X_train, y_train)
    request = build_request(
        model,
        suite=SUITE,
        dataset=(X_test, y_test, (X_train, y_train)),
        parameters=at_any_speed(parameters),
        artifacts=store,
    )
    return run_suite(request, artifacts=store)


@pytest.fixture(scope="module")
def ridge(store, diabetes):
    return certify(store, Ridge(0.1), diabetes)


def test_a_model_without_errors_is_not_blamed_for_them(store, diabetes):
    _, X, _, y = diabetes
    report = certify(store, DecisionTreeRegressor(random_state=0), (X, X, y, y))
    assert report.check("performance").value == 1.0
    assert report.check("conformal-coverage").outcome is Outcome.SKIPPED
    assert report.check("systematic-error").outcome is Outcome.PASSED
    assert report.check("leakage").outcome is Outcome.FAILED


def test_ridge_on_diabetes_is_certified(ridge):
    assert ridge.verdict is Verdict.CERTIFIED
    assert ridge.check("beats-dummy").value == pytest.approx(0.25, abs=0.02)
    assert ridge.check("beats-dummy").ci_low > 0.1
    assert ridge.check("performance").details["rmse"] == pytest.approx(55.2, abs=0.1)
    assert ridge.check("systematic-error").value == pytest.approx(0.079, abs=1e-3)
    assert 0.87 <= ridge.check("conformal-coverage").value <= 0.97
    assert ridge.check("leakage").value == 0


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [
        (Ridge(), -0.07, -0.04),
        (HistGradientBoostingRegressor(random_state=0), -1, 0.03),
    ],
    ids=["ridge", "boosting"],
)
def test_what_cannot_be_predicted_fails(store, randhie, model, low, high):
    report = certify(store, model, randhie)
    assert (report.verdict, report.rating) == (Verdict.FAILED, "F")
    assert low < report.check("beats-dummy").value < high
    assert report.check("beats-dummy").outcome is Outcome.FAILED
    # Many rows of this survey are alike, and the check sees it.
    assert report.check("leakage").outcome is Outcome.FAILED


def test_dummy_fails(store, diabetes):
    report = certify(store, DummyRegressor(), diabetes)
    assert report.verdict is Verdict.FAILED
    assert report.check("performance").outcome is Outcome.FAILED
    schema = report.check("schema-errors")
    assert schema.outcome is Outcome.FAILED
    assert "one column too few" in schema.message


def test_forest_overfits(store, diabetes):
    report = certify(store, RandomForestRegressor(30, random_state=0), diabetes)
    assert report.check("train-test-gap").outcome is Outcome.FAILED
    assert report.check("train-test-gap").value > 1


def test_bias_and_range_are_found(store, diabetes):
    X_train, X_test, y_train, y_test = diabetes
    model = Ridge(0.1).fit(X_train, y_train + 400)
    request = build_request(
        model, suite=SUITE, dataset=(X_test, y_test), artifacts=store
    )
    report = run_suite(request, artifacts=store)
    assert report.check("systematic-error").outcome is Outcome.FAILED
    assert report.check("range-sanity").value == 0
    assert report.verdict is Verdict.FAILED


def test_conformal_width_covers_as_promised():
    """With exchangeable errors the coverage is at least, and hardly more than, 90 %."""
    rng = np.random.default_rng(0)
    covered = [
        np.mean(np.abs(rng.normal(size=200)) <= conformal_width(errors, 0.9))
        for errors in np.abs(rng.normal(size=(400, 99)))
    ]
    assert 0.90 - 0.01 <= np.mean(covered) <= 0.90 + 0.02
    assert conformal_width(np.ones(5), 0.9) == np.inf
    assert conformal_width(np.arange(1.0, 100.0), 0.9) == 90


def test_baseline_by_mean_absolute_error(store, diabetes):
    report = certify(
        store,
        Ridge(0.1),
        diabetes,
        parameters={"baseline": DummyRegressor().fit(diabetes[0], diabetes[2])},
    )
    record = report.check("beats-baseline")
    assert record.outcome is Outcome.PASSED
    assert record.details["metric"] == "mae"
    assert record.value == pytest.approx(
        record.details["baseline"] - record.details["model"]
    )


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (["a"] * 442, "a regressor needs numbers"),
        ([np.inf] * 442, "infinite values"),
    ],
)
def test_targets_of_the_wrong_kind(store, y, text):
    X, real = load_diabetes(return_X_y=True)
    model = Ridge().fit(X, real)
    with pytest.raises(DatasetError, match=text):
        build_request(model, suite=SUITE, dataset=(X, y), artifacts=store)
