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
    significance,
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
        assert calibration.brier_skill(shares, truth) == pytest.approx(
            sk.d2_brier_score(truth, shares, labels=range(classes)), **EXACT
        )


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


def test_drop_of_a_slice_agrees_with_fishers_test():
    table = [[8, 12], [70, 10]]
    expected = scipy.stats.fisher_exact(table, alternative="less").pvalue
    found = significance.one_sided_drop_p(np.array([8]), np.array([20]), 78, 100)
    assert found[0] == pytest.approx(expected, **EXACT)


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
def test_weighted_label_metrics_agree_with_sklearn(name):
    rng = np.random.default_rng(2)
    truth, guess = rng.integers(0, 4, (2, 120))
    weights = rng.integers(1, 4, (5, 120))
    labels = metrics.Labels.of(truth, guess)
    found = metrics.LABEL_METRICS[name](labels.confusion(weights))
    expected = [SKLEARN[name](truth, guess, sample_weight=row) for row in weights]
    assert found == pytest.approx(expected, **EXACT)


def test_weighted_auc_agrees_with_sklearn_ties_included():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 20, 200) / 20
    positive = rng.random(200) < scores
    weights = rng.integers(0, 3, (5, 200))
    found = metrics.roc_auc(scores, positive)(weights)
    expected = [sk.roc_auc_score(positive, scores, sample_weight=w) for w in weights]
    assert found == pytest.approx(expected, **EXACT)


def test_auc_of_several_classes_agrees_with_sklearn():
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.ones(3), 150)
    truth = rng.integers(0, 3, 150)
    found = metrics.auc_metric(shares, truth, rng, resamples=10)
    expected = sk.roc_auc_score(truth, shares, multi_class="ovr")
    assert found.value == pytest.approx(expected, **EXACT)


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
    found = metrics.regression_metric(name, truth, guess, rng, resamples=10)
    assert found.value == pytest.approx(function(truth, guess), rel=1e-9)


def test_bootstrap_agrees_with_scipys_within_its_error():
    values = np.random.default_rng(6).exponential(size=300)
    found = intervals.bootstrap_mean(values, np.random.default_rng(7), 4000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", rng=8, n_resamples=4000
    ).confidence_interval
    assert tuple(found) == pytest.approx(tuple(theirs), abs=0.02)


def test_bootstrap_is_reproducible_and_independent_of_its_chunks(monkeypatch):
    values = np.random.default_rng(9).random(50)
    whole = intervals.bootstrap_mean(values, np.random.default_rng(1), 200)
    monkeypatch.setattr(intervals, "_CHUNK_ELEMENTS", 1000)
    parts = intervals.bootstrap_mean(values, np.random.default_rng(1), 200)
    assert whole == parts


def test_unknown_metric_is_named():
    from myia_sdk.errors import SuiteError

    with pytest.raises(SuiteError, match=r"'acuracy'.*balanced_accuracy"):
        metrics.label_metric("acuracy", *np.zeros((2, 5)), np.random.default_rng())
