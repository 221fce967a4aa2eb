"""What a measured value is compared with, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.request import RecordReader
from myia_sdk.errors import CertificationError

if TYPE_CHECKING:
    from myia_sdk.certification.request import JSON

Comparator = Literal["<=", ">=", "<", ">", "=="]
COMPARATORS: tuple[Comparator, ...] = ("<=", ">=", "<", ">", "==")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What a measured value is compared with.

    With ``rule="value"`` the value itself is compared: ``passed`` first, then
    ``warned``. With ``rule="bound"``, meant for rates and other estimates from a
    sample, the confidence bound must reach ``passed`` for a pass; a point estimate
    that reaches it while the bound does not is a warning.
    """

    comparator: Comparator = ">="
    #: The value that earns a pass; ``None`` means the check judges itself.
    passed: float | None = None
    #: The value that still earns a warning instead of a failure.
    warned: float | None = None
    rule: Literal["value", "bound"] = "value"

    def __post_init__(self) -> None:
        if self.comparator not in COMPARATORS:
            raise CertificationError(
                f"The comparator is {self.comparator!r}; "
                f"it must be one of {', '.join(COMPARATORS)}."
            )
        if self.rule not in {"value", "bound"}:
            raise CertificationError(
                f"The rule is {self.rule!r}; it must be 'value' or 'bound'."
            )

    def accepts(self, value: float, limit: float) -> bool:
        """Tell whether ``value`` stands in the wanted relation to ``limit``."""
        match self.comparator:
            case "<=":
                return value <= limit
            case ">=":
                return value >= limit
            case "<":
                return value < limit
            case ">":
                return value > limit
            case "==":
                return math.isclose(value, limit, rel_tol=1e-12)

    def judge(self, value: float, interval: tuple[float, float] | None) -> Outcome:
        """Outcome of a value with its confidence interval, if it has one."""
        if self.passed is None:
            return Outcome.PASSED
        if self.is_undecided(value, interval):
            return Outcome.WARNED
        if self.accepts(value, self.passed):
            return Outcome.PASSED
        if self.warned is not None and self.accepts(value, self.warned):
            return Outcome.WARNED
        return Outcome.FAILED

    def judge_problem(self, value: float, interval: tuple[float, float]) -> Outcome:
        """Outcome of a problem found: it fails only where its whole interval does."""
        low, high = interval
        least = low if self.comparator in {"<=", "<"} else high
        outcome = self.judge(value, None)
        may_be_chance = self.judge(least, None) is not Outcome.FAILED
        is_chance = outcome is Outcome.FAILED and may_be_chance
        return Outcome.WARNED if is_chance else outcome

    def is_undecided(self, value: float, interval: tuple[float, float] | None) -> bool:
        """Tell whether the value would pass and its bound does not."""
        if self.passed is None or self.rule != "bound" or interval is None:
            return False
        bound = self.bound(interval)
        return self.accepts(value, self.passed) and not self.accepts(bound, self.passed)

    def bound(self, interval: tuple[float, float]) -> float:
        """Return the bound that decides."""
        return interval[1] if self.comparator in {"<=", "<"} else interval[0]

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this threshold."""
        return {
            "comparator": self.comparator,
            "passed": self.passed,
            "warned": self.warned,
            "rule": self.rule,
        }

    @classmethod
    def from_record(
        cls,
        record: object,
        where: str = "threshold",
        error: type[CertificationError] = CertificationError,
    ) -> Self:
        """Read the JSON object of a threshold, strictly."""
        reader = RecordReader(record, where, error)
        comparator = reader.text("comparator", ">=")
        rule = reader.text("rule", "value")
        if comparator not in COMPARATORS:
            raise error(
                f"{where}: 'comparator' is {comparator!r}; "
                f"it must be one of {', '.join(COMPARATORS)}."
            )
        if rule not in {"value", "bound"}:
            raise error(f"{where}: 'rule' is {rule!r}; it must be 'value' or 'bound'.")
        threshold = cls(
            comparator=comparator,
            passed=reader.number("passed"),
            warned=reader.number("warned"),
            rule=rule,  # type: ignore[arg-type]
        )
        reader.refuse_rest()
        return threshold
