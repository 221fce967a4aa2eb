"""From an exception to a category, and what to do about it.

What follows for a verdict is decided in :mod:`myia_sdk.certification.verdict`.
"""

from __future__ import annotations

from myia_sdk.certification.diagnosis.categories import ErrorCategory
from myia_sdk.certification.diagnosis.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "ErrorCategory", "diagnose"]
