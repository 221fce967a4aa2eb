"""Verdicts that hold: measured thoroughly, and good, or not certified, saying why."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
)
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from myia_sdk import Predictions
from myia_sdk.certification.admission import build_request
from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.suites import load_suite
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import DatasetError, SubmissionWarning
from tests.helpers.speed import at_any_speed

CLASSIFIERS, REGRESSORS = "classifier-baseline", "regressor-baseline"
WARNING = Verdict.QUALITY_WARNING


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def certify(store):
    def certify(model, data, suite=None, **parameters):
        request = build_request(
            model,
            suite=suite,
            dataset=data,
            artifacts=store,
            parameters=at_any_speed(parameters),
        )
        return run_suite(request, artifacts=store)

    return certify


def split(load, test_size=None):
    X, y = load(return_X_y=True, as_frame=True)
    kind = y if y.nunique() < 20 else None
    return train_test_split(X, y, stratify=kind, random_state=0, test_size=test_size)


@pytest.fixture(scope="module")
def cancer():
    return split(load_breast_cancer)


def scaled(*data):
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*data)


def cap_of(report, check_id):
    """The reason for which a check keeps the model from being certified."""
    (reason,) = [
        one
        for one in report.reasons
        if one.startswith("Not certified") and f" {check_id} " in one
    ]
    return reason


def two_classes(rng, n, area):
    y = rng.integers(0, 2, size=n)
    X = rng.normal(size=(n, 5))
    X[:, 0] += math.sqrt(2) * norm.ppf(area) * y
    return X, y


@pytest.mark.parametrize(("area", "n"), [(0.68, 60), (0.68, 1000), (0.60, 20)])
def test_a_classifier_below_its_threshold_is_hardly_ever_certified(certify, area, n):
    """It was in 28 % of runs of 60 rows, in 16 % of 1,000, in 8 % at 0.60 of 20."""
    rng = np.random.default_rng(0)
    model = LogisticRegression().fit(*two_classes(rng, 20_000, area))
    reports = [certify(model, two_classes(rng, n, area)) for _ in range(12)]
    certified = [one for one in reports if one.verdict is Verdict.CERTIFIED]
    assert len(certified) <= 1
    for report in reports:
        record = report.check("performance")
        if record.outcome is Outcome.WARNED:
            assert record.needed > n
            assert f"about {record.needed:,} would do" in cap_of(report, "performance")


def test_a_good_classifier_is_certified(certify):
    rng = np.random.default_rng(0)
    model = LogisticRegression().fit(*two_classes(rng, 20_000, 0.85))
    reports = [certify(model, two_classes(rng, 1000, 0.85)) for _ in range(10)]
    certified = [one for one in reports if one.verdict is Verdict.CERTIFIED]
    assert len(certified) >= 9


def test_a_perfect_score_of_twenty_rows_has_a_width(certify, cancer):
    """It said: roc_auc 1.000 (1.000 to 1.000)."""
    X_train, X_test, y_train, y_test = cancer
    report = certify(scaled(X_train, y_train), (X_test[:20], y_test[:20]))
    record = report.check("performance")
    assert record.value == 1
    assert record.ci_low < 0.9
    assert record.ci_high == 1


def test_r2_that_may_be_nothing_is_not_certified(certify):
    """0.20 (-0.09 to 0.43) was certified, B, its critical check warned."""
    X_train, X_test, y_train, y_test = split(load_diabetes)
    forest = RandomForestRegressor(50, random_state=0).fit(X_train, y_train)
    report = certify(forest, (X_test, y_test))
    record = report.check("performance")
    assert record.ci_low < 0 < record.value
    assert report.verdict is WARNING
    assert "has too few observations: r2 0.20" in cap_of(report, "performance")


def test_a_failed_major_check_is_not_certified(certify):
    X_train, X_test, y_train, y_test = split(load_digits)
    report = certify(GaussianNB().fit(X_train, y_train), (X_test, y_test))
    assert (report.verdict, report.error_category) == (WARNING, "QUALITY_ISSUE")
    assert "of the labels change under small noise" in cap_of(
        report, "noise-robustness"
    )


@pytest.fixture(scope="module")
def rare():
    """0.9 % positives, of which a logistic regression misses more than half."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 8))
    y = (X[:, 0] + X[:, 1] + rng.normal(size=6000) * 0.5 > 3.6).astype(int)
    return X, y, LogisticRegression().fit(X[:3000], y[:3000])


