"""The browser's part of the panels: one script and one style sheet."""

from __future__ import annotations

from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
#: Order of the parts; none imports another, together they are one ES module.
SCRIPTS = (
    "elements.js",
    "words.js",
    "table.js",
    "rate.js",
    "json.js",
    "flow.js",
    "job.js",
    "detail.js",
    "queue.js",
    "certificates.js",
    "panel.js",
)


@cache
def script() -> str:
    """Return the ES module that anywidget and the served page load."""
    parts = [(STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return "\n".join(parts)


@cache
def style() -> str:
    """Return the style sheet."""
    return (STATIC / "panel.css").read_text(encoding="utf-8")
