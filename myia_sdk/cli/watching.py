"""``myia status``, ``jobs``, ``logs`` and ``doctor``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from myia_sdk.cli.app import console, open_client, show_frame
from myia_sdk.operations import to_state
from myia_sdk.queue.job import JobState

if TYPE_CHECKING:
    from myia_sdk.client import Client

COLUMNS = [
    *("id", "state", "model", "verdict", "score", "reason", "region", "progress"),
    *("suite", "attempts_made", "created_at"),
]


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(jobs)
    app.command()(logs)
    app.command()(doctor)


def status() -> None:
    """Show server, counts, workers and how long jobs wait."""
    with open_client() as client:
        console.print(client.describe(), highlight=False, soft_wrap=True)
        table = Table()
        counts = client.queue.counts()
        for state in counts:
            table.add_column(state.value)
        table.add_row(*(f"{number:,}" for number in counts.values()))
        console.print(table)
        for line in _facts(client):
            console.print(line, highlight=False)


def _facts(client: Client) -> list[str]:
    administration = client.administration
    lines = [f"workers: {len(administration.workers())}"]
    if client.queue.is_paused():
        lines.append("paused: yes; `myia resume` lifts it")
    limit = administration.concurrency()
    if limit is not None:
        lines.append(f"jobs at once over all workers: {limit}")
    rate = administration.rate_limit()
    if rate is not None:
        lines.append(f"rate limit: {rate.maximum} jobs in {rate.duration}")
    oldest = client.queue.page(JobState.WAITING, 0, 0, newest_first=False)
    if oldest and oldest[0].created_at:
        age = datetime.now(UTC) - oldest[0].created_at
        lines.append(f"oldest waiting job: {age.total_seconds():,.0f} s")
    return lines


def jobs(
    state: Annotated[list[str] | None, typer.Option(help="Only this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows.")] = 25,
) -> None:
    """List jobs, newest first."""
    chosen = [to_state(name) for name in state or ()]
    with open_client() as client:
        frame = client.jobs(chosen or None, limit=limit, columns=COLUMNS)
        present = [c for c in COLUMNS if c == "id" or not frame[c].isna().all()]
        show_frame(frame, present if len(frame) else COLUMNS)


def logs(
    job: Annotated[str, typer.Argument(help="Job id.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Lines.")] = 100,
) -> None:
    """Show the last lines a job logged or printed."""
    with open_client() as client:
        frame = client.logs(job, limit=lines)
        for text in frame[frame.columns[-1]]:
            sys.stdout.write(f"{text}\n")


def doctor() -> None:
    """Check everything that can be wrong, and say what to do; exit 1 when bad."""
    from myia_sdk.cli.diagnosis import MARKS, Mark, examine

    findings = examine()
    for finding in findings:
        sign, style = MARKS[finding.mark]
        console.print(f"[{style}]{sign:>4}[/] {finding.subject}: ", end="")
        console.print(finding.text, markup=False, highlight=False)
        if finding.advice:
            console.print(f"     -> {finding.advice}", markup=False, highlight=False)
    raise typer.Exit(int(any(finding.mark is Mark.BAD for finding in findings)))
