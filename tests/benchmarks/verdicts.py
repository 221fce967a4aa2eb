"""How often models of known quality are certified: the operating characteristic.

Run ``python -m tests.benchmarks.verdicts [--runs N] [--seed S]``. Models whose true
quality is known, since the data are made, are certified on fresh test data by the
official suites, as a worker does it:

* classifiers: logistic regressions on two normal distributions, by their true ROC AUC;
  the threshold of ``classifier-baseline`` is 0.70;
* regressors: linear models with normal errors, by their true gain in mean absolute
  error over a constant; the threshold of ``regressor-baseline`` is 0.10;
* chat models that follow an instruction with a known probability, by the check
  ``system-prompt`` of ``chat-baseline`` beside ``basic-prompt``; the threshold is 0.80.

Each cell shows the share of runs that ended certified, with a warning, and failed, in
per cent. At the threshold at most 5 % may be certified; with 1,000 rows a clearly good
model must be in 90 %.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.checks.chat_abilities import _MATERIAL
from myia_sdk.certification.checks.instructions import obeys
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.models import ChatEvent
from myia_sdk.certification.report import Report, run_suite
from myia_sdk.certification.request import CertificationRequest, ModelRef
from myia_sdk.certification.suites import load_suite

TRAINING_ROWS = 20_000
WIDTH = 5
SIZES = (20, 60, 200, 1000)
AREAS = (0.60, 0.68, 0.70, 0.75, 0.80, 0.85, 0.95)
SKILLS = (0.00, 0.05, 0.10, 0.20, 0.30, 0.50)
SAMPLES = (40, 200, 1000)
RATES = (0.60, 0.75, 0.80, 0.85, 0.90, 0.95)
VERDICTS = ("certified", "quality_warning", "failed")

Data = tuple[np.ndarray, np.ndarray]


def classified(rng: np.random.Generator, n: int, area: float) -> Data:
    truth = rng.integers(0, 2, size=n)
    features = rng.normal(size=(n, WIDTH))
    features[:, 0] += math.sqrt(2) * norm.ppf(area) * truth
    return features, truth


def regressed(rng: np.random.Generator, n: int, skill: float) -> Data:
    """Errors of normal data have a mean size of 1 - skill times the target's."""
    features = rng.normal(size=(n, WIDTH))
    noise = rng.normal(size=n) * (1 - skill)
    return features, features[:, 0] * math.sqrt(1 - (1 - skill) ** 2) + noise


class Tabular:
    """Certifies one kind of model over and over."""

    def __init__(
        self, suite: str, make: Callable[..., Data], estimator: Any, store: Path
    ) -> None:
        self.suite, self.make, self.estimator = suite, make, estimator
        self.artifacts = ArtifactStore(str(store))

    def reports(
        self, quality: float, n: int, runs: int, rng: np.random.Generator
    ) -> Iterator[Report]:
        model = self.estimator().fit(*self.make(rng, TRAINING_ROWS, quality))
        for _ in range(runs):
            data = self.make(rng, n, quality)
            request = build_request(
                model, suite=self.suite, artifacts=self.artifacts, dataset=data
            )
            yield run_suite(request, artifacts=self.artifacts)


class Obeying:
    """A chat model that follows an instruction with a known probability."""

    family = "chat"

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        self.rate, self.rng = rate, rng

    def describe(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        pass

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        **_: object,
    ) -> Iterator[ChatEvent]:
        del parameters
        known = _MATERIAL["instruction"]
        asked = [one for one in known if one["text"] == messages[0]["content"]]
        follows = self.rng.random() < self.rate
        text = answer(asked[0], is_right=bool(follows)) if asked else "Hello."
        yield ChatEvent(elapsed=0.01, text=text, finish_reason="stop")


def answer(instruction: Mapping[str, Any], *, is_right: bool) -> str:
    value = instruction.get("value")
    candidates = [
        "No, never, at all the",
        "A",
        "a",
        "A b",
        f"Well {value}",
        f"{value} well",
        f"<{value}>well</{value}>",
        '{"answer": 1, "certainty": 1}',
        " ".join(["word"] * (value if isinstance(value, int) else 1)),
        "\n".join(["- word"] * (value if isinstance(value, int) else 1)),
        '"word"',
        "[[Title]] word",
        "Word!",
        f"word\n{value}\nword",
        *(value if isinstance(value, list) else ()),
    ]
    rule = instruction["rule"]
    return next(one for one in candidates if obeys(one, rule, value) is is_right)


def chat_reports(
    rate: float, n: int, runs: int, rng: np.random.Generator
) -> Iterator[Report]:
    record = load_suite("chat-baseline").to_record()
    checks: Any = record["check"]
    named = {one["id"]: one for one in checks}
    rated = named["system-prompt"]
    rated |= {"severity": "critical", "params": {**rated["params"], "samples": n}}
    request = CertificationRequest(
        model=ModelRef(
            kind="openai", name="obeying", url="http://localhost/", model="obeying"
        ),
        suite={**record, "check": [named["basic-prompt"], rated]},
        parameters={"concurrency": 1},
    )
    for _ in range(runs):
        model: Any = Obeying(rate, rng)
        yield run_suite(request, model=model)


def shares(reports: Iterator[Report], runs: int) -> str:
    found = Counter(report.verdict.value for report in reports)
    return " / ".join(f"{100 * found[verdict] / runs:.0f}" for verdict in VERDICTS)


def table(
    title: str,
    qualities: Sequence[float],
    sizes: Sequence[int],
    cell: Callable[[float, int], str],
) -> None:
    print(f"\n{title}: certified / warning / failed, per cent")
    print(f"{'':6}" + "".join(f"{f'n = {n}':>18}" for n in sizes))
    for quality in qualities:
        cells = [cell(quality, n) for n in sizes]
        print(f"{quality:<6.2f}" + "".join(f"{one:>18}" for one in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    runs = given.runs
    with tempfile.TemporaryDirectory() as directory:
        store = Path(directory)
        kinds = {
            "true ROC AUC (threshold 0.70)": (
                AREAS,
                SIZES,
                Tabular(
                    "classifier-baseline", classified, LogisticRegression, store
                ).reports,
            ),
            "true gain in MAE (threshold 0.10)": (
                SKILLS,
                SIZES,
                Tabular(
                    "regressor-baseline", regressed, LinearRegression, store
                ).reports,
            ),
            "true share of instructions followed (threshold 0.80)": (
                RATES,
                SAMPLES,
                chat_reports,
            ),
        }
        for title, (qualities, sizes, reports) in kinds.items():

            def cell(
                quality: float,
                n: int,
                reports: Callable[..., Iterator[Report]] = reports,
            ) -> str:
                rng = np.random.default_rng([given.seed, n, round(100 * quality)])
                return shares(reports(quality, n, runs, rng), runs)

            table(title, qualities, sizes, cell)


if __name__ == "__main__":
    main()
