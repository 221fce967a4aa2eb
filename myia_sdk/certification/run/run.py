"""The checks of one run: at most so many at once, each an outcome whatever happens."""

from __future__ import annotations

import math
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from myia_sdk.certification.checks import (
    CheckContext,
    CheckRecord,
    Measurement,
    Outcome,
    Threshold,
)
from myia_sdk.certification.checks.context import Shared
from myia_sdk.certification.checks.registry import INPUTS
from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.request import ENDPOINT_FAMILIES, JSON, json_safe
from myia_sdk.certification.traffic import Budget, RetryPolicy
from myia_sdk.certification.traffic.budget import BudgetExceededError
from myia_sdk.certification.traffic.traffic import at_once, concurrency_of
from myia_sdk.errors import EndpointAwayError, ModelNotSeenError, SuiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.data.samples import SampleLog
    from myia_sdk.certification.models import Model
    from myia_sdk.certification.request import CertificationRequest
    from myia_sdk.certification.suites import Suite
    from myia_sdk.certification.suites.rules import Rules
    from myia_sdk.certification.suites.specs import CheckSpec

_QUALITY_ISSUE = "QUALITY_ISSUE"
_TRACEBACK_FRAMES = 10
#: What to do about too few observations, whatever is measured.
_MORE = ("Give more test data, or let the check take more samples.",)


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
            # By this name Bull Board finds the number of its ring.
            "progress": percent,
            "done": self.done,
            "total": self.total,
            "check": self.check,
            "outcome": self.outcome,
        }


@dataclass(slots=True, kw_only=True)
class Run:
    """What the checks of one run share."""

    request: CertificationRequest
    suite: Suite
    rules: Rules
    model: Model
    dataset: Dataset | None
    seed: int
    budget: Budget
    log: Callable[[str], None]
    sample_log: SampleLog
    shared: Shared = field(default_factory=Shared)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    baseline: Model | None = None
    pace: Callable[[], float] = at_once

    def context(self, spec: CheckSpec | None) -> CheckContext:
        """Return what one check may use; without one, what comes before the first."""
        return CheckContext(
            check_id="negotiation" if spec is None else spec.id,
            model=self.model,
            dataset=self.dataset,
            params={} if spec is None else spec.params,
            thresholds=Threshold() if spec is None else spec.threshold,
            seed=self.seed,
            request=self.request,
            sample_log=self.sample_log,
            budget=self.budget,
            retry=self.retry,
            shared=self.shared,
            pace=self.pace,
            baseline=self.baseline,
        )


def run_checks(
    run: Run, progress: Callable[[dict[str, JSON]], None]
) -> list[CheckRecord]:
    """Run all checks of a suite and return their records in the suite's order."""
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


def _finished(run: Run, specs: tuple[CheckSpec, ...]) -> Iterator[CheckRecord]:
    """Run the checks, at most so many at once, and yield each when it ended."""
    # Models in this process are measured one by one: their timings are their own.
    is_endpoint = run.suite.kind in ENDPOINT_FAMILIES
    limit = concurrency_of(run.request) if is_endpoint else 1
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


def _run_check(run: Run, spec: CheckSpec) -> CheckRecord:
    started = time.perf_counter()
    try:
        measurement = _not_given(run, spec) or spec.check.run(run.context(spec))
        if not isinstance(measurement, Measurement):
            raise TypeError(  # noqa: TRY301 - reported like the check's own errors
                f"The check returned a {type(measurement).__name__}, not a Measurement."
            )
        record = _measured(spec, measurement)
    except ModelNotSeenError as exc:
        record = _measured(spec, Measurement.skipped(str(exc)))
    except (SuiteError, BudgetExceededError, EndpointAwayError):
        # None says anything about the model, and going on would not help.
        raise
    except Exception as exc:  # noqa: BLE001 - the boundary: an error is an outcome
        retries = len(getattr(exc, "retries", ()))
        record = replace(_errored(spec, exc, run), retries=retries)
    duration = round((time.perf_counter() - started) * 1000, 3)
    return replace(record, duration_ms=duration)


def _not_given(run: Run, spec: CheckSpec) -> Measurement | None:
    """Skip a check whose input the request does not give, and say how to give it."""
    data = run.dataset
    given = {
        "train": data is not None and data.train is not None,
        "sensitive": data is not None and bool(data.sensitive),
        "baseline": run.baseline is not None,
    }
    missing = [INPUTS[name] for name in spec.check.needs if not given[name]]
    return Measurement.skipped(f"Give {'; '.join(missing)}.") if missing else None


def _measured(spec: CheckSpec, measurement: Measurement) -> CheckRecord:
    threshold = measurement.threshold or spec.threshold
    value, interval = _finite(measurement.value), measurement.ci
    outcome, needed, more = measurement.outcome, measurement.needed, ""
    undecided = measurement.undecided
    if (
        outcome is None
        and value is not None
        and threshold.is_undecided(value, interval)
    ):
        needed, more = _too_few(measurement, threshold, value)
        # Where a value beyond the threshold is a warning, this is no more.
        undecided = threshold.warned is None
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
        undecided=undecided,
        needed=needed,
        needs=spec.check.needs,
        message=measurement.message + more,
        category=category,
        retries=measurement.retries,
        suggestions=() if is_good else (_MORE if more else measurement.suggestions),
        details=_object(measurement.details),
    )


def _too_few(
    measurement: Measurement, threshold: Threshold, value: float
) -> tuple[int | None, str]:
    """Say how many observations would decide."""
    from myia_sdk.certification.statistics.intervals import rows_needed

    limit, interval = threshold.passed, measurement.ci
    if limit is None or interval is None or not measurement.n:
        return None, ""
    bound = threshold.bound(interval)
    if not math.isfinite(bound):
        return None, f" Too few to tell: there are {measurement.n:,}."
    needed = rows_needed(measurement.n, value, bound, limit)
    if needed is None:
        return None, " That is too close to the threshold to tell."
    said = f" Too few to tell: about {needed:,} would do, there are {measurement.n:,}."
    return needed, said


def _errored(spec: CheckSpec, error: Exception, run: Run) -> CheckRecord:
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
        needs=spec.check.needs,
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
