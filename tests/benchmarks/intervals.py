"""How often the intervals of verdicts hold, by simulation of known truth.

Run ``python -m tests.benchmarks.intervals [--runs N] [--seed S] [--full]``. For each
metric, at 20, 60, 200 and 1,000 rows and true values of 0.5, 0.7, 0.9 and 0.99, it
prints the share of intervals that cover the truth (95 % nominal) and the share whose
deciding bound is beyond it (2.5 % nominal): what lets a model pass that should not.
Without ``--full`` only the worst over the true values is shown.

What must hold is a coverage of at least 93 %, and at most 4 % beyond; a line with less
is marked, and so is one where the check says that it cannot tell: errors with heavy
tails in fewer than 1,000 rows, found by their kurtosis, do not count as decided.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import binom, norm

from myia_sdk.certification.statistics import (
    calibration,
    differences,
    intervals,
    metrics,
)

ROWS = (20, 60, 200, 1000)
VALUES = (0.5, 0.7, 0.9, 0.99)
LEAST_COVERAGE, MOST_BEYOND = 0.93, 0.04
TOO_FEW_FOR_TAILS = 1000


class Held(NamedTuple):
    """What a metric's intervals did at one size and one truth."""

    covered: float
    #: Share whose deciding bound is beyond the truth.
    beyond: float
    #: Share in which the check would say that it cannot tell.
    untold: float = 0.0


#: One interval of a sample of so many rows, with the truth: (interval, truth, untold).
Trial = Callable[
    [np.random.Generator, int, float], tuple[intervals.Interval, float, bool]
]


def share(n: int, value: float) -> Held:
    """Exact: all outcomes of the binomial distribution, none drawn."""
    hits = np.arange(n + 1)
    found = [intervals.wilson_interval(one, n) for one in hits]
    weights = binom.pmf(hits, n, value)
    low, high = np.array(found).T
    is_covered = (low <= value) & (value <= high)
    return Held(float(weights[is_covered].sum()), float(weights[low > value].sum()))


def area(positives: float) -> Trial:
    def trial(
        rng: np.random.Generator, n: int, value: float
    ) -> tuple[intervals.Interval, float, bool]:
        hits = max(2, round(n * positives))
        truth = np.arange(n) < hits
        scores = rng.normal(size=n) + truth * math.sqrt(2) * norm.ppf(value)
        found = metrics.roc_auc(scores, truth)
        return intervals.auc_interval(found, hits, n - hits), value, False

    return trial


def labels(name: str, shares: tuple[float, ...]) -> Trial:
    """A metric of predicted classes; each class is recognised with one probability."""
    weights = np.array(shares) / sum(shares)
    count = len(shares)

    def trial(
        rng: np.random.Generator, n: int, value: float
    ) -> tuple[intervals.Interval, float, bool]:
        missed = (1 - value) / (count - 1)
        table = np.full((count, count), missed) + np.eye(count) * (value - missed)
        table *= weights[:, None]
        truth = float(metrics.LABEL_METRICS[name](table))
        drawn = rng.multinomial(n, table.ravel()).reshape(count, count).astype(float)
        return metrics.label_estimate(name, drawn).interval, truth, False

    return trial


NOISES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "Laplace": lambda rng, n: rng.laplace(size=n) / math.sqrt(2),
    "t with 3 d.f.": lambda rng, n: rng.standard_t(3, size=n) / math.sqrt(3),
}
ABSOLUTE = {
    "normal": math.sqrt(2 / math.pi),
    "Laplace": 1 / math.sqrt(2),
    "t with 3 d.f.": 2 / math.pi,
}


def errors(name: str, noise: str) -> Trial:
    """A metric of regressors whose true R2 is the value."""

    def trial(
        rng: np.random.Generator, n: int, value: float
    ) -> tuple[intervals.Interval, float, bool]:
        predicted = rng.normal(size=n) * math.sqrt(value)
        scale = math.sqrt(1 - value)
        truth = predicted + NOISES[noise](rng, n) * scale
        known = {"r2": value, "rmse": scale, "mae": ABSOLUTE[noise] * scale}
        found = metrics.regression_estimate(name, truth, predicted).interval
        heavy = intervals.has_heavy_tails(predicted - truth)
        return found, known[name], heavy and n < TOO_FEW_FOR_TAILS

    return trial


