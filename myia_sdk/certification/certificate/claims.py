"""What a certificate claims, read without believing it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from myia_sdk.certification.certificate.statement import EXTENSION, RESULTS, read_moment
from myia_sdk.certification.certificate.subjects import Subject
from myia_sdk.certification.request import JSON, json_safe
from myia_sdk.errors import WrongPredicateError

if TYPE_CHECKING:
    from datetime import datetime

    from myia_sdk.certification.certificate.envelope import Envelope
    from myia_sdk.certification.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Claims:
    """A signed statement about a subject; only verification says whether it holds."""

    envelope: Envelope

    @property
    def id(self) -> str:
        """SHA-256 of the signed bytes, hexadecimal."""
        return hashlib.sha256(self.envelope.payload).hexdigest()

    @property
    def statement(self) -> dict[str, object]:
        """The in-toto statement, unverified."""
        return self.envelope.payload_object()

    @property
    def verdict(self) -> Verdict:
        """The claimed verdict; read from the result, which everyone understands."""
        result = self._predicate().get("result")
        for verdict, written in RESULTS.items():
            if result == written:
                return verdict
        known = ", ".join(RESULTS.values())
        raise WrongPredicateError(
            f"The certificate's result is {result!r}; it must be one of {known}."
        )

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What the certificate claims to be about."""
        entries = self.statement.get("subject")
        found = [
            _subject(entry) for entry in (entries if isinstance(entries, list) else ())
        ]
        return tuple(subject for subject in found if subject is not None)

    @property
    def descriptor(self) -> dict[str, JSON] | None:
        """The description whose digest is the subject, for an endpoint."""
        value = self.extension.get("subjectDescriptor")
        if not isinstance(value, Mapping):
            return None
        return {str(key): json_safe(item) for key, item in value.items()}

    @property
    def job_id(self) -> str | None:
        """The job that the certificate claims to come from."""
        value = self.extension.get("jobId")
        return value if isinstance(value, str) else None

    @property
    def issued_at(self) -> datetime | None:
        """Claimed time of issue."""
        return read_moment(self.extension.get("issuedOn"))

    @property
    def expires_at(self) -> datetime | None:
        """Claimed end of validity."""
        return read_moment(self.extension.get("expiresOn"))

    @property
    def is_development(self) -> bool:
        """Whether the issuer says that a development key signed."""
        return self.extension.get("assuranceLevel") == "development"

    @property
    def is_model_seen(self) -> bool:
        """Whether the model was asked; of predictions alone it was not."""
        return self.extension.get("modelSeen") is not False

    @property
    def suite(self) -> str | None:
        """``name@version`` of the suite."""
        value = self.extension.get("suite")
        return value if isinstance(value, str) else None

    @property
    def suite_digest(self) -> str | None:
        """``sha256:...`` of what the suite measures and how it judges."""
        entries = self._predicate().get("configuration")
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and entry.get("name") == self.suite:
                digest = entry.get("digest")
                value = digest.get("sha256") if isinstance(digest, Mapping) else None
                return f"sha256:{value}" if isinstance(value, str) else None
        return None

    @property
    def suite_origin(self) -> str | None:
        """Whose rules they are: ``official``, ``changed`` or ``own``."""
        value = self.extension.get("suiteOrigin")
        return value if isinstance(value, str) else None

    @property
    def level(self) -> int | None:
        """Level of assurance, 1 to 3; ``None`` by the rules of 1.0."""
        value = self.extension.get("level")
        return value if isinstance(value, int) else None

    @property
    def coverage(self) -> float | None:
        """Share of the suite that was measured; ``None`` by the rules of 1.0."""
        value = self.extension.get("coverage")
        return float(value) if isinstance(value, int | float) else None

    @property
    def extension(self) -> Mapping[str, object]:
        """The extension object of the predicate, empty when there is none."""
        extension = self._predicate().get(EXTENSION)
        return extension if isinstance(extension, Mapping) else {}

    def _predicate(self) -> Mapping[str, object]:
        predicate = self.statement.get("predicate")
        return predicate if isinstance(predicate, Mapping) else {}


def _subject(entry: object) -> Subject | None:
    if not isinstance(entry, Mapping):
        return None
    digest = entry.get("digest")
    value = digest.get("sha256") if isinstance(digest, Mapping) else None
    if not isinstance(value, str):
        return None
    return Subject(name=str(entry.get("name", "")), sha256=value)
