"""The revocation list: certificates that were withdrawn before they expired."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from myia_sdk.certification.certificate.envelope import parse_object
from myia_sdk.certification.request import JSON, RecordReader
from myia_sdk.errors import CertificateError

if TYPE_CHECKING:
    from pathlib import Path


class RevocationKind(StrEnum):
    """What an entry withdraws."""

    CERTIFICATE = "certificate"  #: one certificate, by its id
    KEY = "key"  #: everything one key ever signed: a thief can back-date
    SUBJECT = "subject"  #: everything about one model, by its digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One entry of the list."""

    kind: RevocationKind
    #: Certificate id, key id or subject digest, lower-case hexadecimal.
    id: str
    revoked_at: datetime
    reason: str = ""

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this entry."""
        return {
            "kind": self.kind.value,
            "id": self.id,
            "revoked_at": self.revoked_at.astimezone(UTC).isoformat(),
            "reason": self.reason,
        }

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Read the JSON object of an entry, strictly: a misread entry would allow."""
        reader = RecordReader(record, "An entry of the revocations", CertificateError)
        kind, moment = reader.text("kind"), reader.text("revoked_at")
        try:
            entry = cls(
                kind=RevocationKind(kind),
                id=reader.text("id"),
                revoked_at=datetime.fromisoformat(moment),
                reason=reader.text("reason", ""),
            )
        except ValueError as exc:
            raise CertificateError(
                f"An entry of the revocations is not valid: {exc}."
            ) from exc
        reader.refuse_rest()
        return entry


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Entries in the order they were made."""

    entries: tuple[Revocation, ...] = ()

    def revoking(
        self,
        kind: RevocationKind,
        identifier: str,
        *,
        reason: str = "",
        now: datetime | None = None,
    ) -> RevocationList:
        """Return a list with one entry more; one that is there already stays."""
        if self.find(kind, identifier) is not None:
            return self
        entry = Revocation(
            kind=kind,
            id=identifier.removeprefix("sha256:").lower(),
            revoked_at=now or datetime.now(UTC),
            reason=reason,
        )
        return RevocationList((*self.entries, entry))

    def find(self, kind: RevocationKind, identifier: str) -> Revocation | None:
        """Return the entry that withdraws this, or ``None``."""
        wanted = identifier.removeprefix("sha256:").lower()
        for entry in self.entries:
            if entry.kind is kind and entry.id == wanted:
                return entry
        return None

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of the list."""
        return {"revocations": [entry.to_record() for entry in self.entries]}

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Read the JSON object of a list, strictly."""
        reader = RecordReader(record, "The revocation list", CertificateError)
        entries = tuple(map(Revocation.from_record, reader.items("revocations")))
        reader.refuse_rest()
        return cls(entries)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a list from a file; a missing file is an empty list.

        Raises
        ------
        CertificateError
            The file exists and is malformed: nothing is accepted on its strength.
        """
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return cls()
        except OSError as exc:
            raise CertificateError(
                f"The revocation list {str(path)!r} cannot be read: {exc.strerror}."
            ) from exc
        return cls.from_record(parse_object(text, f"The revocation list {str(path)!r}"))

    def save(self, path: Path) -> None:
        """Write the list to a file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(self.to_record(), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
