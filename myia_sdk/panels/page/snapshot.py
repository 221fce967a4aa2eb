"""Static copies of panels: what a notebook shows without a kernel.

Only tags and inline styles that survive JupyterLab's sanitizer are used.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from myia_sdk.panels.page.texts import translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Rows of a static table.
ROWS = 25
_CELL = "padding:2px 8px;text-align:left"


def static_html(state: Mapping[str, Any] | None, language: str) -> str:
    """Return a self-contained table of a panel's state.

    Parameters
    ----------
    state : mapping or None
        What ``Controller.snapshot()`` gave; None when nothing was loaded.
    language : str
        Language of the texts.
    """
    if state is None or state.get("kind") not in {"monitor", "certificates"}:
        return f"<p>{escape(translate(language, 'snapshot.empty'))}</p>"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    note = escape(translate(language, "snapshot.at", time=now))
    if state["kind"] == "monitor":
        head, table = _monitor(state, language)
    else:
        head, table = _certificates(state, language)
    return f"<div>{head}{table}<p><small>{note}</small></p></div>"


def _monitor(state: Mapping[str, Any], language: str) -> tuple[str, str]:
    name = escape(str(state["queue"]["name"]))
    counts = " · ".join(
        f"{escape(translate(language, f'state.{key}'))} {value}"
        for key, value in state["counts"].items()
        if value
    )
    columns = ("job", "state", "suite", "region", "progress", "attempt", "verdict")
    heads = [translate(language, f"column.{column}") for column in columns]
    rows = [
        _job_cells(state["rows"][job_id], language) for job_id in state["order"][:ROWS]
    ]
    head = f"<p><b>{escape(translate(language, 'title.monitor'))} {name}</b></p>"
    return f"{head}<p>{counts}</p>", table(heads, rows)


def _job_cells(row: Mapping[str, Any], language: str) -> list[str]:
    progress = row["progress"]
    verdict = row["verdict"]
    outcome = translate(language, f"verdict.{verdict}") if verdict else row["reason"]
    return [
        f"{row['name']} ({row['id']})",
        translate(language, f"state.{row['state']}"),
        row["suite"],
        row["region"],
        "" if progress is None else f"{progress:.0f} %",
        f"{row['attempt']}/{row['max_attempts']}",
        outcome,
    ]


def _certificates(state: Mapping[str, Any], language: str) -> tuple[str, str]:
    heads = [
        translate(language, key)
        for key in ("column.model", "column.region", "column.verdict")
    ]
    heads.append(translate(language, "certificate.expires"))
    rows = []
    for cell in list(state["cells"].values())[:ROWS]:
        expires = cell["expires_at"]
        when = "" if expires is None else datetime.fromtimestamp(expires / 1000, UTC)
        verdict = translate(language, f"verdict.{cell['verdict']}")
        rows.append(
            [cell["model"], cell["region"], f"{verdict} {cell['rating']}", str(when)]
        )
    title = escape(translate(language, "title.certificates"))
    return f"<p><b>{title}</b></p>", table(heads, rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an HTML table; every text is escaped.

    Parameters
    ----------
    heads : sequence of str
        Column titles.
    rows : sequence of sequences
        Cells as text.
    """
    head = "".join(f'<th style="{_CELL}">{escape(one)}</th>' for one in heads)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL}">{escape(str(cell))}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
