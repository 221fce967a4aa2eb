"""The browser's part of the panels: script, styles, texts, and static copies."""

from __future__ import annotations

from myia_sdk.panels.page.assets import script, style
from myia_sdk.panels.page.texts import choose_language, translate

__all__ = ["choose_language", "script", "style", "translate"]
