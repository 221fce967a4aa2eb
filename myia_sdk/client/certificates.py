"""Certificates of a queue, kept apart from its jobs: cleaning deletes none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from myia_sdk.arguments import to_id
from myia_sdk.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from myia_sdk.certification.certificate import Certificate, RevocationList
    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.report import Report
    from myia_sdk.queue.store import JobStore

#: Reading goes in pages of this many, so that one reply stays small.
PAGE = 500


@dataclass(frozen=True, slots=True)
class CertificateStore:
    """Keeps what workers signed, by time and by what it is about.

    Parameters
    ----------
    queue : JobStore
        Gives the connection and the names of the keys.
    artifacts : ArtifactStore
        Takes a copy of each certificate as a file.
    """

    queue: JobStore
    artifacts: ArtifactStore

    def add(self, certificate: Certificate, report: Report, job_id: str) -> str:
        """Keep a certificate; doing it twice changes nothing.

        Returns
        -------
        str
            Its id.
        """
        text = certificate.to_json()
        subject = certificate.subjects[0] if certificate.subjects else None
        row: dict[str, Any] = {
            "id": certificate.id,
            "job": job_id,
            "model": str(report.model.get("name", "")),
            "region": report.region,
            "suite": report.suite_id,
            "suite_version": report.suite_version,
            "verdict": report.verdict.value,
            "score": report.score,
            "rating": report.rating,
            "coverage": report.coverage,
            "level": report.level,
            "suite_origin": report.suite_origin,
            "category": report.error_category,
            "issued_at": _iso(certificate.issued_at),
            "expires_at": _iso(certificate.expires_at),
            "key_id": certificate.envelope.signatures[0].key_id,
            "is_development": certificate.is_development,
            "subject": f"sha256:{subject.sha256}" if subject else None,
            "artifact": self.artifacts.put_bytes(text.encode()),
            "resolved": dict(report.resolved),
        }
        issued = certificate.issued_at
        score = issued.timestamp() * 1000 if issued else 0.0
        self.queue.batch(
            [
                ("HSET", self._documents, certificate.id, text),
                ("HSET", self._rows, certificate.id, json.dumps(row)),
                ("ZADD", self._by_time, score, certificate.id),
                ("HSET", self._by_job, job_id, certificate.id),
                ("HSET", self._latest, _place(report), certificate.id),
            ],
            transaction=True,
        )
        return certificate.id

    def get(self, certificate_id: str) -> Certificate:
        """Return one certificate.

        Raises
        ------
        CertificateError
            None has this id.
        """
        from myia_sdk.certification.certificate import Certificate

        text = self.queue.command("HGET", self._documents, certificate_id)
        if not isinstance(text, str):
            raise CertificateError(
                f"No certificate has the id {certificate_id!r}; "
                "client.certificates() lists them."
            )
        return Certificate.from_json(text)

    def of_job(self, job_id: str) -> Certificate | None:
        """Return the newest certificate of a job, also after the job was cleaned."""
        certificate_id = self.queue.command("HGET", self._by_job, job_id)
        return self.get(certificate_id) if isinstance(certificate_id, str) else None

    def require(self, job_id: str) -> Certificate:
        """Return the certificate of a job, also after the job was cleaned.

        Parameters
        ----------
        job_id : str
            The job.

        Raises
        ------
        CertificateError
            None was issued.
        """
        certificate = self.of_job(to_id(job_id))
        if certificate is None:
            raise CertificateError(
                f"Job {job_id!r} has no certificate: it has not completed, or its "
                "model could not be measured."
            )
        return certificate

    def subject_bytes(self, certificate: Certificate) -> bytes:
        """Return what a certificate is about, for whoever verifies it elsewhere.

        The bytes of the model, or ``endpoint.json`` for a model without any; their
        SHA-256 is what was signed.

        Raises
        ------
        ArtifactNotFoundError
            The bytes of the model are no longer in the artifact store.
        """
        from myia_sdk.certification.certificate.subjects import descriptor_bytes

        if certificate.descriptor is not None:
            return descriptor_bytes(certificate.descriptor)
        subject = certificate.subjects[0]
        return self.artifacts.read_bytes(f"sha256:{subject.sha256}")

    def latest_of(self, report: Report) -> dict[str, Any] | None:
        """Return the row of the newest certificate of a report's model and suite."""
        certificate_id = self.queue.command("HGET", self._latest, _place(report))
        if certificate_id is None:
            return None
        text = self.queue.command("HGET", self._rows, certificate_id)
        return None if text is None else _row(text)

    def revocations(self) -> RevocationList:
        """Return what was withdrawn."""
        return _revocations(self._revoked())

    def _revoked(self) -> str:
        text: str | None = self.queue.command("GET", self._revocations)
        return text or ""

    def revoke(self, certificate_id: str, reason: str = "") -> RevocationList:
        """Withdraw a certificate, and return the whole list.

        ``client.certificates()`` shows it as not valid from then on.

        Parameters
        ----------
        certificate_id : str
            As ``client.certificates()`` lists it.
        reason : str, optional
            Why.

        Raises
        ------
        CertificateError
            None has this id.
        """
        from myia_sdk.certification.certificate.revocation import RevocationKind

        self.get(to_id(certificate_id, "certificate"))
        while True:
            text = self._revoked()
            revoked = _revocations(text).revoking(
                RevocationKind.CERTIFICATE, certificate_id, reason=reason
            )
            # Not done when somebody else withdrew something in between.
            if self.queue.run("revoke", text, json.dumps(revoked.to_record())):
                return revoked

    def rows(self, *, history: bool = False) -> list[dict[str, Any]]:
        """List certificates, newest first.

        Parameters
        ----------
        history : bool, default False
            All of them; otherwise the latest of each model, region and suite.
        """
        if history:
            return list(self._read())
        ids = self.queue.command("HVALS", self._latest)
        if not ids:
            return []
        texts = self.queue.command("HMGET", self._rows, *ids)
        found = [_row(text) for text in texts if text]
        return sorted(found, key=lambda row: row["issued_at"] or "", reverse=True)

    def _read(self) -> Iterable[dict[str, Any]]:
        start = 0
        while True:
            ids = self.queue.command(
                "ZREVRANGE", self._by_time, start, start + PAGE - 1
            )
            if not ids:
                return
            texts = self.queue.command("HMGET", self._rows, *ids)
            yield from (_row(text) for text in texts if text)
            start += PAGE

    @property
    def _documents(self) -> str:
        return self.queue.keys.sdk("certificates")

    @property
    def _rows(self) -> str:
        return self.queue.keys.sdk("certificates", "rows")

    @property
    def _by_time(self) -> str:
        return self.queue.keys.sdk("certificates", "by-time")

    @property
    def _latest(self) -> str:
        return self.queue.keys.sdk("certificates", "latest")

    @property
    def _revocations(self) -> str:
        return self.queue.keys.sdk("certificates", "revocations")

    @property
    def _by_job(self) -> str:
        return self.queue.keys.sdk("certificates", "by-job")


def _row(text: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(text)
    return row


def _revocations(text: str) -> RevocationList:
    from myia_sdk.certification.certificate import RevocationList

    return RevocationList.from_record(json.loads(text)) if text else RevocationList()


def _place(report: Report) -> str:
    return json.dumps([report.model.get("name"), report.region, report.suite_id])


def _iso(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat()
