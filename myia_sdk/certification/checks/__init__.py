"""Checks: one measured statement about a model each, one module a family of checks.

A check is a function from a `CheckContext` to a `Measurement`, registered with `check`.
Those of users are found through the entry points ``myia_sdk.checks`` and
``MYIA_PLUGINS``. What the outcomes mean together is no check's business.
"""

from __future__ import annotations

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome, Severity
from myia_sdk.certification.checks.record import CheckRecord
from myia_sdk.certification.checks.registry import check, find_check, list_checks
from myia_sdk.certification.checks.thresholds import Threshold

__all__ = [
    "CheckContext",
    "CheckRecord",
    "Measurement",
    "Outcome",
    "Severity",
    "Threshold",
    "check",
    "find_check",
    "list_checks",
]
