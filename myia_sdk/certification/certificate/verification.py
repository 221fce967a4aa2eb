"""The steps by which a certificate is verified, each with an error of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from myia_sdk.certification.certificate.revocation import RevocationKind, RevocationList
from myia_sdk.certification.certificate.statement import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
)
from myia_sdk.certification.certificate.subjects import Subject
from myia_sdk.certification.suites import list_suites, load_suite
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import (
    CertificateExpiredError,
    CertificateRevokedError,
    LowAssuranceError,
    WrongPredicateError,
    WrongSubjectError,
    WrongSuiteError,
)

if TYPE_CHECKING:
    from myia_sdk.certification.certificate.claims import Claims
    from myia_sdk.certification.certificate.keys import PublicKey

#: How far the clocks of issuer and verifier may differ.
CLOCK_SKEW = timedelta(minutes=5)

#: Payload types under which in-toto statements are signed.
_PAYLOAD_TYPES = frozenset({PAYLOAD_TYPE, "application/vnd.in-toto.test-result+json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found true about a certificate."""

    verdict: Verdict
    #: The trusted key that signed.
    key: PublicKey
    #: ``False`` when no subject was presented, so that the certificate may be about
    #: any model.
    is_subject_checked: bool
    #: Whether the issuer signed with a key made for want of a configured one.
    is_development: bool
    issued_at: datetime
    expires_at: datetime

    @property
    def is_certified(self) -> bool:
        """Whether the verdict is ``certified``; a quality warning is not."""
        return self.verdict is Verdict.CERTIFIED


def require_predicate(certificate: Claims) -> None:
    """Refuse what is no test result, or contradicts itself."""
    if certificate.envelope.payload_type not in _PAYLOAD_TYPES:
        raise WrongPredicateError(
            f"The signed bytes are of type {certificate.envelope.payload_type!r}; "
            f"a certificate's are {PAYLOAD_TYPE!r}."
        )
    for key, wanted in (
        ("_type", STATEMENT_TYPE),
        ("predicateType", PREDICATE_TYPE),
    ):
        if certificate.statement.get(key) != wanted:
            raise WrongPredicateError(
                f"The statement's {key!r} is {certificate.statement.get(key)!r}; "
                f"a certificate's is {wanted!r}."
            )
    claimed = certificate.extension.get("verdict")
    if claimed != certificate.verdict.value:
        raise WrongPredicateError(
            f"The certificate contradicts itself: its result means "
            f"{certificate.verdict.value!r}, its extension says {claimed!r}."
        )
    described = certificate.descriptor
    if described is not None:
        subject = Subject.of_descriptor("", described)
        if subject.sha256 not in {claim.sha256 for claim in certificate.subjects}:
            raise WrongPredicateError(
                "The certificate contradicts itself: the description of the "
                "endpoint in it is not what its subject's digest stands for."
            )


def require_subject(certificate: Claims, presented: Subject) -> None:
    """Refuse a certificate about another model than the one presented."""
    claimed = certificate.subjects
    if presented.sha256 not in {subject.sha256 for subject in claimed}:
        about = ", ".join(f"{one.name} ({one.sha256[:16]}...)" for one in claimed)
        raise WrongSubjectError(
            f"The certificate is about {about or 'nothing'}; presented was "
            f"{presented.name} ({presented.sha256[:16]}...). It says nothing "
            "about this model."
        )


def require_validity(certificate: Claims, now: datetime) -> tuple[datetime, datetime]:
    """Return when it was issued and expires; refuse it outside of that time."""
    issued_at, expires_at = certificate.issued_at, certificate.expires_at
    if issued_at is None or expires_at is None:
        raise CertificateExpiredError(
            "The certificate does not say from when to when it is valid; "
            "without both times it is not accepted."
        )
    if now + CLOCK_SKEW < issued_at:
        raise CertificateExpiredError(
            f"The certificate is valid from {issued_at.isoformat()} on; it is "
            f"{now.isoformat()} now. Compare the clocks."
        )
    if now >= expires_at:
        raise CertificateExpiredError(
            f"The certificate expired at {expires_at.isoformat()}; "
            "certify the model again."
        )
    return issued_at, expires_at


def require_unrevoked(
    certificate: Claims, key: PublicKey, revoked: RevocationList
) -> None:
    """Refuse a certificate that was withdrawn, or whose key or subject was."""
    identifiers = [
        (RevocationKind.CERTIFICATE, certificate.id),
        (RevocationKind.KEY, key.key_id),
        *((RevocationKind.SUBJECT, subject.sha256) for subject in certificate.subjects),
    ]
    for kind, identifier in identifiers:
        entry = revoked.find(kind, identifier)
        if entry is not None:
            _refuse_revoked(kind, entry.revoked_at, entry.reason)


def require_suite(certificate: Claims, wanted: str) -> None:
    """Refuse a certificate by other rules than those of one suite.

    Parameters
    ----------
    certificate : Claims
        Verified otherwise.
    wanted : str
        ``name@version``, or with ``=sha256:digest``. Without a digest, that of this
        release counts where it holds this very version, and else what the certificate
        says of its rules.
    """
    name, _, digest = wanted.partition("=")
    found = certificate.suite_digest
    digest = digest or _digest_here(name)
    if certificate.suite != name:
        raise WrongSuiteError(
            f"The certificate is by {certificate.suite}, not by {name}."
        )
    if digest and found != digest:
        raise WrongSuiteError(
            f"The certificate is by rules that call themselves {name} and are others: "
            f"their digest is {found}, not {digest}."
        )
    if not digest and certificate.suite_origin == "changed":
        raise WrongSuiteError(
            f"The certificate is by {name} with other checks or thresholds than the "
            "official ones."
        )


def _digest_here(name: str) -> str:
    suite_id, _, version = name.partition("@")
    if suite_id not in list_suites():
        return ""
    suite = load_suite(suite_id)
    return suite.digest if suite.version == version else ""


def require_level(certificate: Claims, least: int) -> None:
    """Refuse a certificate for which less was measured than demanded."""
    level = certificate.level
    if level is None:
        raise LowAssuranceError(
            "The certificate says no level of assurance: it is by rules from before "
            f"there were any. Level {least} is demanded; certify the model again."
        )
    if level < least:
        wanting = certificate.extension.get("missing")
        names = ", ".join(map(str, wanting)) if isinstance(wanting, list) else ""
        raise LowAssuranceError(
            f"The certificate is of assurance level {level}; {least} is demanded."
            + (f" Not measured on: {names}." if names else "")
        )


def _refuse_revoked(kind: RevocationKind, at: datetime, reason: str) -> NoReturn:
    words = {
        RevocationKind.CERTIFICATE: "The certificate",
        RevocationKind.KEY: "The key that signed the certificate",
        RevocationKind.SUBJECT: "The certified model",
    }
    why = f": {reason}" if reason else ""
    raise CertificateRevokedError(
        f"{words[kind]} was revoked at {at.isoformat()}{why}."
    )
