"""Runs a suite on a model: check by check, within limits, and judges the result.

Knows nothing of queues: progress and log lines go to callables that the worker's task
connects to its job.
"""

from __future__ import annotations

import math
import platform
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.budget import Budget, BudgetExceededError, Price
from myia_sdk.certification.checks import CheckContext, Measurement, Shared
from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.models import load_model
from myia_sdk.certification.records import JSON, json_safe
from myia_sdk.certification.report import CheckRecord, Outcome, Report, Verdict
from myia_sdk.certification.request import ModelRef
from myia_sdk.certification.retrying import RetryPolicy
from myia_sdk.certification.samples import SampleLog
from myia_sdk.certification.suites import CheckSpec, Suite, load_suite
from myia_sdk.certification.verdict import Judgement, judge
from myia_sdk.errors import (
    DatasetError,
    MyiaError,
    PermanentCertificationError,
    SuiteError,
    TransientCertificationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from myia_sdk.certification.artifacts import ArtifactStore
    from myia_sdk.certification.datasets import Dataset
    from myia_sdk.certification.models import Model
    from myia_sdk.certification.request import CertificationRequest

#: Checks that run at once on an endpoint; models in this process run one by one, so
#: that their timings are their own.
_ENDPOINT_CONCURRENCY = 4
_ENDPOINT_FAMILIES = frozenset({"chat", "embedding"})
_QUALITY_ISSUE = "QUALITY_ISSUE"
_LIBRARIES = (
    "myia-sdk",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "skops",
    "onnxruntime",
    "openai",
    "boto3",
)
_TRACEBACK_FRAMES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is; its record is the job's progress."""

    done: int
    total: int
    #: The check that ended last, empty before the first.
    check: str = ""
    outcome: str = ""

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this progress."""
        percent = round(100 * self.done / self.total) if self.total else 100
        return {
            "percent": percent,
            "done": self.done,
            "total": self.total,
            "check": self.check,
            "outcome": self.outcome,
        }


def _nothing(_: object) -> None:
    """Ignore what is reported."""


@dataclass(slots=True, kw_only=True)
class _Run:
    """What the checks of one run share."""

    request: CertificationRequest
    suite: Suite
    model: Model
    dataset: Dataset | None
    seed: int
    budget: Budget
    log: Callable[[str], None]
    sample_log: SampleLog
    shared: Shared = field(default_factory=Shared)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    baseline: Model | None = None

    def context(self, spec: CheckSpec) -> CheckContext:
        """Return what one check may use."""
        return CheckContext(
            check_id=spec.id,
            model=self.model,
            dataset=self.dataset,
            params=spec.params,
            thresholds=spec.threshold,
            seed=self.seed,
            request=self.request,
            sample_log=self.sample_log,
            budget=self.budget,
            retry=self.retry,
            shared=self.shared,
            baseline=self.baseline,
        )


def run_suite(
    request: CertificationRequest,
    *,
    artifacts: ArtifactStore | None = None,
    secrets: Mapping[str, str] | None = None,
    progress: Callable[[dict[str, JSON]], None] = _nothing,
    log: Callable[[str], None] = _nothing,
    plugins: Iterable[str] = (),
    model: Model | None = None,
) -> Report:
    """Run a suite on a model and judge what was found.

    Parameters
    ----------
    request : CertificationRequest
        Model, suite, dataset, region, parameters.
    artifacts : ArtifactStore, optional
        Holds the model's and the dataset's bytes, and takes the log of samples.
    secrets : mapping, optional
        Resolved secrets by reference: ``{"env:OPENAI_API_KEY": "..."}``.
    progress : callable, optional
        Called after each check with ``percent done total check outcome``.
    log : callable, optional
        Called with one line of text after each check.
    plugins : iterable of str, optional
        Modules with checks and factories of the user, ``MYIA_PLUGINS``.
    model : Model, optional
        An adapter that is loaded already; loaded from the request if not given.

    Returns
    -------
    Report
        With verdict. The same request and seed give the same values, timings apart.

    Raises
    ------
    TransientCertificationError
        Too much could not be measured, for reasons that may pass; see ``category``.
    PermanentCertificationError
        Too much could not be measured, for reasons that will not pass by themselves.
    MyiaError
        The request is not valid: suite, model or dataset.
    """
    plugins = tuple(plugins)
    started_at = datetime.now(UTC)
    suite = _suite_of(request, plugins)
    loaded = model or _load_model(request.model, request, artifacts, secrets, plugins)
    with ExitStack() as stack:
        if model is None:
            stack.callback(loaded.close)
        stack.enter_context(_one_thread(suite))
        if loaded.family != suite.kind:
            raise SuiteError(
                f"Suite {suite.id!r} is for models of kind {suite.kind!r}, "
                f"but the model is a {loaded.family}."
            )
        run = _Run(
            request=request,
            suite=suite,
            model=loaded,
            dataset=_dataset_of(request, suite, artifacts, loaded),
            baseline=_baseline_of(request, artifacts, secrets, plugins),
            seed=_integer(request.parameters, "seed", suite.seed),
            budget=_budget(request, suite),
            sample_log=SampleLog(hidden=(secrets or {}).values()),
            log=log,
        )
        records = _run_checks(run, progress)
        judgement = judge(records, suite.policy)
        _log_conclusion(judgement, log)
        if judgement.inconclusive:
            raise _unmeasured(judgement)
        return _report(run, records, judgement, started_at, artifacts)


def _one_thread(suite: Suite) -> AbstractContextManager[object]:
    """Keep numeric libraries to one thread while a model of this process is measured.

    Jobs share the worker's processors; libraries that each start a thread per
    processor slow one another down a hundredfold, and add in another order each time.
    """
    if suite.kind in _ENDPOINT_FAMILIES:
        return nullcontext()
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _suite_of(request: CertificationRequest, plugins: tuple[str, ...]) -> Suite:
    suite = load_suite(_without_path(request.suite), plugins)
    overrides: Any = request.parameters.get("checks") or {}
    return suite.with_overrides(overrides)


def _without_path(suite: object) -> object:
    """Refuse a path in a request: the submitter's files are not the worker's."""
    if isinstance(suite, str) and (suite.endswith(".toml") or "/" in suite):
        raise SuiteError(
            f"The request names the suite file {suite!r}; send the suite's object "
            "(CertificationRequest.build does) or the name of a built-in suite."
        )
    return suite


def _baseline_of(
    request: CertificationRequest,
    artifacts: ArtifactStore | None,
    secrets: Mapping[str, str] | None,
    plugins: tuple[str, ...],
) -> Model | None:
    record = request.parameters.get("baseline")
    if record is None:
        return None
    reference = ModelRef.from_record(record)
    return _load_model(reference, request, artifacts, secrets, plugins)


def _load_model(
    reference: ModelRef,
    request: CertificationRequest,
    artifacts: ArtifactStore | None,
    secrets: Mapping[str, str] | None,
    plugins: tuple[str, ...],
) -> Model:
    try:
        return load_model(
            reference, artifacts, secrets, region=request.region, plugins=plugins
        )
    except MyiaError:
        raise
    except Exception as exc:
        diagnosis = diagnose(exc)
        kind = (
            TransientCertificationError
            if diagnosis.temporary
            else PermanentCertificationError
        )
        raise kind(
            f"The model {reference.name!r} could not be loaded: "
            f"{type(exc).__name__}: {exc}",
            category=diagnosis.category.value,
        ) from exc


def _dataset_of(
    request: CertificationRequest,
    suite: Suite,
    artifacts: ArtifactStore | None,
    model: Model,
) -> Dataset | None:
    """Read the data and check them again: a request may come from anywhere."""
    if request.dataset is None or artifacts is None:
        if suite.kind in _ENDPOINT_FAMILIES:
            return None
        raise DatasetError(
            f"Suite {suite.id!r} measures on data; give dataset=(X_test, y_test)."
        )
    dataset = artifacts.get_dataset(request.dataset)
    if suite.kind not in _ENDPOINT_FAMILIES:
        from myia_sdk.certification.validation import require_valid

        tabular: Any = model
        require_valid(dataset, suite.kind, tabular, probe=False)
    return dataset


def _budget(request: CertificationRequest, suite: Suite) -> Budget:
    prices: Any = request.model.options.get("prices") or suite.prices
    limit: Any = request.parameters.get("max_cost")
    return Budget(price=Price(**prices) if prices else None, max_cost=limit)


def _integer(parameters: Mapping[str, JSON], key: str, default: int) -> int:
    value = parameters.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _run_checks(
    run: _Run, progress: Callable[[dict[str, JSON]], None]
) -> list[CheckRecord]:
    specs = run.suite.checks
    records: dict[str, CheckRecord] = {}
    progress(Progress(done=0, total=len(specs)).to_record())
    for record in _finished(run, specs):
        records[record.id] = record
        run.log(_line(record))
        progress(
            Progress(
                done=len(records),
                total=len(specs),
                check=record.id,
                outcome=record.outcome.value,
            ).to_record()
        )
    return [records[spec.id] for spec in specs]


def _finished(run: _Run, specs: tuple[CheckSpec, ...]) -> Iterator[CheckRecord]:
    """Run the checks, at most so many at once, and yield each when it ended."""
    default = _ENDPOINT_CONCURRENCY if run.suite.kind in _ENDPOINT_FAMILIES else 1
    limit = max(1, _integer(run.request.parameters, "concurrency", default))
    if limit == 1:
        for spec in specs:
            yield _run_check(run, spec)
        return
    with ThreadPoolExecutor(limit, thread_name_prefix="check") as pool:
        pending: set[Future[CheckRecord]] = {
            pool.submit(_run_check, run, spec) for spec in specs
        }
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_check(run: _Run, spec: CheckSpec) -> CheckRecord:
    started = time.perf_counter()
    try:
        measurement = spec.check.run(run.context(spec))
        if not isinstance(measurement, Measurement):
            raise TypeError(  # noqa: TRY301 - reported like the check's own errors
                f"The check returned a {type(measurement).__name__}, not a Measurement."
            )
        record = _measured(spec, measurement)
    except (SuiteError, BudgetExceededError):
        # Neither says anything about the model, and going on would not help.
        raise
    except Exception as exc:  # noqa: BLE001 - the boundary: an error is an outcome
        retries = len(getattr(exc, "retries", ()))
        record = replace(_errored(spec, exc, run), retries=retries)
    duration = round((time.perf_counter() - started) * 1000, 3)
    return replace(record, duration_ms=duration)


def _measured(spec: CheckSpec, measurement: Measurement) -> CheckRecord:
    threshold = measurement.threshold or spec.threshold
    value, interval = _finite(measurement.value), measurement.ci
    outcome = measurement.outcome
    if outcome is None:
        if value is None:
            raise ValueError(
                f"The check returned the value {measurement.value} and no outcome."
            )
        outcome = threshold.judge(value, interval)
    category = measurement.category
    if category is None and outcome is Outcome.FAILED:
        category = _QUALITY_ISSUE
    low, high = interval or (None, None)
    is_good = outcome in {Outcome.PASSED, Outcome.SKIPPED}
    return CheckRecord(
        id=spec.id,
        version=spec.version,
        title=spec.title,
        severity=measurement.severity or spec.severity,
        outcome=outcome,
        value=value,
        unit=measurement.unit,
        threshold=threshold if threshold.passed is not None else None,
        ci_low=_finite(low),
        ci_high=_finite(high),
        sample_size=None if measurement.n is None else int(measurement.n),
        message=measurement.message,
        category=category,
        retries=measurement.retries,
        suggestions=() if is_good else measurement.suggestions,
        details=_object(measurement.details),
    )


def _errored(spec: CheckSpec, error: Exception, run: _Run) -> CheckRecord:
    diagnosis = diagnose(error)
    trace = traceback.format_exception(error, limit=-_TRACEBACK_FRAMES)
    run.log("".join(trace).rstrip())
    return CheckRecord(
        id=spec.id,
        version=spec.version,
        title=spec.title,
        severity=spec.severity,
        outcome=Outcome.ERROR,
        threshold=spec.threshold if spec.threshold.passed is not None else None,
        message=f"{type(error).__name__}: {error}"[:1000],
        category=diagnosis.category.value,
        temporary=diagnosis.temporary,
        suggestions=diagnosis.category.facts.suggestions,
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _object(details: Mapping[str, object]) -> dict[str, JSON]:
    return {str(key): json_safe(value) for key, value in details.items()}


def _line(record: CheckRecord) -> str:
    return (
        f"{record.outcome.value:<7} {record.id} ({record.duration_ms:.0f} ms): "
        f"{record.message}"
    )


def _log_conclusion(judgement: Judgement, log: Callable[[str], None]) -> None:
    verdict = judgement.verdict.value if judgement.verdict else "not measured"
    log(f"{verdict}: {judgement.reason}")


def _unmeasured(judgement: Judgement) -> MyiaError:
    kind = (
        TransientCertificationError
        if judgement.temporary
        else PermanentCertificationError
    )
    return kind(f"Not measured. {judgement.reason}", category=judgement.category)


def _report(
    run: _Run,
    records: list[CheckRecord],
    judgement: Judgement,
    started_at: datetime,
    artifacts: ArtifactStore | None,
) -> Report:
    request = run.request
    return Report(
        suite_id=run.suite.id,
        suite_version=run.suite.version,
        suite_digest=run.suite.digest,
        model=request.model.to_record(),
        dataset=request.dataset.to_record() if request.dataset else None,
        region=request.region or request.model.region,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        checks=tuple(records),
        score=judgement.score,
        rating=judgement.rating,
        verdict=judgement.verdict or Verdict.FAILED,
        error_category=judgement.category,
        reasons=judgement.reasons,
        resolved=_object(run.model.describe()),
        environment=environment(run.seed),
        sample_log=None if artifacts is None else run.sample_log.store(artifacts),
        usage=run.budget.to_record() if run.budget.requests else None,
    )


def environment(seed: int) -> dict[str, JSON]:
    """Return what a run depended on: versions, platform, seed."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "seed": seed,
        "libraries": dict(_versions()),
    }


def _versions() -> Iterator[tuple[str, JSON]]:
    for name in _LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
