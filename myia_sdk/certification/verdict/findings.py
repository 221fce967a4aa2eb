"""A verdict with all it rests on: what was certified, what each check found.

Plain data. Its record is the return value of the certification's job, so everything
here is pure and survives a round trip through JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from myia_sdk.certification.checks import CheckRecord
from myia_sdk.certification.request import JSON, RecordReader, json_safe
from myia_sdk.certification.verdict.verdict import Verdict
from myia_sdk.errors import CertificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.checks import Outcome

#: Version of the report's record. Readers ignore keys they do not know.
SCHEMA_VERSION = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Findings:
    """Everything a certification found out about one model: a report without looks."""

    suite_id: str
    suite_version: str
    #: ``sha256:...`` of what the suite measures; equal digests are comparable.
    suite_digest: str
    #: Record of the model's reference.
    model: Mapping[str, JSON]
    #: Record of the dataset's reference, if the suite used one.
    dataset: Mapping[str, JSON] | None = None
    region: str | None = None
    started_at: datetime
    finished_at: datetime
    checks: tuple[CheckRecord, ...]
    #: Weighted share of what was measured and passed, 0 to 100.
    score: float
    #: ``A`` to ``F``; A and B are certified, C and D a warning, F failed.
    rating: str
    verdict: Verdict
    #: Share of the suite's weight that was measured, level of assurance, and inputs on
    #: which checks were skipped, see `Assurance`; ``None`` in reports by the rules of
    #: 1.0.
    coverage: float | None = None
    level: int | None = None
    missing: tuple[str, ...] = ()
    #: Whose rules these are, see `Origin`, and checks that the request changed.
    suite_origin: str | None = None
    overridden: tuple[str, ...] = ()
    #: Category of what decided the verdict, ``None`` for a certified model.
    error_category: str | None = None
    #: Record of the policy by which the verdict was given.
    policy: Mapping[str, JSON] = field(default_factory=dict)
    #: Why the verdict is what it is, one sentence each.
    reasons: tuple[str, ...] = ()
    #: What the model said about itself when it was loaded: type, classes,
    #: resolved model name, system fingerprint.
    resolved: Mapping[str, JSON] = field(default_factory=dict)
    #: Versions of Python and of the libraries, seed, platform.
    environment: Mapping[str, JSON] = field(default_factory=dict)
    #: ``{"artifact": "sha256:...", "samples": n}``, if samples were recorded.
    sample_log: Mapping[str, JSON] | None = None
    #: Requests, tokens and cost spent, if the model counts them.
    usage: Mapping[str, JSON] | None = None
    #: The signed certificate, put in by the worker after the run.
    certificate: Mapping[str, JSON] | None = None
    schema_version: str = SCHEMA_VERSION

    def check(self, check_id: str) -> CheckRecord:
        """Return the record of one check.

        Raises
        ------
        CertificationError
            The suite has no check of this id.
        """
        for record in self.checks:
            if record.id == check_id:
                return record
        known = ", ".join(record.id for record in self.checks)
        raise CertificationError(
            f"The report has no check {check_id!r}; it has: {known}."
        )

    def with_outcome(self, *outcomes: Outcome) -> tuple[CheckRecord, ...]:
        """Return the checks that ended with one of the outcomes, in order."""
        return tuple(record for record in self.checks if record.outcome in outcomes)

    @property
    def duration_ms(self) -> float:
        """Wall time of the run, milliseconds."""
        return (self.finished_at - self.started_at).total_seconds() * 1000

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this report."""
        return {
            "schema_version": self.schema_version,
            "suite_id": self.suite_id,
            "suite_version": self.suite_version,
            "suite_digest": self.suite_digest,
            "model": json_safe(self.model),
            "dataset": json_safe(self.dataset),
            "region": self.region,
            "started_at": self.started_at.astimezone(UTC).isoformat(),
            "finished_at": self.finished_at.astimezone(UTC).isoformat(),
            "checks": [record.to_record() for record in self.checks],
            "score": self.score,
            "rating": self.rating,
            "verdict": self.verdict.value,
            "coverage": self.coverage,
            "level": self.level,
            "missing": list(self.missing),
            "suite_origin": self.suite_origin,
            "overridden": list(self.overridden),
            "error_category": self.error_category,
            "policy": json_safe(self.policy),
            "reasons": list(self.reasons),
            "resolved": json_safe(self.resolved),
            "environment": json_safe(self.environment),
            "sample_log": json_safe(self.sample_log),
            "usage": json_safe(self.usage),
            "certificate": json_safe(self.certificate),
        }

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Read the JSON object of a report; unknown keys are ignored.

        Raises
        ------
        CertificationError
            A key is missing or has the wrong type; the message names it.
        """
        reader = RecordReader(record, "The report", CertificationError)
        return cls(
            schema_version=reader.text("schema_version"),
            suite_id=reader.text("suite_id"),
            suite_version=reader.text("suite_version"),
            suite_digest=reader.text("suite_digest"),
            model=reader.json_object("model"),
            dataset=_optional_json_object(reader, "dataset"),
            region=reader.optional_text("region"),
            started_at=_moment(reader, "started_at"),
            finished_at=_moment(reader, "finished_at"),
            checks=tuple(
                CheckRecord.from_record(item) for item in reader.items("checks")
            ),
            score=reader.number("score") or 0.0,
            rating=reader.text("rating"),
            verdict=reader.member(Verdict, "verdict"),
            coverage=reader.number("coverage"),
            level=reader.optional_integer("level"),
            missing=reader.texts("missing"),
            suite_origin=reader.optional_text("suite_origin"),
            overridden=reader.texts("overridden"),
            error_category=reader.optional_text("error_category"),
            policy=reader.json_object("policy"),
            reasons=reader.texts("reasons"),
            resolved=reader.json_object("resolved"),
            environment=reader.json_object("environment"),
            sample_log=_optional_json_object(reader, "sample_log"),
            usage=_optional_json_object(reader, "usage"),
            certificate=_optional_json_object(reader, "certificate"),
        )


def _moment(reader: RecordReader, key: str) -> datetime:
    text = reader.text(key)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CertificationError(
            f"{reader.where}: {key!r} is {text!r}; it must be an ISO 8601 time."
        ) from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _optional_json_object(reader: RecordReader, key: str) -> dict[str, JSON] | None:
    value = reader.optional_mapping(key)
    return (
        None
        if value is None
        else {name: json_safe(item) for name, item in value.items()}
    )
