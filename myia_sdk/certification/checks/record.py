"""What one check of a suite found about one model: plain data, fit for JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from myia_sdk.certification.checks.outcomes import Outcome, Severity
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.request import JSON, RecordReader, json_safe
from myia_sdk.errors import CertificationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """What one check of a suite found about one model."""

    #: Id within the suite.
    id: str
    #: Version of the check's implementation.
    version: str
    title: str
    severity: Severity
    outcome: Outcome
    #: The measured value, ``None`` when there is none.
    value: float | None = None
    #: Unit of ``value`` and of the threshold, empty for shares and scores.
    unit: str = ""
    threshold: Threshold | None = None
    #: Bounds of the 95 % confidence interval of ``value``.
    ci_low: float | None = None
    ci_high: float | None = None
    #: How many observations ``value`` rests on.
    sample_size: int | None = None
    #: Whether they are too few to decide between a pass and a failure.
    undecided: bool = False
    #: How many would decide it, ``None`` if they do, or no number would.
    needed: int | None = None
    #: Inputs of the request that it rests on: ``train``, ``sensitive``, ``baseline``.
    needs: tuple[str, ...] = ()
    duration_ms: float = 0.0
    message: str = ""
    #: Error category, for the outcomes ``failed`` and ``error``.
    category: str | None = None
    #: Whether an error may pass by itself, so that another attempt makes sense.
    temporary: bool = False
    #: What to do about it.
    suggestions: tuple[str, ...] = ()
    #: Requests that were sent again because of a temporary error.
    retries: int = 0
    #: Further numbers of the check, JSON only.
    details: Mapping[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("value", "ci_low", "ci_high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise CertificationError(
                    f"Check {self.id!r} has {name} = {number}; it must be finite."
                )

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this record."""
        return {
            "id": self.id,
            "version": self.version,
            "title": self.title,
            "severity": self.severity.value,
            "outcome": self.outcome.value,
            "value": self.value,
            "unit": self.unit,
            "threshold": self.threshold.to_record() if self.threshold else None,
            "ci_low": self.ci_low,
            "ci_high": self.ci_high,
            "sample_size": self.sample_size,
            "undecided": self.undecided,
            "needed": self.needed,
            "needs": list(self.needs),
            "duration_ms": round(self.duration_ms, 3),
            "message": self.message,
            "category": self.category,
            "temporary": self.temporary,
            "suggestions": list(self.suggestions),
            "retries": self.retries,
            "details": json_safe(self.details),
        }

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Read the JSON object of a record; unknown keys are ignored."""
        reader = RecordReader(record, "A check of the report", CertificationError)
        check_id = reader.text("id")
        reader.where = f"Check {check_id!r} of the report"
        threshold = reader.optional_mapping("threshold")
        return cls(
            id=check_id,
            version=reader.text("version"),
            title=reader.text("title", ""),
            severity=reader.member(Severity, "severity"),
            outcome=reader.member(Outcome, "outcome"),
            value=reader.number("value"),
            unit=reader.text("unit", ""),
            threshold=None if threshold is None else Threshold.from_record(threshold),
            ci_low=reader.number("ci_low"),
            ci_high=reader.number("ci_high"),
            sample_size=reader.optional_integer("sample_size"),
            undecided=reader.boolean("undecided", default=False),
            needed=reader.optional_integer("needed"),
            needs=reader.texts("needs"),
            duration_ms=reader.number("duration_ms") or 0.0,
            message=reader.text("message", ""),
            category=reader.optional_text("category"),
            temporary=reader.boolean("temporary", default=False),
            suggestions=reader.texts("suggestions"),
            retries=reader.integer("retries", 0),
            details=reader.json_object("details"),
        )
