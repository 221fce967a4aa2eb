"""Certificates: statement, envelope, signing, keys, subjects, verification, revocation.

Where those of a queue are kept is the client's business.
"""

from __future__ import annotations

from myia_sdk.certification.certificate.certificate import Certificate
from myia_sdk.certification.certificate.keys import PublicKey, trusted_keys
from myia_sdk.certification.certificate.revocation import RevocationList
from myia_sdk.certification.certificate.signing import Signer
from myia_sdk.certification.certificate.subjects import Subject

__all__ = [
    "Certificate",
    "PublicKey",
    "RevocationList",
    "Signer",
    "Subject",
    "trusted_keys",
]
