"""Every variable the SDK reads: its field, its bounds, its line of documentation."""

from __future__ import annotations

from myia_sdk.settings.settings import Settings

__all__ = ["Settings"]
