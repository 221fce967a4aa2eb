"""How much of a suite was measured, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.checks.outcomes import MEASURED_OUTCOMES
from myia_sdk.certification.checks.registry import INPUTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.suites import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """How far a verdict reaches."""

    #: Share of the suite's weight that was measured, 0 to 1.
    coverage: float
    #: 1 with test data alone; 2 where a check on training data was measured; 3 where
    #: checks on groups of people and against a baseline were measured as well.
    level: int
    #: Inputs on which checks were skipped: ``train sensitive baseline``.
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, checks: Sequence[CheckRecord], policy: Policy) -> Self:
        """Find it from the checks of a run, skipped ones included."""
        measured = [one for one in checks if one.outcome in MEASURED_OUTCOMES]
        total = sum(policy.weight(one) for one in checks)
        inputs = {name for one in measured for name in one.needs}
        level = 1
        if "train" in inputs:
            level = 3 if inputs == set(INPUTS) else 2
        wanting = {
            name
            for one in checks
            if one.outcome is Outcome.SKIPPED
            for name in one.needs
        }
        share = sum(policy.weight(one) for one in measured) / total if total else 0.0
        return cls(
            coverage=round(share, 4),
            level=level,
            missing=tuple(name for name in INPUTS if name in wanting),
        )