def test_a_rare_class_that_is_missed_is_not_certified(certify, rare):
    X, y, model = rare
    report = certify(model, (X[3000:], y[3000:]))
    assert report.check("performance").outcome is Outcome.PASSED
    record = report.check("per-class")
    assert record.value < 0.5 < record.ci_high
    assert record.sample_size == y[3000:].sum()
    assert report.verdict is WARNING
    assert "Of class 1, 39.3% of 28 rows are recognised" in cap_of(report, "per-class")
    classes = record.details["classes"]
    assert classes["0"]["recall"] > 0.99
    assert classes["1"]["precision"] > 0.5
    assert classes["1"]["precision_interval"][0] < classes["1"]["precision"]


def test_a_class_of_which_just_half_is_found_is_not_certified(certify):
    """No number of rows tells a half from a half: it is undecided all the same."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [950, 50])
    answers = np.concatenate([np.zeros(975, dtype=int), np.ones(25, dtype=int)])
    report = certify(Predictions(truth, answers, data=rng.normal(size=(1000, 3))), None)
    record = report.check("per-class")
    assert (record.value, record.needed) == (0.5, None)
    assert record.undecided
    assert report.verdict is WARNING
    assert "Of class 1, 50.0% of 50 rows" in cap_of(report, "per-class")


def test_all_classes_that_are_never_predicted_are_named(certify):
    truth = ["a", "b", "c"] * 20
    rng = np.random.default_rng(0)
    report = certify(
        Predictions(truth, ["a"] * 60, data=rng.normal(size=(60, 3))), None
    )
    message = report.check("per-class").message
    assert "It never predicts the class 'b', 'c'." in message


def test_a_class_that_is_surely_missed_fails(certify, rare):
    X, _, model = rare
    more = np.flatnonzero((X[:, 0] + X[:, 1] > 2.2) & (X[:, 0] + X[:, 1] < 3.4))
    labels = np.zeros(len(X), dtype=int)
    labels[more] = 1
    report = certify(model, (X, labels))
    record = report.check("per-class")
    assert (record.outcome, record.needed) == (Outcome.FAILED, None)
    assert record.ci_high < 0.5


def test_a_class_without_a_test_row_is_named(certify):
    """It was certified, 100, A, without a word about it."""
    X_train, X_test, y_train, y_test = split(load_wine, 0.4)
    known = y_test != 2
    with pytest.warns(SubmissionWarning, match="no rows of '2'"):
        report = certify(scaled(X_train, y_train), (X_test[known], y_test[known]))
    record = report.check("per-class")
    assert (record.outcome, record.needed) == (Outcome.WARNED, 5)
    assert record.details["absent"] == ["2"]
    assert report.verdict is WARNING
    assert "knows the class 2, of which no row was given" in record.message


def test_classes_with_too_few_rows_are_named(certify):
    rng = np.random.default_rng(0)
    truth = ["a"] * 100 + ["b"] * 100 + ["c"] * 4
    report = certify(Predictions(truth, truth, data=rng.normal(size=(204, 3))), None)
    record = report.check("per-class")
    assert record.outcome is Outcome.WARNED
    assert "There are too few rows of class 'c'." in record.message
    enough = {"per-class": {"params": {"min_rows": 4}}}
    answers = Predictions(truth, truth, data=rng.normal(size=(204, 3)))
    report = certify(answers, None, checks=enough)
    assert report.check("per-class").outcome is Outcome.PASSED


def test_a_class_that_is_new_in_the_data_is_named(certify):
    X_train, X_test, y_train, y_test = split(load_wine, 0.4)
    known = y_train != 2
    model = scaled(X_train[known], y_train[known])
    report = certify(Predictions(y_test, model.predict(X_test), data=X_test), None)
    record = report.check("per-class")
    assert (record.outcome, record.value) == (Outcome.FAILED, 0.0)
    assert "Of class 2, 0.0%" in record.message
    assert "It never predicts the class 2." in record.message


def test_what_was_not_measured_is_said(certify, cancer):
    """Four to six of seventeen checks were skipped, and "score 100, A" said nothing."""
    X_train, X_test, y_train, y_test = cancer
    model = scaled(X_train, y_train)
    report = certify(model, (X_test, y_test))
    assert (report.level, report.missing) == (1, ("train", "sensitive", "baseline"))
    assert 0.7 < report.coverage < 0.8
    assert "78% of the suite, assurance level 1 of 3" in report.render()
    assert (
        "not measured on training data, groups of people, a baseline" in report.render()
    )
    train = {"X": X_test, "y": y_test, "train": (X_train, y_train)}
    more = certify(model, train)
    assert (more.level, more.missing) == (2, ("sensitive", "baseline"))
    assert more.coverage > report.coverage
    size = np.where(X_test["mean area"] > 650, "large", "small")
    groups = {**train, "sensitive": {"size": size}}
    forest = RandomForestClassifier(20, random_state=0).fit(X_train, y_train)
    whole = certify(model, groups, baseline=forest)
    assert (whole.level, whole.missing) == (3, ())
    assert whole.coverage == 1


def test_a_regressor_reaches_the_highest_level_as_well(certify):
    X_train, X_test, y_train, y_test = split(load_diabetes)
    model = LinearRegression().fit(X_train, y_train)
    data = {
        "X": X_test,
        "y": y_test,
        "train": (X_train, y_train),
        "sensitive": {"sex": np.where(X_test["sex"] > 0, "a", "b")},
    }
    worse = LinearRegression().fit(X_train.assign(bmi=0.0), y_train)
    report = certify(model, data, baseline=worse)
    assert (report.level, report.coverage) == (3, 1.0)
    record = report.check("fairness")
    assert record.outcome in {Outcome.PASSED, Outcome.WARNED}
    assert "sex is " in record.message


def test_copied_rows_are_counted_and_narrow_nothing(certify, cancer):
    """The same rows three times narrowed the interval, and nothing was said."""
    X_train, X_test, y_train, y_test = cancer
    model = scaled(X_train, y_train)
    once = certify(model, (X_test, y_test))
    thrice = certify(model, (pd.concat([X_test] * 3), pd.concat([y_test] * 3)))
    assert once.check("copies").value == 0
    record = thrice.check("copies")
    assert (record.outcome, record.value) == (Outcome.FAILED, pytest.approx(2 / 3))
    assert thrice.verdict is WARNING
    assert "286 of 429 test rows are copies" in cap_of(thrice, "copies")
    for check_id in ("performance", "beats-dummy", "calibration", "per-class"):
        one, more = once.check(check_id), thrice.check(check_id)
        assert more.value == pytest.approx(one.value)
        assert more.ci_low == pytest.approx(one.ci_low, abs=1e-3), check_id
        assert more.ci_high == pytest.approx(one.ci_high, abs=1e-3), check_id


def test_a_few_copies_are_said_and_allowed(certify, cancer):
    X_train, X_test, y_train, y_test = cancer
    X, y = pd.concat([X_test, X_test[:3]]), pd.concat([y_test, y_test[:3]])
    report = certify(scaled(X_train, y_train), (X, y))
    assert report.check("copies").outcome is Outcome.PASSED
    assert "3 of 146 test rows are copies" in report.check("copies").message
    assert report.verdict is Verdict.CERTIFIED


def test_rows_of_few_values_are_alike_by_chance(certify):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, size=(600, 4)).astype(float)
    y = (X[:, 0] + X[:, 1] + rng.normal(size=600) * 0.3 > 0.7).astype(int)
    report = certify(LogisticRegression().fit(X, y), (X, y))
    record = report.check("copies")
    assert record.outcome is Outcome.SKIPPED
    assert "as rows of so few values are by chance" in record.message
    # Each of them counts: as the interval of 600 rows is.
    low = report.check("performance").ci_low
    assert report.check("performance").value - low < 0.04


def test_a_weak_slice_must_be_shown_to_be_weak(certify):
    """The slice around a decision is always the hardest: that alone fails nobody."""
    rng = np.random.default_rng(5)
    model = LogisticRegression().fit(*two_classes(rng, 20_000, 0.8))
    found = [
        certify(model, two_classes(rng, 1000, 0.8)).check("slices") for _ in range(8)
    ]
    assert {one.outcome for one in found} <= {Outcome.PASSED, Outcome.WARNED}
    assert any(one.outcome is Outcome.WARNED for one in found)
    X, y = two_classes(rng, 1000, 0.95)
    wrong = np.flatnonzero(X[:, 3] > 0.7)
    answers = model.predict(X)
    answers[wrong] = 1 - answers[wrong]
    report = certify(Predictions(y, answers, data=X), None)
    assert report.check("slices").outcome is Outcome.FAILED


def test_a_suite_that_demands_more_is_not_met_by_test_data_alone(certify, cancer):
    X_train, X_test, y_train, y_test = cancer
    model = scaled(X_train, y_train)
    record = load_suite(CLASSIFIERS).to_record()
    policy = {**record["policy"], "min_level": 2}
    suite = {**record, "policy": policy}
    report = certify(model, (X_test, y_test), suite)
    assert report.verdict is WARNING
    assert "the assurance level is 1; at least 2 is demanded" in report.reasons[0]
    data = {"X": X_test, "y": y_test, "train": (X_train, y_train)}
    assert certify(model, data, suite).verdict is Verdict.CERTIFIED


def test_a_suite_for_certain_data_takes_no_easier_ones(certify, cancer, store):
    X_train, X_test, y_train, y_test = cancer
    model = scaled(X_train, y_train)
    digest = certify(model, (X_test, y_test)).dataset["artifact"]
    record = {**load_suite(CLASSIFIERS).to_record(), "data": {"digest": digest}}
    assert certify(model, (X_test, y_test), record).verdict is Verdict.CERTIFIED
    easy = (X_test[:50], y_test[:50])
    with pytest.raises(DatasetError, match="Certify on the data of the suite"):
        certify(model, easy, record)


def test_the_report_tells_whose_rules_it_is_by(certify, cancer, store):
    X_train, X_test, y_train, y_test = cancer
    model = scaled(X_train, y_train)
    request = build_request(model, dataset=(X_test, y_test), artifacts=store)
    official = run_suite(request, artifacts=store)
    assert (official.suite_origin, official.overridden) == ("official", ())
    assert "the official rules" in official.render()
    easier = certify(
        model,
        (X_test, y_test),
        checks={"performance": {"threshold": {"passed": 0.5}}},
    )
    assert easier.suite_origin == "changed"
    assert "performance" in easier.overridden
    assert "other checks or thresholds; the request changed" in easier.render()


def test_errors_with_heavy_tails_need_many_rows(certify):
    """No interval is known to hold for few of them, but against nothing it does."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    y = 5 * X[:, 0] + rng.standard_t(2, size=600)
    model = LinearRegression().fit(X[:300], y[:300])
    data = (X[300:], y[300:])
    record = certify(model, data).check("performance")
    assert record.outcome is Outcome.PASSED
    assert "heavy tails, so the interval is twice as wide" in record.message
    demanding = {"performance": {"threshold": {"passed": 0.5}}}
    report = certify(model, data, checks=demanding)
    record = report.check("performance")
    assert (record.outcome, record.needed) == (Outcome.WARNED, 1000)
    assert "Too few rows for such: 1000 would do." in record.message
    assert report.verdict is WARNING


