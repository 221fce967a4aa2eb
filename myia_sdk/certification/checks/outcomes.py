"""What a check may find, and how much it matters."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What a check found."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    #: The check could not be measured; it carries an error category.
    ERROR = "error"
    #: The check does not apply to this model or these data.
    SKIPPED = "skipped"


#: Outcomes that say something about the model and so enter the score.
MEASURED_OUTCOMES = frozenset({Outcome.PASSED, Outcome.WARNED, Outcome.FAILED})


class Severity(StrEnum):
    """How much a check matters for the verdict."""

    #: Failing it fails the certification.
    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
