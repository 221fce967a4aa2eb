"""Admission: what a submitter gives is checked, stored, and becomes a request.

A refused submission leaves nothing behind. How a request looks is the request's room.
"""

from __future__ import annotations

from myia_sdk.certification.admission.admission import build_request

__all__ = ["build_request"]
