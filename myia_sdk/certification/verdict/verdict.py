"""From the outcomes of checks to score, rating, verdict and error category."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from myia_sdk.certification.checks import Outcome, Severity
from myia_sdk.certification.checks.outcomes import MEASURED_OUTCOMES
from myia_sdk.certification.checks.registry import INPUTS
from myia_sdk.certification.diagnosis import ErrorCategory
from myia_sdk.certification.diagnosis.categories import FORCED_FAILURES, most_severe
from myia_sdk.certification.suites.policy import STANDARD
from myia_sdk.certification.verdict.assurance import Assurance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.suites import Policy

#: Lowest score of each letter; A and B are certified, C and D a warning.
RATINGS: tuple[tuple[float, str], ...] = ((90, "A"), (80, "B"), (70, "C"), (60, "D"))


class Verdict(StrEnum):
    """What a certification concludes; a job may be completed with ``failed``."""

    CERTIFIED = "certified"
    QUALITY_WARNING = "quality_warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The conclusion from all checks of a run."""

    #: 0 to 100.
    score: float
    rating: str
    #: ``None`` when the model could not be measured.
    verdict: Verdict | None
    category: str | None
    #: Whether too much could not be measured to say anything.
    inconclusive: bool
    #: How much of the suite the conclusion rests on.
    assurance: Assurance
    #: Whether another attempt may measure it; only with ``inconclusive``.
    temporary: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The reasons as one text."""
        return " ".join(self.reasons)


def judge(checks: Sequence[CheckRecord], policy: Policy = STANDARD) -> Judgement:
    """Conclude from the checks of a run.

    Parameters
    ----------
    checks : sequence of CheckRecord
        All checks of the suite, skipped ones too.
    policy : Policy, optional
        Weights and limits.

    Notes
    -----
    The score is ``100 * sum(weight * credit) / sum(weight)`` over the checks that
    passed, warned or failed. The thresholds 80 and 60 and the letters are those of
    the original system.

    Whatever the score, a failed critical check fails the certification; and it is a
    quality warning at best where a critical check is only warned, a major one failed,
    either had too few observations to decide, or less was measured than the policy
    demands. The category is that of the checks that decided the verdict.
    """
    assurance = Assurance.of(checks, policy)
    score = _score(checks, policy)
    unusable = [record for record in checks if _forces_failure(record)]
    if not (unusable and policy.unusable == "failed"):
        unmeasured = _unmeasured(checks, policy)
        if unmeasured:
            return _inconclusive(checks, score, assurance, unmeasured)
    against = [*unusable, *_failed_criticals(checks, policy)]
    if against:
        return Judgement(
            score=score,
            rating="F",
            verdict=Verdict.FAILED,
            category=_worst_category(against),
            inconclusive=False,
            assurance=assurance,
            reasons=tuple(_reasons_to_fail(unusable, checks, policy)),
        )
    verdict, deciding = _verdict_of(score, policy), _losing(checks, policy)
    caps = _caps(checks, policy, assurance)
    if caps and verdict is Verdict.CERTIFIED:
        verdict = Verdict.QUALITY_WARNING
        deciding = [record for _, record in caps if record is not None]
    return Judgement(
        score=score,
        rating=rating_of(score),
        verdict=verdict,
        category=None
        if verdict is Verdict.CERTIFIED
        else _worst_category(deciding) or ErrorCategory.QUALITY_ISSUE.value,
        inconclusive=False,
        assurance=assurance,
        reasons=(
            *(reason for reason, _ in caps),
            _score_reason(score, policy),
            *_losses(checks),
        ),
    )


def rating_of(score: float) -> str:
    """Letter of a score."""
    return next((letter for lowest, letter in RATINGS if score >= lowest), "F")


def _score(checks: Sequence[CheckRecord], policy: Policy) -> float:
    credits_ = {Outcome.PASSED: 1.0, Outcome.WARNED: policy.warned_credit}
    counted = [
        record
        for record in checks
        if record.outcome in MEASURED_OUTCOMES
        or (policy.unusable == "failed" and record.outcome is Outcome.ERROR)
    ]
    total = sum(policy.weight(record) for record in counted)
    if total == 0:
        return 0.0
    earned = sum(
        policy.weight(record) * credits_.get(record.outcome, 0.0) for record in counted
    )
    return round(100 * earned / total, 2)


def _unmeasured(checks: Sequence[CheckRecord], policy: Policy) -> str:
    applicable = [record for record in checks if record.outcome is not Outcome.SKIPPED]
    total = sum(policy.weight(record) for record in applicable)
    if total == 0:
        return "No check applied to this model and these data."
    errored = [record for record in applicable if record.outcome is Outcome.ERROR]
    share = sum(policy.weight(record) for record in errored) / total
    names = ", ".join(record.id for record in errored)
    if share > policy.max_errored:
        return (
            f"{share:.0%} of the weight could not be measured, more than "
            f"{policy.max_errored:.0%}: {names}."
        )
    critical = [record.id for record in errored if record.severity is Severity.CRITICAL]
    if critical and policy.critical_must_pass:
        return f"Critical checks could not be measured: {', '.join(critical)}."
    return ""


def _inconclusive(
    checks: Sequence[CheckRecord], score: float, assurance: Assurance, why: str
) -> Judgement:
    errored = [record for record in checks if record.outcome is Outcome.ERROR]
    causes = dict.fromkeys(f"{record.category}: {record.message}" for record in errored)
    errors = _worst_category(errored)
    worst = [record for record in errored if record.category == errors]
    return Judgement(
        score=score,
        rating="",
        verdict=None,
        category=errors,
        inconclusive=True,
        assurance=assurance,
        temporary=bool(worst) and any(record.temporary for record in worst),
        reasons=(why, *list(causes)[:3]),
    )


def _reasons_to_fail(
    unusable: Sequence[CheckRecord], checks: Sequence[CheckRecord], policy: Policy
) -> Iterator[str]:
    for record in unusable:
        yield f"{record.category} in {record.id}: {record.message}"
    for record in _failed_criticals(checks, policy):
        yield f"Critical check {record.id} failed: {record.message}"


def _failed_criticals(
    checks: Sequence[CheckRecord], policy: Policy
) -> list[CheckRecord]:
    return [
        record
        for record in checks
        if policy.critical_must_pass
        and record.severity is Severity.CRITICAL
        and record.outcome is Outcome.FAILED
    ]


def _losing(checks: Sequence[CheckRecord], policy: Policy) -> list[CheckRecord]:
    """Return the checks that cost the score all their weight."""
    lost = {Outcome.FAILED}
    if policy.unusable == "failed":
        lost.add(Outcome.ERROR)
    return [record for record in checks if record.outcome in lost]


def _caps(
    checks: Sequence[CheckRecord], policy: Policy, assurance: Assurance
) -> list[tuple[str, CheckRecord | None]]:
    """Return why it cannot be certified, and the check that says so, if one does."""
    found: list[tuple[str, CheckRecord | None]] = []
    if policy.critical_must_pass:
        found += [
            (f"Not certified, for {what}: {record.message}", record)
            for record in checks
            if (what := _weakness(record))
        ]
    demands = _demands(policy, assurance)
    found += [(f"Not certified, for {demand}", None) for demand in demands]
    return found


def _demands(policy: Policy, assurance: Assurance) -> Iterator[str]:
    """Say what the policy demands and was not measured."""
    if assurance.coverage < policy.min_coverage:
        yield (
            f"{assurance.coverage:.0%} of the suite was measured; at least "
            f"{policy.min_coverage:.0%} must be."
        )
    if assurance.level < policy.min_level:
        ways = "; ".join(INPUTS[name] for name in assurance.missing)
        yield (
            f"the assurance level is {assurance.level}; at least {policy.min_level} is "
            f"demanded. "
            + (f"Give {ways}." if ways else "The suite has no check for more.")
        )


def _weakness(record: CheckRecord) -> str:
    if record.severity is Severity.MINOR:
        return ""
    named = f"the {record.severity.value} check {record.id}"
    if record.undecided:
        return f"{named} has too few observations"
    if record.outcome is Outcome.FAILED:
        return f"{named} failed"
    if record.outcome is Outcome.WARNED and record.severity is Severity.CRITICAL:
        return f"{named} is warned"
    return ""


def _forces_failure(record: CheckRecord) -> bool:
    return (
        record.outcome in {Outcome.ERROR, Outcome.FAILED}
        and record.category in FORCED_FAILURES
        and not record.temporary
    )


def _verdict_of(score: float, policy: Policy) -> Verdict:
    if score >= policy.certified_at:
        return Verdict.CERTIFIED
    if score >= policy.warning_at:
        return Verdict.QUALITY_WARNING
    return Verdict.FAILED


def _score_reason(score: float, policy: Policy) -> str:
    if score >= policy.certified_at:
        return f"Score {score:g}, at least {policy.certified_at:g}."
    if score >= policy.warning_at:
        return (
            f"Score {score:g}, below {policy.certified_at:g} "
            f"but at least {policy.warning_at:g}."
        )
    return f"Score {score:g}, below {policy.warning_at:g}."


def _losses(checks: Sequence[CheckRecord]) -> Iterator[str]:
    for outcome in (Outcome.FAILED, Outcome.WARNED, Outcome.ERROR):
        names = [record.id for record in checks if record.outcome is outcome]
        if names:
            what = "could not be measured" if outcome is Outcome.ERROR else outcome
            yield f"{', '.join(names)} {what}."


def _worst_category(checks: Sequence[CheckRecord]) -> str | None:
    found = [
        _known_category(record.category)
        for record in checks
        if record.category and record.outcome in {Outcome.ERROR, Outcome.FAILED}
    ]
    worst = most_severe(found)
    return None if worst is None else worst.value


def _known_category(name: str) -> ErrorCategory:
    try:
        return ErrorCategory(name)
    except ValueError:
        return ErrorCategory.UNKNOWN_ERROR
