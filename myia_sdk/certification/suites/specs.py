"""One check as a suite uses it: severity, parameters, threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from myia_sdk.certification.checks import Severity, Threshold, find_check, list_checks
from myia_sdk.certification.request import JSON, RecordReader, json_safe
from myia_sdk.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.checks.registry import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """One check as a suite uses it."""

    #: Id within the suite.
    id: str
    check: Check
    severity: Severity
    title: str
    #: The check's defaults, overlaid with the suite's values.
    params: Mapping[str, JSON]
    threshold: Threshold
    #: Where the threshold comes from.
    source: str = ""

    @property
    def version(self) -> str:
        """Version of the check's implementation."""
        return self.check.version

    def identity(self) -> dict[str, JSON]:
        """Everything that decides what is measured and how it is judged."""
        return {
            "id": self.id,
            "check": self.check.id,
            "version": self.version,
            "severity": self.severity.value,
            "params": json_safe(self.params),
            "threshold": self.threshold.to_record(),
            "material": json_safe(self.check.material),
        }

    def to_record(self) -> dict[str, JSON]:
        """Return the object that a suite's TOML file would hold."""
        threshold = {
            key: value
            for key, value in self.threshold.to_record().items()
            if value is not None
        }
        return {
            "id": self.id,
            "use": self.check.id,
            "version": self.version,
            "severity": self.severity.value,
            "title": self.title,
            "params": json_safe(self.params),
            "threshold": json_safe(threshold),
            "source": self.source,
        }


def read_specs(
    items: list[object], kind: str, where: str, plugins: tuple[str, ...]
) -> tuple[CheckSpec, ...]:
    """Read the checks of a suite's object, strictly."""
    if not items:
        raise SuiteError(f"{where} has no checks; add at least one [[check]].")
    specs: dict[str, CheckSpec] = {}
    for number, item in enumerate(items, start=1):
        spec = _spec(item, kind, f"{where}: check {number}", plugins)
        if spec.id in specs:
            raise SuiteError(
                f"{where}: check {number}: 'id' {spec.id!r} is used twice; "
                "give one of them another id and name the check in 'use'."
            )
        specs[spec.id] = spec
    return tuple(specs.values())


def _spec(item: object, kind: str, where: str, plugins: tuple[str, ...]) -> CheckSpec:
    reader = RecordReader(item, where, SuiteError)
    spec_id = reader.text("id")
    where = reader.where = f"{where} ({spec_id})"
    use = reader.text("use", spec_id)
    found = find_check(use, kind, plugins)
    if found is None:
        known = ", ".join(each.id for each in list_checks(kind, plugins))
        raise SuiteError(
            f"{where}: no check {use!r} is known for kind {kind!r}; there are: {known}."
        )
    version = reader.text("version", found.version)
    if version != found.version:
        raise SuiteError(
            f"{where}: 'version' is {version!r}, but the installed check has version "
            f"{found.version!r}; update the suite or the library."
        )
    severity = reader.text("severity", Severity.MAJOR)
    if severity not in list(Severity):
        raise SuiteError(
            f"{where}: 'severity' is {severity!r}; "
            f"it must be one of {', '.join(Severity)}."
        )
    spec = CheckSpec(
        id=spec_id,
        check=found,
        severity=Severity(severity),
        title=reader.text("title", found.title),
        params=merged_params(reader, found, found.params, where),
        threshold=merged_threshold(reader.mapping("threshold"), found.threshold, where),
        source=reader.text("source", ""),
    )
    reader.refuse_rest()
    return spec


def merged_params(
    reader: RecordReader, check: Check, base: Mapping[str, JSON], where: str
) -> dict[str, JSON]:
    """Return parameters overlaid with those of ``params``, each known and typed."""
    given = reader.mapping("params")
    unknown = sorted(set(given) - set(check.params))
    if unknown:
        known = ", ".join(sorted(check.params)) or "none"
        raise SuiteError(
            f"{where}: params: unknown {', '.join(map(repr, unknown))}; "
            f"the check {check.id!r} knows: {known}."
        )
    for key, value in given.items():
        _require_like(value, check.params[key], f"{where}: params: {key!r}")
    return {**base, **{key: json_safe(value) for key, value in given.items()}}


def _require_like(value: object, default: JSON, where: str) -> None:
    if default is None:
        return
    numbers = int | float
    is_number = isinstance(default, numbers) and not isinstance(default, bool)
    fits = (
        isinstance(value, numbers) and not isinstance(value, bool)
        if is_number
        else isinstance(value, type(default))
    )
    if not fits:
        wanted = "a number" if is_number else f"a {type(default).__name__}"
        raise SuiteError(f"{where} is {value!r}; it must be {wanted}.")


def merged_threshold(
    given: Mapping[str, object], base: Threshold, where: str
) -> Threshold:
    """Return a threshold overlaid with the keys given."""
    if not given:
        return base
    merged = {**base.to_record(), **given}
    if "passed" in given and "warned" not in given:
        merged["warned"] = None
    return Threshold.from_record(merged, f"{where}: threshold", SuiteError)
