"""Suites: versioned lists of checks with parameters, thresholds and a policy.

A suite is data. The built-in ones are TOML files beside this module; users write their
own with the same keys::

    [suite]
    id = "my-suite"
    version = "1.0.0"
    title = "What we ask of a classifier"
    kind = "classifier"
    seed = 0

    [policy]
    use = "standard"
    min_level = 2

    [data]
    digest = "sha256:..."

    [[check]]
    id = "performance"
    severity = "critical"
    params = { metric = "f1_macro" }
    threshold = { comparator = ">=", passed = 0.9, rule = "bound" }
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Self

import rfc8785

from myia_sdk.certification.request import FAMILIES, JSON, RecordReader, json_safe
from myia_sdk.certification.suites.policy import Policy
from myia_sdk.certification.suites.specs import (
    CheckSpec,
    merged_params,
    merged_threshold,
    read_specs,
)
from myia_sdk.errors import SuiteError, UnknownSuiteError

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOML_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A versioned list of checks for one family of models."""

    id: str
    version: str
    title: str
    #: Family of models: ``classifier``, ``regressor``, ``chat`` or ``embedding``.
    kind: str
    checks: tuple[CheckSpec, ...]
    policy: Policy = field(default_factory=Policy)
    seed: int = 0
    description: str = ""
    #: ``{"prompt": ..., "completion": ...}`` per million tokens, for cost budgets.
    prices: Mapping[str, float] = field(default_factory=dict)
    #: ``sha256:...`` of the only data that may be certified by it, as reports call
    #: them; any data if ``None``.
    data_digest: str | None = None

    @property
    def digest(self) -> str:
        """``sha256:...`` over the canonical JSON of everything that is measured.

        Titles and sources are left out: correcting a word must not make two
        reports incomparable.
        """
        identity: dict[str, JSON] = {
            "id": self.id,
            "version": self.version,
            "kind": self.kind,
            "seed": self.seed,
            "policy": self.policy.to_record(),
            "checks": [spec.identity() for spec in self.checks],
            "data": self.data_digest,
        }
        return "sha256:" + hashlib.sha256(_canonical(identity)).hexdigest()

    def spec(self, check_id: str) -> CheckSpec:
        """Return one check of the suite.

        Raises
        ------
        SuiteError
            The suite has no check of this id.
        """
        for spec in self.checks:
            if spec.id == check_id:
                return spec
        known = ", ".join(spec.id for spec in self.checks)
        raise SuiteError(
            f"Suite {self.id!r} has no check {check_id!r}; it has: {known}."
        )

    def to_record(self) -> dict[str, JSON]:
        """Return the object that the suite's TOML file would hold.

        A worker that reads it needs the checks, but not the file.
        """
        return {
            "suite": {
                "id": self.id,
                "version": self.version,
                "title": self.title,
                "kind": self.kind,
                "seed": self.seed,
                "description": self.description,
                "prices": json_safe(self.prices),
            },
            "policy": self.policy.to_record(),
            "check": [spec.to_record() for spec in self.checks],
            **({"data": {"digest": self.data_digest}} if self.data_digest else {}),
        }

    def with_overrides(self, overrides: Mapping[str, object]) -> Self:
        """Return the suite with parameters and thresholds of single checks changed.

        Parameters
        ----------
        overrides : mapping
            ``{check id: {"params": {...}, "threshold": {...}}}``. The digest changes
            with them, so reports with and without them are not comparable.

        Raises
        ------
        SuiteError
            A check or key is unknown.
        """
        specs = {spec.id: spec for spec in self.checks}
        for check_id, override in overrides.items():
            where = f"The request's parameters: checks: {check_id}"
            reader = RecordReader(override, where, SuiteError)
            spec = self.spec(check_id)
            threshold = reader.optional_mapping("threshold")
            specs[check_id] = replace(
                spec,
                params=merged_params(reader, spec.check, spec.params, where),
                threshold=spec.threshold
                if threshold is None
                else merged_threshold(threshold, spec.threshold, where),
            )
            reader.refuse_rest()
        return replace(self, checks=tuple(specs.values()))

    @classmethod
    def from_record(
        cls, record: object, where: str = "The suite", plugins: tuple[str, ...] = ()
    ) -> Self:
        """Read the object of a suite, strictly.

        Parameters
        ----------
        record : mapping
            What a suite's TOML file holds.
        where : str
            How errors call it: the file's name.
        plugins : tuple of str
            Modules with checks of the user.

        Raises
        ------
        SuiteError
            A key is missing, unknown or wrong; the message names file and key.
        """
        reader = RecordReader(record, where, SuiteError)
        head = RecordReader(reader.anything("suite"), f"{where}: [suite]", SuiteError)
        kind = head.text("kind")
        if kind not in FAMILIES:
            raise SuiteError(
                f"{where}: [suite]: 'kind' is {kind!r}; "
                f"it must be one of {', '.join(FAMILIES)}."
            )
        suite_id = head.text("id")
        suite = cls(
            id=suite_id,
            version=head.text("version"),
            title=head.text("title", suite_id),
            kind=kind,
            seed=head.integer("seed", 0),
            description=head.text("description", ""),
            prices=_prices(head),
            policy=Policy.from_record(reader.mapping("policy"), f"{where}: [policy]"),
            checks=read_specs(reader.items("check"), kind, where, plugins),
            data_digest=_data_digest(reader),
        )
        head.refuse_rest()
        reader.refuse_rest()
        return suite