def skill(noise: str) -> Trial:
    """Gain in mean absolute error over the true median."""

    def trial(
        rng: np.random.Generator, n: int, value: float
    ) -> tuple[intervals.Interval, float, bool]:
        # The target is the noise of the constant; the model leaves a part of it.
        target = NOISES[noise](rng, n)
        left = NOISES[noise](rng, n) * (1 - value)
        low, high = intervals.ratio_interval(
            np.abs(left),
            np.abs(target),
            widened=2.0 if intervals.has_heavy_tails(left) else 1.0,
        )
        return intervals.Interval(1 - high, 1 - low), value, False

    return trial


def calibrated(
    rng: np.random.Generator, n: int, value: float
) -> tuple[intervals.Interval, float, bool]:
    """Expected calibration error of a model that is too sure by ``1 - value``, or 0."""
    gap = 1 - value if value > 0.5 else 0.0
    sure = rng.uniform(0.5, 1, size=n)
    right = rng.random(n) < sure - gap
    place = np.clip(np.ceil(sure * 15).astype(int) - 1, 0, 14)
    sums = np.bincount(place, sure - np.maximum(sure - gap, 0), 15)
    truth = float(np.abs(sums).sum() / n)
    return calibration.calibration_interval(sure, right), truth, False


def brier(
    rng: np.random.Generator, n: int, value: float
) -> tuple[intervals.Interval, float, bool]:
    """Skill of probabilities that are right, or else the other way round."""
    chance = rng.random(n)
    truth = (rng.random(n) < chance).astype(int)
    given = np.where(rng.random(n) < value, chance, 1 - chance)
    found = calibration.brier_skill(np.column_stack([1 - given, given]), truth)[1]
    # Mean scores of right and of turned probabilities: 1/3 and 1, of the shares 1/2.
    return found, 1 - 2 * (value / 3 + 1 - value), False


def better_area(
    rng: np.random.Generator, n: int, value: float
) -> tuple[intervals.Interval, float, bool]:
    """Two scores of the same rows that share their signal; the first has less noise."""
    truth = (np.arange(n) % 2).astype(int)
    distance = 1.2 * math.sqrt(2) * norm.ppf(value) + 0.3
    signal = rng.normal(size=n) + distance * truth
    spreads = (0.5, 0.8)
    both = [signal + rng.normal(size=n) * spread for spread in spreads]
    areas = [norm.cdf(distance / math.sqrt(2 * (1 + one**2))) for one in spreads]
    shares = [np.column_stack([-one, one]) for one in both]
    found = differences.area_difference(*shares, (truth, truth))
    return found.interval, areas[0] - areas[1], False


def better_labels(
    rng: np.random.Generator, n: int, value: float
) -> tuple[intervals.Interval, float, bool]:
    """Two models that are right on mostly the same rows, the second a little less."""
    truth = (rng.random(n) < 0.3).astype(int)
    truth[:2] = 0, 1
    right = rng.random(n) < value
    also = np.where(rng.random(n) < 0.9, right, rng.random(n) < value - 0.1)
    first, second = (
        metrics.Labels.of(truth, np.where(one, truth, 1 - truth))
        for one in (right, also)
    )
    found = differences.label_difference("balanced_accuracy", first, second, rng)
    return found.interval, 0.1 * 0.1, False


def better_errors(
    rng: np.random.Generator, n: int, value: float
) -> tuple[intervals.Interval, float, bool]:
    """Two models with errors in common, the second with more of its own."""
    shared = rng.normal(size=n) * value
    own = rng.normal(size=(2, n)) * np.array([[0.5], [0.7]])
    first, second = shared + own
    found = differences.error_difference("mae", first, second, np.zeros(n))
    sizes = [math.sqrt(2 / math.pi * (value**2 + one**2)) for one in (0.5, 0.7)]
    return found.interval, sizes[1] - sizes[0], False


