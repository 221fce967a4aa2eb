"""Reports for people and for other programs: every check, not only the failures."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from myia_sdk.certification.report.rendering.junit import to_junit
from myia_sdk.certification.report.rendering.markdown import to_markdown
from myia_sdk.certification.report.rendering.page import to_html
from myia_sdk.certification.report.rendering.plain import to_text
from myia_sdk.errors import CertificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from myia_sdk.certification.verdict import Findings

__all__ = [
    "FORMATS",
    "render",
    "to_html",
    "to_json",
    "to_junit",
    "to_markdown",
    "to_text",
]


def to_json(report: Findings) -> str:
    """Return the report's record as indented JSON."""
    return json.dumps(report.to_record(), indent=2, ensure_ascii=False) + "\n"


#: Renderers by the name of their format, as the command line takes it.
FORMATS: Mapping[str, Callable[[Findings], str]] = MappingProxyType(
    {
        "text": to_text,
        "html": to_html,
        "md": to_markdown,
        "json": to_json,
        "junit": to_junit,
    }
)


def render(report: Findings, form: str = "text") -> str:
    """Render a report.

    Parameters
    ----------
    report : Report
        What to show.
    form : str, optional
        ``text``, ``html``, ``md``, ``json`` or ``junit``.

    Raises
    ------
    CertificationError
        No format has this name.
    """
    renderer = FORMATS.get(form)
    if renderer is None:
        raise CertificationError(
            f"No format is called {form!r}; there are: {', '.join(FORMATS)}."
        )
    return renderer(report)
