"""From the outcomes of checks to score, rating, verdict and error category."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from myia_sdk.certification.categories import (
    FORCED_FAILURES,
    ErrorCategory,
    most_severe,
)
from myia_sdk.certification.records import JSON, RecordReader
from myia_sdk.certification.report import (
    MEASURED_OUTCOMES,
    CheckRecord,
    Outcome,
    Severity,
    Verdict,
)
from myia_sdk.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Lowest score of each letter; A and B are certified, C and D a warning.
RATINGS: tuple[tuple[float, str], ...] = ((90, "A"), (80, "B"), (70, "C"), (60, "D"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How outcomes become a verdict.

    ``standard`` weighs checks by severity, and measures nothing when too much of the
    weight could not be measured. ``classic`` reproduces the system this project
    re-implements: equal weights, a share of passed checks, and an unusable model
    failed rather than unmeasured; its habit of taking the last failure's category is
    not reproduced, nor is failing a model for an outage.
    """

    name: str = "standard"
    weights: Mapping[str, float] = field(
        default_factory=lambda: {"critical": 3.0, "major": 2.0, "minor": 1.0}
    )
    #: Share of its weight that a warned check earns.
    warned_credit: float = 0.5
    certified_at: float = 80.0
    warning_at: float = 60.0
    #: Greatest share of weight in error with which a verdict is still given.
    max_errored: float = 0.20
    #: Whether a failed critical check fails the certification.
    critical_must_pass: bool = True
    #: What a permanent error that makes the model unusable means.
    unusable: Literal["inconclusive", "failed"] = "inconclusive"

    def weight(self, record: CheckRecord) -> float:
        """Weight of a check in the score."""
        return self.weights[record.severity.value]

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this policy."""
        return {
            "use": self.name,
            "weights": dict(self.weights),
            "warned_credit": self.warned_credit,
            "certified_at": self.certified_at,
            "warning_at": self.warning_at,
            "max_errored": self.max_errored,
            "critical_must_pass": self.critical_must_pass,
            "unusable": self.unusable,
        }

    @classmethod
    def from_record(cls, record: object, where: str = "The policy") -> Self:
        """Read the JSON object of a policy: a name in ``use``, and what differs."""
        reader = RecordReader(record, where, SuiteError)
        name = reader.text("use", "standard")
        base = POLICIES.get(name)
        if base is None:
            raise SuiteError(
                f"{where}: 'use' is {name!r}; it must be one of {', '.join(POLICIES)}."
            )
        unusable = reader.text("unusable", base.unusable)
        if unusable not in {"inconclusive", "failed"}:
            raise SuiteError(
                f"{where}: 'unusable' is {unusable!r}; "
                "it must be 'inconclusive' or 'failed'."
            )
        numbers = {
            key: _share(reader, key, getattr(base, key), greatest)
            for key, greatest in (
                ("warned_credit", 1.0),
                ("certified_at", 100.0),
                ("warning_at", 100.0),
                ("max_errored", 1.0),
            )
        }
        policy = cls(
            name=name,
            weights=_weights(reader, base),
            critical_must_pass=reader.boolean(
                "critical_must_pass", default=base.critical_must_pass
            ),
            unusable="failed" if unusable == "failed" else "inconclusive",
            **numbers,
        )
        reader.refuse_rest()
        return policy


STANDARD = Policy()
CLASSIC = Policy(
    name="classic",
    weights={"critical": 1.0, "major": 1.0, "minor": 1.0},
    warned_credit=0.0,
    critical_must_pass=False,
    unusable="failed",
)
POLICIES: dict[str, Policy] = {"standard": STANDARD, "classic": CLASSIC}


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
    the original system. The category is the most severe one over all checks.

    A failed check that is not critical costs its weight and no more: a model that
    fails one of many is still certified, and report and certificate name the check.
    Whoever cannot do with that makes the check critical in a suite of their own.
    """
    category = _worst_category(checks)
    score = _score(checks, policy)
    unusable = [record for record in checks if _forces_failure(record)]
    if not (unusable and policy.unusable == "failed"):
        unmeasured = _unmeasured(checks, policy)
        if unmeasured:
            return _inconclusive(checks, score, category, unmeasured)
    reasons = _reasons_to_fail(checks, unusable, policy)
    if reasons:
        return Judgement(
            score=score,
            rating="F",
            verdict=Verdict.FAILED,
            category=category,
            inconclusive=False,
            reasons=tuple(reasons),
        )
    verdict = _verdict_of(score, policy)
    return Judgement(
        score=score,
        rating=rating_of(score),
        verdict=verdict,
        category=category,
        inconclusive=False,
        reasons=(_score_reason(score, verdict, policy), *_losses(checks)),
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
    checks: Sequence[CheckRecord], score: float, category: str | None, why: str
) -> Judgement:
    errored = [record for record in checks if record.outcome is Outcome.ERROR]
    causes = dict.fromkeys(f"{record.category}: {record.message}" for record in errored)
    errors = _worst_category(errored) if errored else category
    worst = [record for record in errored if record.category == errors]
    return Judgement(
        score=score,
        rating="",
        verdict=None,
        category=errors,
        inconclusive=True,
        temporary=bool(worst) and any(record.temporary for record in worst),
        reasons=(why, *list(causes)[:3]),
    )


def _reasons_to_fail(
    checks: Sequence[CheckRecord], unusable: Sequence[CheckRecord], policy: Policy
) -> list[str]:
    reasons = [
        f"{record.category} in {record.id}: {record.message}" for record in unusable
    ]
    if policy.critical_must_pass:
        reasons += [
            f"Critical check {record.id} failed: {record.message}"
            for record in checks
            if record.severity is Severity.CRITICAL and record.outcome is Outcome.FAILED
        ]
    return reasons


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


def _score_reason(score: float, verdict: Verdict, policy: Policy) -> str:
    if verdict is Verdict.CERTIFIED:
        return f"Score {score:g}, at least {policy.certified_at:g}."
    if verdict is Verdict.QUALITY_WARNING:
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


def _share(reader: RecordReader, key: str, default: float, greatest: float) -> float:
    value = reader.number(key)
    if value is None:
        return default
    if not 0 <= value <= greatest:
        raise SuiteError(
            f"{reader.where}: {key!r} is {value:g}; "
            f"it must be between 0 and {greatest:g}."
        )
    return float(value)


def _weights(reader: RecordReader, base: Policy) -> dict[str, float]:
    inner = RecordReader(
        reader.mapping("weights"), f"{reader.where}: weights", SuiteError
    )
    weights = {
        severity.value: _share(
            inner, severity.value, base.weights[severity.value], 1000.0
        )
        for severity in Severity
    }
    inner.refuse_rest()
    return weights
