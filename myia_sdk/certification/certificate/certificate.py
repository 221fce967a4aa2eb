"""Certificates: signed statements about a model that anyone can verify.

A certificate is a DSSE envelope around an in-toto statement. It needs no server and no
library of ours to be verified; `Certificate.verify` is one way among several.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from myia_sdk.certification.certificate.claims import Claims
from myia_sdk.certification.certificate.envelope import (
    Envelope,
    envelope_of,
    parse_object,
)
from myia_sdk.certification.certificate.revocation import RevocationList
from myia_sdk.certification.certificate.statement import PAYLOAD_TYPE, build_statement
from myia_sdk.certification.certificate.subjects import Subject
from myia_sdk.certification.certificate.verification import (
    Verification,
    require_level,
    require_predicate,
    require_subject,
    require_suite,
    require_unrevoked,
    require_validity,
)
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import CertificateError, NotCertifiedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from myia_sdk.certification.certificate.keys import PublicKey
    from myia_sdk.certification.certificate.signing import Signer
    from myia_sdk.certification.report import Report
    from myia_sdk.certification.request import JSON

#: The original system's validity of a certification.
DEFAULT_VALIDITY = timedelta(days=7)

_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


class Certificate(Claims):
    """A signed verdict about a subject, with an expiry.

    The properties show what the certificate *claims*; only `verify` says whether to
    believe it.
    """

    __slots__ = ()

    @classmethod
    def issue(
        cls,
        report: Report,
        subject: Subject | None = None,
        *,
        job_id: str,
        signer: Signer,
        submitter: str | None = None,
        valid_for: timedelta = DEFAULT_VALIDITY,
        now: datetime | None = None,
    ) -> Self:
        """Sign the verdict of a report, whatever it is.

        Parameters
        ----------
        report : Report
            The report of a completed certification.
        subject : Subject, optional
            What was certified; found from the report if not given.
        job_id : str
            The job that produced the report.
        signer : Signer
            Holds the signing key.
        submitter : str, optional
            Who asked for it, as they called themselves.
        valid_for : timedelta, optional
            Seven days, as in the original system. Warnings and failures expire too.
        now : datetime, optional
            Time of issue; the clock by default.

        Raises
        ------
        CertificateError
            The validity is not positive.
        """
        if valid_for <= timedelta(0):
            raise CertificateError(
                f"A certificate valid for {valid_for} is none; give a positive time."
            )
        payload = build_statement(
            report,
            subject or Subject.of_report(report),
            job_id=job_id,
            submitter=submitter,
            issued_at=now or datetime.now(UTC),
            valid_for=valid_for,
            is_development=signer.is_development,
        )
        return cls(Envelope.sign(PAYLOAD_TYPE, payload, signer))

    def verify(
        self,
        keys: Iterable[PublicKey],
        subject: Subject | None,
        *,
        now: datetime | None = None,
        revoked: RevocationList | None = None,
        accept: Iterable[Verdict] = (Verdict.CERTIFIED,),
        suite: str | None = None,
        min_level: int | None = None,
    ) -> Verification:
        """Verify the certificate step by step; the first that fails raises.

        Parameters
        ----------
        keys : iterable of PublicKey
            The keys to trust.
        subject : Subject or None
            What is presented as the certified model, digest freshly computed. With
            ``None`` the certificate may be about any model; the result says so.
        now : datetime, optional
            Time for which validity is judged; the clock by default.
        revoked : RevocationList, optional
            Withdrawn certificates, keys and subjects.
        accept : iterable of Verdict, optional
            Verdicts that do; only ``certified`` by default.
        suite : str, optional
            ``name@version`` of the only suite that does, to the letter; with
            ``=sha256:digest`` one that this release does not hold.
        min_level : int, optional
            Least level of assurance that does, 1 to 3.

        Returns
        -------
        Verification
            What was established.

        Raises
        ------
        SignatureError
            No trusted key signed these bytes.
        WrongPredicateError
            What was signed is no test result, or contradicts itself.
        WrongSubjectError
            It is about another model.
        CertificateExpiredError
            It is not valid now, or says no validity.
        CertificateRevokedError
            It, its key or its subject was withdrawn.
        NotCertifiedError
            All this holds, but the verdict is not accepted.
        WrongSuiteError
            It was certified by other rules.
        LowAssuranceError
            Less was measured than is demanded.
        """
        key = self.envelope.verify(keys)
        require_predicate(self)
        if subject is not None:
            require_subject(self, subject)
        issued_at, expires_at = require_validity(self, now or datetime.now(UTC))
        require_unrevoked(self, key, revoked or RevocationList())
        accepted = tuple(accept)
        if self.verdict not in accepted:
            raise NotCertifiedError(
                self.verdict.value, tuple(verdict.value for verdict in accepted)
            )
        if suite is not None:
            require_suite(self, suite)
        if min_level is not None:
            require_level(self, min_level)
        return Verification(
            verdict=self.verdict,
            key=key,
            is_subject_checked=subject is not None,
            is_development=self.is_development,
            issued_at=issued_at,
            expires_at=expires_at,
        )

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of the envelope."""
        return self.envelope.to_record()

    def to_json(self) -> str:
        """Return the certificate as the text of its file."""
        return json.dumps(self.to_record(), indent=2) + "\n"

    def to_sigstore_bundle(self) -> str:
        """Return the certificate as a sigstore bundle v0.3, for sigstore's tools."""
        signatures = self.envelope.signatures
        bundle = {
            "mediaType": _BUNDLE_TYPE,
            "verificationMaterial": {
                "publicKey": {"hint": signatures[0].key_id if signatures else ""},
                "tlogEntries": [],
            },
            "dsseEnvelope": self.to_record(),
        }
        return json.dumps(bundle, indent=2) + "\n"

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Self:
        """Read the JSON object of an envelope or of a sigstore bundle."""
        return cls(envelope_of(record))

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read the text of a certificate or of a sigstore bundle.

        Raises
        ------
        CertificateError
            The text is neither.
        """
        return cls.from_record(parse_object(text, "The certificate"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a certificate from a file."""
        try:
            content = Path(path).read_bytes()
        except OSError as exc:
            raise CertificateError(
                f"The certificate {str(path)!r} cannot be read: {exc.strerror}."
            ) from exc
        return cls.from_json(content)