@pytest.mark.parametrize("metric", ["roc_auc", "balanced_accuracy", "f1_macro"])
def test_a_better_model_beats_its_baseline(certify, cancer, metric):
    X_train, X_test, y_train, y_test = cancer
    good, few = scaled(X_train, y_train), X_train.columns[4:6]
    poor = scaled(
        X_train.assign(**dict.fromkeys(X_train.columns.drop(few), 0.0)), y_train
    )
    checks = {"beats-baseline": {"params": {"metric": metric}}}
    record = certify(good, (X_test, y_test), baseline=poor, checks=checks).check(
        "beats-baseline"
    )
    assert record.outcome is Outcome.PASSED
    assert 0 < record.ci_low < record.value < record.ci_high
    turned = certify(poor, (X_test, y_test), baseline=good, checks=checks).check(
        "beats-baseline"
    )
    assert turned.outcome is Outcome.FAILED
    assert turned.value == pytest.approx(-record.value)
    same = certify(good, (X_test, y_test), baseline=good, checks=checks).check(
        "beats-baseline"
    )
    assert (same.outcome, same.value, same.needed) == (Outcome.WARNED, 0.0, None)
    assert same.undecided
    assert same.ci_low < 0 < same.ci_high


@pytest.mark.parametrize("metric", ["mae", "rmse", "r2"])
def test_a_better_regressor_beats_its_baseline(certify, metric):
    X_train, X_test, y_train, y_test = split(load_diabetes)
    good = LinearRegression().fit(X_train, y_train)
    poor = LinearRegression().fit(X_train.assign(bmi=0.0, s5=0.0, bp=0.0), y_train)
    checks = {"beats-baseline": {"params": {"metric": metric}}}
    record = certify(good, (X_test, y_test), baseline=poor, checks=checks).check(
        "beats-baseline"
    )
    assert record.value > 0
    assert record.ci_low < record.value < record.ci_high
    assert record.outcome in {Outcome.PASSED, Outcome.WARNED}


