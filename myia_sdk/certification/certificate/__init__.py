"""Certificates: statement, envelope, signing, keys, subjects, verification, revocation.

Where those of a queue are kept is the client's business.
"""

from __future__ import annotations

from myia_sdk.certification.certificate.certificate import Certificate
from myia_sdk.certification.certificate.keys import trusted_keys
from myia_sdk.certification.certificate.subjects import Subject

__all__ = ["Certificate", "Subject", "trusted_keys"]
