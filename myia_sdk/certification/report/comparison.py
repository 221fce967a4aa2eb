"""Two reports compared check by check, and a notice when the model changed silently."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from myia_sdk.certification.checks import Outcome
from myia_sdk.errors import ComparisonError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.report.report import Report
    from myia_sdk.certification.request import JSON


class Change(StrEnum):
    """How a check of the newer report stands to that of the older one."""

    SAME = "same"
    IMPROVED = "improved"
    WORSENED = "worsened"
    #: At least one of the two says nothing about the model.
    INCOMPARABLE = "incomparable"


#: Outcomes from worst to best; the others cannot be ordered.
_ORDER = (Outcome.FAILED, Outcome.WARNED, Outcome.PASSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckComparison:
    """One check in both reports."""

    id: str
    before: CheckRecord
    after: CheckRecord
    change: Change
    #: Value after minus value before.
    difference: float | None
    #: Difference as a share of the value before.
    relative: float | None
    #: Whether the confidence intervals lie apart; ``None`` without intervals.
    is_significant: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two reports of the same suite."""

    before: Report
    after: Report
    checks: tuple[CheckComparison, ...]
    #: Names of the model's own facts that differ, see `drift`.
    drift: Mapping[str, tuple[JSON, JSON]]

    @property
    def score_difference(self) -> float:
        """Score after minus score before."""
        return self.after.score - self.before.score

    def with_change(self, change: Change) -> tuple[CheckComparison, ...]:
        """Return the checks that changed in this way, in order."""
        return tuple(check for check in self.checks if check.change is change)


def compare(before: Report, after: Report) -> Comparison:
    """Compare two reports check by check.

    Parameters
    ----------
    before, after : Report
        Reports of the same suite, on the same data.

    Raises
    ------
    ComparisonError
        The suites differ in what they measure, or the data do: the numbers would look
        comparable without being so.
    """
    _require_same_rules(before, after)
    _require_same("suites", _suite(before), _suite(after))
    _require_same("datasets", _data(before), _data(after))
    later = {record.id: record for record in after.checks}
    return Comparison(
        before=before,
        after=after,
        checks=tuple(
            _compare(record, later[record.id])
            for record in before.checks
            if record.id in later
        ),
        drift=drift(before.resolved, after.resolved),
    )


def drift(
    before: Mapping[str, JSON], after: Mapping[str, JSON]
) -> dict[str, tuple[JSON, JSON]]:
    """Find facts that an endpoint tells about itself and that changed.

    A provider may put another model behind the same name. What a model says of itself
    when it answers, its resolved name and system fingerprint, gives it away.

    Parameters
    ----------
    before, after : mapping
        ``resolved`` of the last certified report and of a new one.

    Returns
    -------
    dict
        Both values by name of the fact; empty when nothing is known to have changed.
        A fact that only one side states is no change.
    """
    return {
        name: (before[name], after[name])
        for name in ("model", "system_fingerprint", "version", "artifact")
        if before.get(name) is not None
        and after.get(name) is not None
        and before[name] != after[name]
    }


def drift_notice(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> str | None:
    """Say in one sentence that the model behind an endpoint changed.

    Returns
    -------
    str or None
        ``None`` when nothing is known to have changed.
    """
    changed = drift(before, after)
    if not changed:
        return None
    words = ", ".join(
        f"{name.replace('_', ' ')} was {old!r} and is {new!r}"
        for name, (old, new) in changed.items()
    )
    return (
        f"The endpoint no longer answers as it did when it was certified: {words}. "
        "Earlier certificates are about another model."
    )


def _compare(before: CheckRecord, after: CheckRecord) -> CheckComparison:
    difference = relative = None
    if before.value is not None and after.value is not None:
        difference = after.value - before.value
        relative = difference / abs(before.value) if before.value else None
    return CheckComparison(
        id=before.id,
        before=before,
        after=after,
        change=_change(before.outcome, after.outcome),
        difference=difference,
        relative=relative,
        is_significant=_lie_apart(before, after),
    )


def _change(before: Outcome, after: Outcome) -> Change:
    if before not in _ORDER or after not in _ORDER:
        return Change.INCOMPARABLE
    step = _ORDER.index(after) - _ORDER.index(before)
    if step == 0:
        return Change.SAME
    return Change.IMPROVED if step > 0 else Change.WORSENED


def _lie_apart(before: CheckRecord, after: CheckRecord) -> bool | None:
    bounds = (before.ci_low, before.ci_high, after.ci_low, after.ci_high)
    low_1, high_1, low_2, high_2 = bounds
    if low_1 is None or high_1 is None or low_2 is None or high_2 is None:
        return None
    return high_1 < low_2 or high_2 < low_1


def _require_same_rules(before: Report, after: Report) -> None:
    versions = before.suite_version, after.suite_version
    if before.suite_id == after.suite_id and versions[0] != versions[1]:
        raise ComparisonError(
            f"The reports are by {before.suite_id} {versions[0]} and {versions[1]}, "
            "which measure or judge differently: a change of score or verdict would "
            "not be the model's. Certify both models by the same version."
        )


def _require_same(what: str, before: tuple[str, str], after: tuple[str, str]) -> None:
    if before[1] != after[1]:
        raise ComparisonError(
            f"The {what} of the reports differ: {before[0]} ({before[1][:19]}) and "
            f"{after[0]} ({after[1][:19]}). Certify both models with the same one."
        )


def _suite(report: Report) -> tuple[str, str]:
    return f"{report.suite_id} {report.suite_version}", report.suite_digest


def _data(report: Report) -> tuple[str, str]:
    dataset = report.dataset or {}
    return str(dataset.get("name") or "data"), str(dataset.get("artifact") or "none")
