"""Statistics and metrics agree with the libraries that define them."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from myia_sdk.certification.statistics import (
    calibration,
    fairness,
    intervals,
    metrics,
)

EXACT = {"rel": 1e-12, "abs": 1e-12}


@given(st.integers(1, 5000), st.data())
@settings(max_examples=60, deadline=None)
def test_wilson_agrees_with_statsmodels_and_scipy(n, data):
    hits = data.draw(st.integers(0, n))
    found = intervals.wilson_interval(hits, n)
    expected = proportion_confint(hits, n, alpha=0.05, method="wilson")
    assert found == pytest.approx(expected, **EXACT)
    scipy_interval = scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert tuple(found) == pytest.approx(
        (scipy_interval.low, scipy_interval.high), **EXACT
    )


def test_wilson_s_outer_bounds_are_exact():
    assert intervals.wilson_interval(0, 5).low == 0.0
    assert intervals.wilson_interval(5, 5).high == 1.0


def test_wilson_of_nothing_says_nothing():
    assert intervals.wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("hits", "n", "bound"), [(5, 5, 0.566), (7, 7, 0.646), (20, 20, 0.839)]
)
def test_wilson_bounds_of_the_design(hits, n, bound):
    assert intervals.wilson_interval(hits, n).low == pytest.approx(bound, abs=5e-4)


def test_brier_and_its_skill_agree_with_sklearn():
    rng = np.random.default_rng(0)
    for classes in (2, 3, 7):
        shares = rng.dirichlet(np.ones(classes), 200)
        truth = np.concatenate([np.arange(classes), rng.integers(0, classes, 200)])[
            :200
        ]
        assert calibration.brier_score(shares, truth) == pytest.approx(
            sk.brier_score_loss(
                truth, shares, labels=range(classes), scale_by_half=False
            ),
            **EXACT,
        )
        skill, interval = calibration.brier_skill(shares, truth)
        assert skill == pytest.approx(
            sk.d2_brier_score(truth, shares, labels=range(classes)), **EXACT
        )
        assert interval.low < skill < interval.high


def test_calibration_error_by_hand():
    confidence = np.array([0.9, 0.9, 0.6, 0.6])
    right = np.array([True, False, True, True])
    # Two bins of two rows: |0.9 - 0.5| and |0.6 - 1.0|, each half of the rows.
    assert calibration.expected_calibration_error(confidence, right) == pytest.approx(
        0.4
    )


def test_calibration_error_agrees_with_sklearns_curve():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.001, 0.999, 3000)
    right = rng.random(3000) < confidence**2
    share, mean = calibration_curve(right, confidence, n_bins=15)
    count = np.histogram(confidence, np.linspace(0, 1, 16))[0]
    expected = np.sum(np.abs(share - mean) * count[count > 0]) / 3000
    assert calibration.expected_calibration_error(confidence, right) == pytest.approx(
        expected, **EXACT
    )


@pytest.mark.parametrize("seed", range(5))
def test_fairness_agrees_with_fairlearn(seed):
    fairlearn = pytest.importorskip("fairlearn.metrics")
    rng = np.random.default_rng(seed)
    truth, guess = rng.random((2, 400)) < 0.4
    groups = rng.choice(["a", "b", "c"], 400)
    found = fairness.group_fairness(truth, guess, groups)
    arguments = {"y_true": truth, "y_pred": guess, "sensitive_features": groups}
    assert found.parity_ratio == pytest.approx(
        fairlearn.demographic_parity_ratio(**arguments), **EXACT
    )
    assert found.odds_difference == pytest.approx(
        fairlearn.equalized_odds_difference(**arguments), **EXACT
    )


SKLEARN = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "recall_macro": lambda t, p, **k: sk.recall_score(
        t, p, average="macro", zero_division=0, **k
    ),
    "precision_macro": lambda t, p, **k: sk.precision_score(
        t, p, average="macro", zero_division=0, **k
    ),
    "f1_macro": lambda t, p, **k: sk.f1_score(t, p, average="macro", **k),
    "f1_weighted": lambda t, p, **k: sk.f1_score(t, p, average="weighted", **k),
    "matthews_corrcoef": sk.matthews_corrcoef,
}


@pytest.mark.parametrize("name", metrics.LABEL_METRICS)
def test_label_metrics_agree_with_sklearn(name):
    rng = np.random.default_rng(2)
    for classes in (2, 4):
        truth, guess = rng.integers(0, classes, (2, 120))
        labels = metrics.Labels.of(truth, guess)
        found = metrics.label_estimate(name, labels.confusion())
        assert found.value == pytest.approx(SKLEARN[name](truth, guess), **EXACT)
        assert found.interval.low < found.value < found.interval.high


@pytest.mark.parametrize("name", metrics.LABEL_METRICS)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_classes_that_only_occur_or_are_only_predicted_count_as_in_sklearn(name):
    truth = np.array([0, 0, 0, 1, 1, 2] * 10)
    guess = np.array([0, 0, 3, 1, 0, 0] * 10)
    # The fourth class is only predicted, the third never; the fifth is neither.
    table = np.zeros((5, 5))
    np.add.at(table, (truth, guess), 1)
    found = metrics.label_estimate(name, table)
    assert found.value == pytest.approx(SKLEARN[name](truth, guess), **EXACT)
    assert found.interval.low < found.value < found.interval.high


@pytest.mark.parametrize("name", metrics.LABEL_METRICS)
def test_several_tables_are_measured_at_once(name):
    tables = np.random.default_rng(3).integers(0, 9, (5, 3, 3)).astype(float)
    measure = metrics.label_metric(name)
    expected = [float(measure(table)) for table in tables]
    assert measure(tables).tolist() == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize(
    ("truth", "guess", "classes"),
    [
        ([1, 0, 1], [1.0, 0.0, 0.0], (0, 1)),
        (["b", "a", "b"], ["b", "c", "a"], ("a", "b", "c")),
        ([True, False, True], [True, True, True], (False, True)),
        ([2, 10, 2], [10, 10, 2], (2, 10)),
    ],
)
def test_labels_of_any_kind_are_coded_together_and_in_order(truth, guess, classes):
    found = metrics.Labels.of(np.array(truth), np.array(guess))
    assert found.classes == classes
    assert [found.classes[place] for place in found.truth] == truth
    assert [found.classes[place] for place in found.predicted] == guess
    assert found.confusion().sum() == 3
    assert found.confusion(np.array([0])).sum() == 1


def test_auc_agrees_with_sklearn_ties_included():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 20, 200) / 20
    positive = rng.random(200) < scores
    expected = sk.roc_auc_score(positive, scores)
    assert metrics.roc_auc(scores, positive) == pytest.approx(expected, **EXACT)
    shares = np.column_stack([1 - scores, scores])
    found = metrics.auc_estimate(shares, positive.astype(int))
    hits = int(positive.sum())
    bounds = intervals.auc_interval(expected, hits, 200 - hits)
    assert tuple(found.interval) == pytest.approx(tuple(bounds), **EXACT)
    parts = metrics.area_parts(np.column_stack([-scores, scores]), positive.astype(int))
    assert parts.area == pytest.approx(expected, **EXACT)
    for group in (positive, ~positive):
        assert parts.parts[group].sum() == pytest.approx(0, abs=1e-12)


def test_auc_of_several_classes_agrees_with_sklearn():
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.ones(3), 150)
    truth = rng.integers(0, 3, 150)
    expected = sk.roc_auc_score(truth, shares, multi_class="ovr")
    found = metrics.auc_estimate(shares, truth)
    assert found.value == pytest.approx(expected, **EXACT)
    assert metrics.area_parts(shares, truth).area == pytest.approx(expected, **EXACT)
    assert found.interval.low < found.value < found.interval.high


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("r2", sk.r2_score),
        ("rmse", sk.root_mean_squared_error),
        ("mae", sk.mean_absolute_error),
    ],
)
def test_regression_metrics_agree_with_sklearn(name, function):
    rng = np.random.default_rng(5)
    truth = rng.normal(1e6, 3, 200)
    guess = truth + rng.normal(0, 1, 200)
    found = metrics.regression_estimate(name, truth, guess)
    assert found.value == pytest.approx(function(truth, guess), rel=1e-9)
    assert found.interval.low < found.value < found.interval.high
    small = truth - 1e6, guess - 1e6
    assert metrics.regression_metric(name, *small) == pytest.approx(
        function(*small), **EXACT
    )


def test_unknown_metrics_are_named():
    from myia_sdk.errors import SuiteError

    with pytest.raises(SuiteError, match=r"'acuracy'.*balanced_accuracy"):
        metrics.label_metric("acuracy")
    with pytest.raises(SuiteError, match=r"'mse'.*r2, rmse, mae"):
        metrics.regression_metric("mse", *np.zeros((2, 5)))