def test_probabilities_that_are_useless_fail(certify):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    sure = np.where(rng.random(400) < 0.55, truth, 1 - truth)
    shares = np.column_stack([1 - sure, sure]) * 0.98 + 0.01
    answers = Predictions(truth, sure, shares, data=rng.normal(size=(400, 3)))
    record = certify(answers, None).check("calibration")
    assert record.outcome is Outcome.FAILED
    assert "worse than the class shares" in record.message


def test_columns_that_are_no_numbers_or_are_missing_have_slices(certify):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=800),
            "gap": np.where(rng.random(800) < 0.3, np.nan, rng.normal(size=800)),
            "nothing": np.full(800, np.nan),
            "same": np.ones(800),
            "colour": rng.choice(["red", "green"], 800),
        }
    )
    truth = rng.integers(0, 2, 800)
    hard = (frame["colour"] == "red") & frame["gap"].isna()
    answers = np.where(hard & (rng.random(800) < 0.9), 1 - truth, truth)
    record = certify(Predictions(truth, answers, data=frame), None).check("slices")
    assert record.outcome is Outcome.FAILED
    assert record.details["worst"][0]["slice"] == "gap is missing"
    assert record.details["worst"][0]["rows"] == frame["gap"].isna().sum()
    named = {one["slice"] for one in record.details["worst"]}
    assert "colour is red" in named
    # Four ranges of size, four and one of gap, two colours; the rest divides nothing.
    assert record.details["slices"] == 11
