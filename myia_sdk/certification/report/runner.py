"""Runs a suite on a model: check by check, within limits, and judges the result.

Knows nothing of queues: progress and log lines go to callables that the worker's task
connects to its job.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.data.samples import SampleLog
from myia_sdk.certification.diagnosis.diagnosis import diagnose
from myia_sdk.certification.models.adapters import load_model
from myia_sdk.certification.report.report import Report
from myia_sdk.certification.request.records import JSON, json_safe
from myia_sdk.certification.request.references import ModelRef
from myia_sdk.certification.run.environment import environment
from myia_sdk.certification.run.run import (
    ENDPOINT_FAMILIES,
    Run,
    integer_parameter,
    run_checks,
)
from myia_sdk.certification.suites.suites import Suite, load_suite
from myia_sdk.certification.traffic.budget import Budget, price_of
from myia_sdk.certification.traffic.traffic import at_once
from myia_sdk.certification.verdict.verdict import Judgement, Verdict, judge
from myia_sdk.errors import (
    DatasetError,
    MyiaError,
    PermanentCertificationError,
    SuiteError,
    TransientCertificationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from myia_sdk.certification.checks.record import CheckRecord
    from myia_sdk.certification.data.artifacts import ArtifactStore
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.models.protocols import Model
    from myia_sdk.certification.request.request import CertificationRequest


def _nothing(_: object) -> None:
    """Ignore what is reported."""


def run_suite(
    request: CertificationRequest,
    *,
    artifacts: ArtifactStore | None = None,
    secrets: Mapping[str, str] | None = None,
    progress: Callable[[dict[str, JSON]], None] = _nothing,
    log: Callable[[str], None] = _nothing,
    pace: Callable[[], float] = at_once,
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
    pace : callable, optional
        Called before a request to an endpoint when ``requests_per_second`` limits
        them: reserves the next start among all runs on that endpoint, and returns the
        seconds until then. Without it only this run keeps the rate.
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
        run = Run(
            request=request,
            suite=suite,
            model=loaded,
            dataset=_dataset_of(request, suite, artifacts, loaded),
            baseline=_baseline_of(request, artifacts, secrets, plugins),
            seed=integer_parameter(request.parameters, "seed", suite.seed),
            budget=_budget(request, suite),
            sample_log=SampleLog(hidden=(secrets or {}).values()),
            log=log,
            pace=pace,
        )
        records = run_checks(run, progress)
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
    if suite.kind in ENDPOINT_FAMILIES:
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
        if suite.kind in ENDPOINT_FAMILIES:
            return None
        raise DatasetError(
            f"Suite {suite.id!r} measures on data; give dataset=(X_test, y_test)."
        )
    dataset = artifacts.get_dataset(request.dataset)
    if suite.kind not in ENDPOINT_FAMILIES:
        from myia_sdk.certification.admission.validation import require_valid

        tabular: Any = model
        require_valid(dataset, suite.kind, tabular, probe=False)
    return dataset


def _budget(request: CertificationRequest, suite: Suite) -> Budget:
    limit: Any = request.parameters.get("max_cost")
    price = price_of(request.model, suite, request.parameters)
    return Budget(price=price, max_cost=limit)


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
    run: Run,
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
        policy=run.suite.policy.to_record(),
        reasons=judgement.reasons,
        resolved={key: json_safe(value) for key, value in run.model.describe().items()},
        environment=environment(run.seed),
        sample_log=None if artifacts is None else run.sample_log.store(artifacts),
        usage=run.budget.to_record() if run.budget.requests else None,
    )
