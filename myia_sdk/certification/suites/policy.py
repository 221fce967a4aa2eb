"""Policies: how the outcomes of checks become a score and a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from myia_sdk.certification.checks import Severity
from myia_sdk.certification.request import JSON, RecordReader
from myia_sdk.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.checks import CheckRecord

#: Levels of assurance: with test data alone; with training data too; with groups of
#: people and a model to compare with as well.
LEVELS = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How outcomes become a verdict.

    ``standard`` weighs checks by severity, and measures nothing when too much of the
    weight could not be measured. Its version 2 certifies only what was shown to be
    good: no critical check failed or only warned, no major one failed, and none of
    either decided by too few observations; version 1 went by the score alone, once
    every critical check had not failed. ``classic`` reproduces the system this project
    re-implements: equal weights, a share of passed checks, and an unusable model
    failed rather than unmeasured; its habit of taking the last failure's category is
    not reproduced, nor is failing a model for an outage.
    """

    name: str = "standard"
    version: int = 2
    weights: Mapping[str, float] = field(
        default_factory=lambda: {"critical": 3.0, "major": 2.0, "minor": 1.0}
    )
    #: Share of its weight that a warned check earns.
    warned_credit: float = 0.5
    certified_at: float = 80.0
    warning_at: float = 60.0
    #: Greatest share of weight in error with which a verdict is still given.
    max_errored: float = 0.20
    #: Whether a failed critical check fails the certification, and single checks keep
    #: it from being certified, see above.
    critical_must_pass: bool = True
    #: Least share of the suite's weight that must have been measured to be certified.
    min_coverage: float = 0.0
    #: Least level of assurance to be certified, see `Assurance`.
    min_level: int = 1
    #: What a permanent error that makes the model unusable means.
    unusable: Literal["inconclusive", "failed"] = "inconclusive"

    def weight(self, record: CheckRecord) -> float:
        """Weight of a check in the score."""
        return self.weights[record.severity.value]

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this policy."""
        return {
            "use": self.name,
            "version": self.version,
            "weights": dict(self.weights),
            "warned_credit": self.warned_credit,
            "certified_at": self.certified_at,
            "warning_at": self.warning_at,
            "max_errored": self.max_errored,
            "critical_must_pass": self.critical_must_pass,
            "min_coverage": self.min_coverage,
            "min_level": self.min_level,
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
        version = reader.integer("version", base.version)
        if version != base.version:
            raise SuiteError(
                f"{where}: 'version' of the policy {name!r} is {version}; this release "
                f"judges by version {base.version}."
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
                ("min_coverage", 1.0),
            )
        }
        level = reader.integer("min_level", base.min_level)
        if level not in LEVELS:
            raise SuiteError(f"{where}: 'min_level' is {level}; it must be 1, 2 or 3.")
        policy = cls(
            name=name,
            version=version,
            min_level=level,
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
    version=1,
    weights={"critical": 1.0, "major": 1.0, "minor": 1.0},
    warned_credit=0.0,
    critical_must_pass=False,
    unusable="failed",
)

POLICIES: dict[str, Policy] = {"standard": STANDARD, "classic": CLASSIC}


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
