"""Intervals against the libraries, published figures, and the truth."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from myia_sdk.certification.statistics import calibration, intervals, metrics


@given(st.integers(1, 400), st.data())
@settings(max_examples=60, deadline=None)
def test_the_mean_of_one_share_is_the_wider_of_exact_and_wilson(n, data):
    hits = data.draw(st.integers(0, n))
    found = intervals.mean_share_interval(np.array([hits]), np.array([n]))
    exact = proportion_confint(hits, n, method="beta")
    score = proportion_confint(hits, n, method="wilson")
    assert found.low == pytest.approx(min(exact[0], score[0]), abs=1e-9)
    assert found.high == pytest.approx(max(exact[1], score[1]), abs=1e-9)


def test_a_mean_of_shares_keeps_a_width_where_all_are_perfect():
    ten = np.full(10, 20)
    found = intervals.mean_share_interval(ten, ten)
    assert found.high == 1
    # No worse than each share by itself, and better than none of them.
    assert intervals.wilson_interval(20, 20).low < found.low < 0.99
    nothing = intervals.mean_share_interval(np.zeros(10), ten)
    assert nothing.low == 0
    assert nothing.high == pytest.approx(1 - found.low, abs=1e-9)


@pytest.mark.parametrize("area", [0.5, 0.7, 0.9])
def test_large_areas_agree_with_hanley_and_mcneil(area):
    """For large groups Newcombe's interval is Wald's with their variance."""
    n = 20_000
    found = intervals.auc_interval(area, n, n)
    size = n - 1
    variance = (
        area
        * (1 - area)
        / n**2
        * (1 + size * (1 - area) / (2 - area) + size * area / (1 + area))
    )
    reach = 1.959964 * math.sqrt(variance)
    assert found.low == pytest.approx(area - reach, abs=1e-4)
    assert found.high == pytest.approx(area + reach, abs=1e-4)


@pytest.mark.parametrize(("positives", "negatives"), [(5, 9), (40, 3)])
def test_the_bounds_of_an_area_solve_newcombe_s_equation(positives, negatives):
    found = intervals.auc_interval(0.8, positives, negatives)
    for bound in found:
        size = (positives - 1 + negatives - 1) / 2
        first, second = bound / (2 - bound), 2 * bound**2 / (1 + bound)
        variance = (
            bound * (1 - bound) + size * (first - bound**2) + size * (second - bound**2)
        ) / (positives * negatives)
        assert (0.8 - bound) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-5)


def test_a_perfect_area_has_a_width():
    found = intervals.auc_interval(1.0, 10, 10)
    assert found.high == 1
    assert 0.75 < found.low < 0.85
    turned = intervals.auc_interval(0.0, 10, 10)
    assert turned.low == 0
    assert turned.high == pytest.approx(1 - found.low, abs=1e-9)
    # More rows, less width.
    assert found.low < intervals.auc_interval(1.0, 100, 100).low < 1


def test_copies_do_not_narrow_an_interval():
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 2
    scores = rng.normal(size=60) + truth
    shares = np.column_stack([-scores, scores])
    once = metrics.auc_estimate(shares, truth)
    thrice = metrics.auc_estimate(np.tile(shares, (3, 1)), np.tile(truth, 3), 1 / 3)
    assert thrice.value == pytest.approx(once.value)
    assert tuple(thrice.interval) == pytest.approx(tuple(once.interval))
    table = metrics.Labels.of(truth, (scores > 0.5).astype(int)).confusion()
    for name in metrics.LABEL_METRICS:
        one = metrics.label_estimate(name, table)
        more = metrics.label_estimate(name, 3 * table, 1 / 3)
        assert tuple(more.interval) == pytest.approx(tuple(one.interval)), name
    target, guess = rng.normal(size=(2, 60))
    for name in metrics.REGRESSION_METRICS:
        one = metrics.regression_estimate(name, target, guess)
        more = metrics.regression_estimate(
            name, np.tile(target, 3), np.tile(guess, 3), 1 / 3
        )
        assert tuple(more.interval) == pytest.approx(tuple(one.interval), rel=0.05), (
            name
        )


def test_a_mean_agrees_with_student_s_t_where_it_is_far_from_zero():
    values = np.random.default_rng(1).normal(100, 1, 50)
    found = intervals.mean_interval(values)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert tuple(found) == pytest.approx((expected.low, expected.high), rel=1e-3)
    wide = intervals.mean_interval(values, widened=2.0)
    assert wide.high - wide.low == pytest.approx(2 * (found.high - found.low), rel=0.01)


def test_a_mean_of_few_squares_is_skewed():
    """As the variance of normal values, whose interval is known to be exact."""
    rng = np.random.default_rng(9)
    squares = rng.normal(size=12) ** 2
    found = intervals.mean_interval(squares)
    exact = squares.sum() / scipy.stats.chi2.ppf(0.025, 12)
    assert found.high == pytest.approx(exact, rel=0.35)
    beyond = sum(
        intervals.mean_interval(rng.normal(size=12) ** 2).high < 1 for _ in range(1000)
    )
    assert beyond < 60


def test_means_at_their_ends():
    assert intervals.mean_interval(np.zeros(9)) == (0.0, 0.0)
    assert intervals.mean_interval(np.full(9, 2.0)) == (2.0, 2.0)
    assert intervals.mean_interval(np.ones(1)) == (0.0, math.inf)


def freedom(values):
    """Degrees of freedom of the variance of values, after Satterthwaite."""
    n = len(values)
    return min(n - 1, 2 * n / (scipy.stats.kurtosis(values) + 2))


def test_a_ratio_is_the_jackknife_s():
    rng = np.random.default_rng(2)
    top, bottom = rng.uniform(1, 2, (2, 30))
    found = intervals.ratio_interval(top, bottom)
    logs = [
        math.log(np.delete(top, row).sum() / np.delete(bottom, row).sum())
        for row in range(30)
    ]
    error = math.sqrt(29 / 30 * np.sum((logs - np.mean(logs)) ** 2))
    reach = scipy.stats.t.ppf(0.975, freedom(logs)) * error
    ratio = top.sum() / bottom.sum()
    assert tuple(found) == pytest.approx(
        (ratio * math.exp(-reach), ratio * math.exp(reach))
    )


def test_r2_without_a_row_moves_the_mean_as_well():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=25)
    predicted = truth + rng.normal(size=25) * 0.3
    found = metrics.regression_estimate("r2", truth, predicted)
    rests = [(np.delete(truth, row), np.delete(predicted, row)) for row in range(25)]
    logs = [math.log(1 - metrics.regression_metric("r2", *rest)) for rest in rests]
    error = math.sqrt(24 / 25 * np.sum((logs - np.mean(logs)) ** 2))
    reach = scipy.stats.t.ppf(0.975, freedom(logs)) * error
    left = 1 - found.value
    assert tuple(found.interval) == pytest.approx(
        (1 - left * math.exp(reach), 1 - left * math.exp(-reach))
    )


def test_a_ratio_that_hangs_on_one_row_says_nothing():
    alone = np.array([1.0, 0.0, 0.0])
    assert intervals.ratio_interval(np.ones(3), alone) == (0.0, math.inf)
    assert intervals.ratio_interval(alone, np.ones(3)) == (0.0, math.inf)
    assert intervals.ratio_interval(np.zeros(3), np.ones(3)) == (0.0, 0.0)


def test_heavy_tails_are_told_and_double_the_interval():
    rng = np.random.default_rng(4)
    truth = rng.normal(size=400)
    normal = truth + rng.normal(size=400)
    assert not intervals.has_heavy_tails(normal - truth)
    heavy = truth + rng.standard_t(2, size=400)
    assert intervals.has_heavy_tails(heavy - truth)
    assert not intervals.has_heavy_tails(np.ones(5))
    # What is wrong on average says nothing of the tails.
    assert intervals.has_heavy_tails(heavy - truth + 50)
    assert not intervals.has_heavy_tails(normal - truth + 50)
    found = metrics.regression_estimate("mae", truth, heavy).interval
    plain = intervals.mean_interval(np.abs(heavy - truth))
    assert math.log(found.high / found.low) > 1.9 * math.log(plain.high / plain.low)
    ratio = intervals.ratio_interval(np.abs(truth), np.abs(heavy))
    wide = intervals.ratio_interval(np.abs(truth), np.abs(heavy), widened=2.0)
    assert math.log(wide.high / wide.low) == pytest.approx(
        2 * math.log(ratio.high / ratio.low)
    )


@pytest.mark.parametrize(("n", "is_bounded"), [(71, False), (72, True)])
def test_a_95th_percentile_has_a_bound_from_72_values_on(n, is_bounded):
    found = intervals.quantile_interval(np.arange(float(n)), 0.95)
    assert math.isfinite(found.high) is is_bounded
    assert found.low <= np.quantile(np.arange(n), 0.95)


def test_order_statistics_cover_the_quantile():
    rng = np.random.default_rng(5)
    truth, hits = -math.log(0.05), 0
    for _ in range(400):
        found = intervals.quantile_interval(rng.exponential(size=200), 0.95)
        hits += found.low <= truth <= found.high
    assert hits >= 0.93 * 400


@pytest.mark.parametrize(
    ("value", "limit", "kind"),
    [(0.75, 0.70, "share"), (0.30, 0.35, "share"), (0.76, 0.70, "area")],
)
def test_with_as_many_rows_as_needed_the_bound_is_beyond_the_limit(value, limit, kind):
    def bound(n):
        found = (
            intervals.wilson_interval(value * n, n)
            if kind == "share"
            else intervals.auc_interval(value, n / 2, n / 2)
        )
        return found.low if value > limit else found.high

    n = 60
    needed = intervals.rows_needed(n, value, bound(n), limit)
    is_beyond = [(bound(one) > limit) is (value > limit) for one in (n, needed)]
    assert is_beyond == [False, True]
    # By a power of 80 %: half of them would do half of the time.
    assert ((bound(needed / 3) > limit) is (value > limit)) is False


def test_no_number_of_rows_tells_what_is_alike():
    assert intervals.rows_needed(50, 0.7, 0.6, 0.7) is None
    assert intervals.rows_needed(50, 0.7, -math.inf, 0.6) is None
    assert intervals.rows_needed(50, 0.7, 0.5, 0.7 - 1e-9) is None
    assert intervals.rows_needed(50, 0.8, 0.65, 0.7) == 230


def test_a_paired_difference_of_means_is_student_s():
    rng = np.random.default_rng(8)
    ours, theirs = rng.normal(5, 1, (2, 40))
    without = [np.delete(ours - theirs, row).mean() for row in range(40)]
    difference = float(np.mean(ours - theirs))
    found = intervals.difference_interval(difference, np.array(without))
    expected = scipy.stats.ttest_rel(ours, theirs).confidence_interval()
    assert tuple(found) == pytest.approx((expected.low, expected.high))
    quarter = intervals.difference_interval(difference, np.array(without), weight=0.25)
    fewer = scipy.stats.t.ppf(0.975, 39 / 4) / scipy.stats.t.ppf(0.975, 39)
    wider = (quarter.high - difference) / (found.high - difference)
    assert wider == pytest.approx(2 * fewer)
    unseen = intervals.difference_interval(0.0, np.zeros(40), unseen=0.01)
    assert unseen.high == pytest.approx(0.1 * scipy.stats.t.ppf(0.975, 39))


def test_a_paired_difference_of_areas_covers_the_truth():
    """Two scores of the same rows, by the variance of DeLong."""
    rng = np.random.default_rng(6)
    truth = scipy.stats.norm.cdf(1.2 / math.sqrt(2.5)) - scipy.stats.norm.cdf(
        1.2 / math.sqrt(3.28)
    )
    covered = 0
    for _ in range(300):
        y = rng.integers(0, 2, 200)
        score = rng.normal(size=200) + 1.2 * y
        good, poor = (score + rng.normal(size=200) * spread for spread in (0.5, 0.8))
        ours, theirs = (
            metrics.area_parts(np.column_stack([-one, one]), y) for one in (good, poor)
        )
        assert ours.area == pytest.approx(roc_auc_score(y, good))
        difference = ours.area - theirs.area
        found = intervals.difference_interval(
            difference, difference - (ours.parts - theirs.parts), unseen=2 / 202**2
        )
        covered += found.low <= truth <= found.high
    assert covered >= 0.93 * 300


def test_the_interval_of_a_calibration_error_by_hand():
    sure = np.array([0.9] * 30 + [0.6] * 10)
    right = np.array([1] * 24 + [0] * 6 + [1] * 6 + [0] * 4, dtype=bool)
    # Two bins: |0.9 - 0.8| of three quarters, and none; shares plus one of each kind.
    shares = np.array([25 / 32, 7 / 12])
    errors = np.array([30, 10]) / 40 * np.sqrt(shares * (1 - shares) / [30, 10])
    reach = 1.96 * math.sqrt((errors**2).sum())
    found = calibration.calibration_interval(sure, right)
    assert calibration.expected_calibration_error(sure, right) == pytest.approx(0.075)
    assert found.high == pytest.approx(0.075 + reach)
    assert found.low == 0
    poor = calibration.calibration_interval(sure, right & False)
    shares = np.array([1 / 32, 1 / 12])
    errors = np.array([30, 10]) / 40 * np.sqrt(shares * (1 - shares) / [30, 10])
    reach = 1.96 * math.sqrt((errors**2).sum())
    chance = math.sqrt(2 / math.pi) * errors.sum()
    assert poor.low == pytest.approx(0.825 - reach - chance)
    twice = calibration.calibration_interval(
        np.tile(sure, 2), np.tile(right, 2), 15, 0.5
    )
    assert tuple(twice) == pytest.approx(tuple(found))


def test_bins_are_closed_on_the_right():
    found = calibration.calibration_bins(
        np.array([0.0, 0.2, 0.21, 1.0]), np.array([0, 1, 1, 1]), bins=5
    )
    edges = [(one["low"], one["high"], one["count"]) for one in found]
    assert edges == [(0.0, 0.2, 2), (0.2, 0.4, 1), (0.8, 1.0, 1)]
    assert [one["accuracy"] for one in found] == [0.5, 1.0, 1.0]


def test_a_calibrated_model_is_not_found_out_by_few_rows():
    rng = np.random.default_rng(7)
    sure = rng.uniform(0.5, 1, 60)
    right = rng.random(60) < sure
    found = calibration.calibration_interval(sure, right)
    assert found.low == 0
    assert found.high > calibration.expected_calibration_error(sure, right)
    poor = calibration.calibration_interval(np.full(500, 0.9), rng.random(500) < 0.5)
    assert poor.low > 0.3