TRIALS: dict[str, tuple[Trial, int]] = {
    # The second number: 1 where the lower bound decides, -1 where the upper one does.
    "ROC AUC, half positive": (area(0.5), 1),
    "ROC AUC, 10 % positive": (area(0.1), 1),
    "balanced accuracy, 2 classes": (labels("balanced_accuracy", (1, 1)), 1),
    "balanced accuracy, 10 % and 90 %": (labels("balanced_accuracy", (1, 9)), 1),
    "balanced accuracy, 3 classes": (labels("balanced_accuracy", (1, 1, 1)), 1),
    "F1 macro, 2 classes": (labels("f1_macro", (1, 1)), 1),
    "F1 macro, 10 % and 90 %": (labels("f1_macro", (1, 9)), 1),
    "F1 weighted, 3 classes": (labels("f1_weighted", (1, 2, 3)), 1),
    "precision macro, 2 classes": (labels("precision_macro", (1, 1)), 1),
    "Matthews, 2 classes": (labels("matthews_corrcoef", (1, 1)), 1),
    "Matthews, 3 classes": (labels("matthews_corrcoef", (1, 1, 1)), 1),
    "R2, normal errors": (errors("r2", "normal"), 1),
    "R2, Laplace errors": (errors("r2", "Laplace"), 1),
    "R2, t with 3 d.f.": (errors("r2", "t with 3 d.f."), 1),
    "RMSE, normal errors": (errors("rmse", "normal"), -1),
    "MAE, normal errors": (errors("mae", "normal"), -1),
    "MAE, Laplace errors": (errors("mae", "Laplace"), -1),
    "MAE, t with 3 d.f.": (errors("mae", "t with 3 d.f."), -1),
    "MAE skill, normal": (skill("normal"), 1),
    "MAE skill, Laplace": (skill("Laplace"), 1),
    "difference of ROC AUCs": (better_area, 1),
    "difference of balanced accuracies": (better_labels, 1),
    "difference of MAEs": (better_errors, 1),
    "calibration error": (calibrated, -1),
    "Brier skill": (brier, -1),
}


def simulated(
    trial: Trial, side: int, n: int, value: float, runs: int, seed: int
) -> Held:
    rng = np.random.default_rng([seed, n, round(value * 100)])
    covered = beyond = untold = 0
    for _ in range(runs):
        found, truth, is_untold = trial(rng, n, value)
        slack = 1e-12
        covered += found.low - slack <= truth <= found.high + slack
        out = found.low > truth + slack if side > 0 else found.high < truth - slack
        beyond += out and not is_untold
        untold += is_untold
    return Held(covered / runs, beyond / runs, untold / runs)


def measured(runs: int, seed: int) -> Iterator[tuple[str, int, float, Held]]:
    for n in ROWS:
        for value in VALUES:
            yield "share (exact)", n, value, share(n, value)
    for name, (trial, side) in TRIALS.items():
        for n in ROWS:
            for value in VALUES:
                yield name, n, value, simulated(trial, side, n, value, runs, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    table: dict[str, dict[int, list[tuple[float, Held]]]] = {}
    for name, n, value, held in measured(given.runs, given.seed):
        table.setdefault(name, {}).setdefault(n, []).append((value, held))
        if given.full:
            print(f"{name:34} n={n:<5} {value:<5} {_shown(held)}", flush=True)
    print(f"\nworst over the true values; {given.runs} runs each, seed {given.seed}")
    print(f"{'covered / beyond':34}" + "".join(f"{f'n = {n}':>20}" for n in ROWS))
    for name, sizes in table.items():
        cells = [_worst([held for _, held in sizes[n]]) for n in ROWS]
        print(f"{name:34}" + "".join(f"{cell:>20}" for cell in cells))
    print("! below 93 % or above 4 %; ~ the check says that it cannot tell, share")


def _worst(found: list[Held]) -> str:
    return _shown(
        Held(
            min(one.covered for one in found),
            max(one.beyond for one in found),
            max(one.untold for one in found),
        )
    )


def _shown(held: Held) -> str:
    is_bad = held.covered < LEAST_COVERAGE or held.beyond > MOST_BEYOND
    told = f" ~{held.untold:.2f}" if held.untold else ""
    return f"{held.covered:.3f} / {held.beyond:.3f}{'!' if is_bad else ''}{told}"


if __name__ == "__main__":
    main()