def load_suite(source: object, plugins: Iterable[str] = ()) -> Suite:
    """Return a suite by name, from a TOML file, or from its object.

    Parameters
    ----------
    source : str, path, mapping or Suite
        Name of a built-in suite, path of a ``.toml`` file, or a suite's object.
    plugins : iterable of str, optional
        Modules with checks of the user.

    Raises
    ------
    UnknownSuiteError
        No suite has this name; the message lists those there are.
    SuiteError
        The definition is not valid; the message names file and key.
    """
    plugins = tuple(plugins)
    if isinstance(source, Suite):
        return source
    if isinstance(source, Mapping):
        return Suite.from_record(source, plugins=plugins)
    if isinstance(source, Path) or (
        isinstance(source, str) and source.endswith(_TOML_SUFFIX)
    ):
        return _read_file(Path(source), plugins)
    if isinstance(source, str):
        return _read_builtin(source, plugins)
    raise SuiteError(
        f"The suite is a {type(source).__name__}; "
        "give a name, a path of a .toml file, or the suite's object."
    )


def list_suites() -> list[str]:
    """Return the names of the built-in suites."""
    return sorted(
        item.name.removesuffix(_TOML_SUFFIX)
        for item in resources.files("myia_sdk.certification.suites").iterdir()
        if item.name.endswith(_TOML_SUFFIX)
    )


@cache
def _read_builtin(name: str, plugins: tuple[str, ...]) -> Suite:
    known = list_suites()
    if name not in known:
        raise UnknownSuiteError(
            f"No suite is called {name!r}; there are: {', '.join(known)}. "
            "For a suite of your own give the path of its .toml file."
        )
    file = resources.files("myia_sdk.certification.suites").joinpath(
        name + _TOML_SUFFIX
    )
    return Suite.from_record(
        tomllib.loads(file.read_text("utf-8")), name + _TOML_SUFFIX, plugins
    )


def _read_file(path: Path, plugins: tuple[str, ...]) -> Suite:
    try:
        record = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise UnknownSuiteError(
            f"The suite file {path} cannot be read: {exc.strerror}."
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SuiteError(f"{path} is not valid TOML: {exc}") from exc
    return Suite.from_record(record, str(path), plugins)


def _data_digest(reader: RecordReader) -> str | None:
    inner = RecordReader(reader.mapping("data"), f"{reader.where}: [data]", SuiteError)
    digest = inner.optional_text("digest")
    inner.refuse_rest()
    if digest is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise SuiteError(
            f"{inner.where}: 'digest' is {digest!r}; it must be sha256: and 64 "
            "hexadecimal digits, as a report's dataset has it."
        )
    return digest


def _prices(head: RecordReader) -> dict[str, float]:
    reader = RecordReader(head.mapping("prices"), f"{head.where}: prices", SuiteError)
    prices = {
        key: value
        for key in ("prompt", "completion")
        if (value := reader.number(key)) is not None
    }
    reader.refuse_rest()
    return prices


def _canonical(value: JSON) -> bytes:
    return rfc8785.dumps(value)
