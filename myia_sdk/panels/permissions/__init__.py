"""What a panel may do, and what of a job it may show; decided in Python, always."""

from __future__ import annotations

from myia_sdk.panels.permissions.permissions import (
    JOB_ACTIONS,
    Action,
    ActionRefusedError,
    Permissions,
)
from myia_sdk.panels.permissions.redaction import Redact, Redaction

__all__ = [
    "JOB_ACTIONS",
    "Action",
    "ActionRefusedError",
    "Permissions",
    "Redact",
    "Redaction",
]
