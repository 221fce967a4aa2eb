"""Who set the rules of a run: official suites, changed ones, those of others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.certification.suites.suites import Suite, list_suites, load_suite
from myia_sdk.errors import DatasetError, SuiteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from myia_sdk.certification.request import CertificationRequest

_DIGEST = "sha256:"
_DIGEST_LENGTH = 64


class Origin(StrEnum):
    """Whose rules a suite holds."""

    #: Those of a suite of this release, to the letter.
    OFFICIAL = "official"
    #: A suite by the name of an official one, with other checks or thresholds.
    CHANGED = "changed"
    #: A suite by another name.
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a request is judged by."""

    suite: Suite
    origin: Origin
    #: Ids of the checks whose parameters or thresholds the request changes.
    overridden: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: CertificationRequest, plugins: Iterable[str] = ()) -> Self:
        """Read the suite of a request, with the changes that the request makes.

        Raises
        ------
        SuiteError
            The suite is a path: the submitter's files are not the worker's.
        DatasetError
            The suite is for other data.
        """
        named = request.suite
        if isinstance(named, str) and (named.endswith(".toml") or "/" in named):
            raise SuiteError(
                f"The request names the suite file {named!r}; send the suite's object "
                "(build_request does) or the name of a built-in suite."
            )
        overrides: Any = request.parameters.get("checks") or {}
        suite = load_suite(named, plugins).with_overrides(overrides)
        require_data(suite, request.dataset.artifact if request.dataset else None)
        return cls(
            suite=suite, origin=origin_of(suite), overridden=tuple(sorted(overrides))
        )


def origin_of(suite: Suite) -> Origin:
    """Tell whether a suite is an official one, by its digest."""
    if suite.id not in list_suites():
        return Origin.OWN
    is_same = load_suite(suite.id).digest == suite.digest
    return Origin.OFFICIAL if is_same else Origin.CHANGED


def require_data(suite: Suite, digest: str | None) -> None:
    """Refuse other data than those that a suite is for.

    Raises
    ------
    DatasetError
        The suite names the digest of its data, and these have another.
    """
    if suite.data_digest is not None and digest != suite.data_digest:
        raise DatasetError(
            f"Suite {suite.id!r} is for the data {suite.data_digest}; given were "
            f"{digest or 'none'}. Certify on the data of the suite."
        )


@dataclass(frozen=True, slots=True)
class Allowed:
    """The suites that a worker certifies by; all if none is listed."""

    #: ``name@version`` and digest of each.
    entries: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read ``name@version=sha256:digest``, separated by commas.

        Raises
        ------
        ValueError
            An entry is not of this form.
        """
        listed = [part.strip() for part in (text or "").split(",") if part.strip()]
        return cls(tuple(_entry(part) for part in listed))

    def require(self, suite: Suite) -> None:
        """Refuse a suite that is not listed.

        Raises
        ------
        SuiteError
            It is not, or it differs from the one of this name and version.
        """
        wanted = (f"{suite.id}@{suite.version}", suite.digest)
        if not self.entries or wanted in self.entries:
            return
        known = ", ".join(name for name, _ in self.entries)
        raise SuiteError(
            f"This worker does not certify by {wanted[0]}={wanted[1]}; MYIA_SUITES "
            f"allows {known}, each with the digest listed there."
        )


def _entry(text: str) -> tuple[str, str]:
    name, _, digest = text.partition("=")
    found = digest.strip().removeprefix(_DIGEST)
    is_hex = len(found) == _DIGEST_LENGTH and set(found) <= set("0123456789abcdef")
    if not (is_hex and all(name.strip().partition("@"))):
        raise ValueError(text)
    return name.strip(), _DIGEST + found
