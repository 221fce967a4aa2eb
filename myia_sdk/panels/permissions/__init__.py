"""What a panel may do, and what of a job it may show; decided in Python, always."""

from __future__ import annotations

from myia_sdk.panels.permissions.permissions import ActionRefusedError

__all__ = ["ActionRefusedError"]
