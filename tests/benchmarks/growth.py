"""How time and memory of a certification grow with rows, columns and classes.

Run ``python -m tests.benchmarks.growth [--largest] [--checks]``. A linear model and a
forest are certified by ``classifier-baseline`` with 10^3 ... 10^6 rows of 20 columns,
10 ... 10,000 columns of 1,000 rows, and 2 ... 1,000 classes of 20 rows each (the linear
model only, whose own predictions take no time to speak of). Each is a process of its
own, so that peak memory is its own as well.

Printed are the seconds of all checks without the model's own answers, the seconds of
those answers, peak memory beside the libraries', the data included, in multiples of the
data, and the check that took longest. ``--checks`` shows each check.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROWS = (1_000, 10_000, 100_000, 1_000_000)
COLUMNS = (10, 100, 1_000, 10_000)
CLASSES = (2, 10, 100, 1_000)
ROWS_PER_CLASS = 20


class Timed:
    """Counts the time that a model needs for its answers."""

    def __init__(self, model: Any) -> None:
        self._model, self.seconds = model, 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        if name not in {"predict", "predict_proba"}:
            return found

        def measured(rows: object) -> object:
            started = time.perf_counter()
            try:
                return found(rows)
            finally:
                self.seconds += time.perf_counter() - started

        return measured


def memory(name: str) -> float:
    """Bytes of this process by the kernel: ``VmRSS``, or its peak ``VmHWM``."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(
        float(line.split()[1]) * 1024
        for line in status.splitlines()
        if line.startswith(name)
    )


def certify(kind: str, rows: int, columns: int, classes: int) -> dict[str, Any]:
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    from myia_sdk.certification.admission import build_request
    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.models import load_model
    from myia_sdk.certification.report import run_suite

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, columns)) * min(1.0, 6 / columns**0.5)

    def made(n: int) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.integers(0, classes, size=n)
        truth[:classes] = np.arange(classes)
        features = rng.normal(size=(n, columns))
        for start in range(0, n, 100_000):
            part = slice(start, start + 100_000)
            features[part] += centres[truth[part]]
        return features, truth

    estimator = (
        RandomForestClassifier(20, max_depth=8, random_state=0)
        if kind == "forest"
        else LogisticRegression(max_iter=30)
    )
    estimator.fit(*made(max(2_000, 3 * classes)))
    with tempfile.TemporaryDirectory() as directory:
        artifacts = ArtifactStore(directory)
        features, truth = made(rows)
        table: Any = features
        if kind == "frame":
            table = pd.DataFrame(features, columns=[f"c{at}" for at in range(columns)])
        request = build_request(
            estimator,
            suite="classifier-baseline",
            artifacts=artifacts,
            dataset=(table, truth),
        )
        size = features.nbytes
        del features, truth, table
        model: Any = Timed(load_model(request.model, artifacts=artifacts))
        started = time.perf_counter()
        artifacts.get_dataset(request.dataset)
        read = time.perf_counter() - started
        # The kernel forgets the peak of making the data.
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        started, before = time.perf_counter(), memory("VmRSS")
        report = run_suite(request, artifacts=artifacts, model=model)
        total = time.perf_counter() - started
    checks = {one.id: one.duration_ms / 1000 for one in report.checks}
    return {
        "seconds": total - model.seconds - read,
        "model": model.seconds,
        "memory": (memory("VmHWM") - before) / size,
        "bytes": size,
        "checks": checks,
        "verdict": report.verdict.value,
    }


def cases(*, largest: bool) -> Iterator[tuple[str, int, int, int]]:
    for kind in ("linear", "forest"):
        for rows in ROWS[-1:] if largest else ROWS:
            yield kind, rows, 20, 2
        for columns in COLUMNS[-1:] if largest else COLUMNS:
            yield kind, 1_000, columns, 2
    # Columns of a frame, each with a name and a type.
    yield "frame", 1_000, COLUMNS[-1], 2
    for classes in CLASSES[-1:] if largest else CLASSES:
        yield "linear", classes * ROWS_PER_CLASS, 20, classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--largest", action="store_true")
    parser.add_argument("--checks", action="store_true")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        kind, *sizes = given.one
        print(json.dumps(certify(kind, *map(int, sizes))))
        return
    print(f"{'model':8}{'rows':>10}{'columns':>9}{'classes':>9}{'seconds':>9}", end="")
    print(f"{'model s':>9}{'memory':>9}  slowest check")
    for case in cases(largest=given.largest):
        command = [sys.executable, "-m", "tests.benchmarks.growth", "--one"]
        done = subprocess.run(
            [*command, *map(str, case)], capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        checks = found["checks"]
        slowest = max(checks, key=checks.__getitem__)
        kind, rows, columns, classes = case
        print(
            f"{kind:8}{rows:>10,}{columns:>9,}{classes:>9,}{found['seconds']:>9.2f}"
            f"{found['model']:>9.2f}{found['memory']:>8.1f}x  {slowest} "
            f"{checks[slowest]:.2f} s",
            flush=True,
        )
        if given.checks:
            for name, seconds in sorted(checks.items(), key=lambda one: -one[1]):
                print(f"    {seconds:8.3f} s  {name}")


if __name__ == "__main__":
    main()
