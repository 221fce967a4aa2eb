"""From a request to its report: the checks are run and what they found is judged.

Knows nothing of queues: progress and log lines go to callables that the worker's task
connects to its job.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from myia_sdk.certification.report.report import Report
from myia_sdk.certification.request import JSON, json_safe
from myia_sdk.certification.run.environment import environment
from myia_sdk.certification.run.negotiation import negotiate
from myia_sdk.certification.run.preparation import prepared_run
from myia_sdk.certification.run.run import run_checks
from myia_sdk.certification.traffic.traffic import at_once
from myia_sdk.certification.verdict import Judgement, Verdict, judge
from myia_sdk.errors import (
    MyiaError,
    PermanentCertificationError,
    TransientCertificationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.models import Model
    from myia_sdk.certification.request import CertificationRequest
    from myia_sdk.certification.run.run import Run


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
    packages: Iterable[str] = (),
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
    packages : iterable of str, optional
        Packages whose types a model's file may name, ``MYIA_TRUSTED_PACKAGES``.
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
    started_at = datetime.now(UTC)
    with prepared_run(
        request,
        artifacts=artifacts,
        secrets=secrets,
        log=log,
        pace=pace,
        plugins=tuple(plugins),
        packages=tuple(packages),
        model=model,
    ) as run:
        adaptations = negotiate(run.context(None))
        for adaptation in adaptations:
            log(f"Adapted to the endpoint: {adaptation}.")
        records = run_checks(run, progress)
        judgement = judge(records, run.suite.policy)
        _log_conclusion(judgement, log)
        if judgement.inconclusive:
            raise _unmeasured(judgement)
        report = _report(run, records, judgement, started_at, artifacts)
        said = [f"Adapted to the endpoint: {one}." for one in adaptations]
        if request.model.kind == "predictions":
            said.append(
                "No model was seen: this is about its predictions, as they were given."
            )
        return replace(report, reasons=(*report.reasons, *said))


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
        coverage=judgement.assurance.coverage,
        level=judgement.assurance.level,
        missing=judgement.assurance.missing,
        suite_origin=run.rules.origin.value,
        overridden=run.rules.overridden,
        error_category=judgement.category,
        policy=run.suite.policy.to_record(),
        reasons=judgement.reasons,
        resolved={key: json_safe(value) for key, value in run.model.describe().items()},
        environment=environment(run.seed),
        sample_log=None if artifacts is None else run.sample_log.store(artifacts),
        usage=run.budget.to_record() if run.budget.requests else None,
    )
