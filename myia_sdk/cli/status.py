"""``myia status``, ``jobs``, ``logs``, ``wait`` and ``doctor``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.table import Table

from myia_sdk.cli.app import (
    Json,
    conclude,
    console,
    open_client,
    show_frame,
    write_json,
)
from myia_sdk.client.operations import to_state
from myia_sdk.queue.jobs import JobState

if TYPE_CHECKING:
    from myia_sdk.facade import Client

COLUMNS = [
    *("id", "state", "model", "verdict", "score", "reason", "region", "progress"),
    *("suite", "attempts_made", "created_at"),
]


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(jobs)
    app.command()(logs)
    app.command()(wait)
    app.command()(doctor)


class Status(NamedTuple):
    """What ``myia status`` tells; limits that are not set are ``None``."""

    server: str
    counts: dict[str, int]
    workers: int
    is_paused: bool
    concurrency: int | None
    rate_limit: str | None
    oldest_waiting_seconds: float | None

    @classmethod
    def of(cls, client: Client) -> Status:
        """Read it."""
        administration = client.administration
        rate = administration.rate_limit()
        oldest = client.queue.page(JobState.WAITING, 0, 0, newest_first=False)
        created = oldest[0].created_at if oldest else None
        return cls(
            server=client.describe(),
            counts={s.value: count for s, count in client.queue.counts().items()},
            workers=len(administration.workers()),
            is_paused=client.queue.is_paused(),
            concurrency=administration.concurrency(),
            rate_limit=rate and f"{rate.maximum} jobs in {rate.duration}",
            oldest_waiting_seconds=(
                (datetime.now(UTC) - created).total_seconds() if created else None
            ),
        )

    def lines(self) -> list[str]:
        """Return what there is to say beside the counts."""
        lines = [f"workers: {self.workers}"]
        if self.is_paused:
            lines.append("paused: yes; `myia resume` lifts it")
        if self.concurrency is not None:
            lines.append(f"jobs at once over all workers: {self.concurrency}")
        if self.rate_limit is not None:
            lines.append(f"rate limit: {self.rate_limit}")
        if self.oldest_waiting_seconds is not None:
            lines.append(f"oldest waiting job: {self.oldest_waiting_seconds:,.0f} s")
        return lines


def status(*, as_json: Json = False) -> None:
    """Show server, counts, workers and how long jobs wait."""
    with open_client() as client:
        found = Status.of(client)
    if as_json:
        write_json(found._asdict())
        return
    console.print(found.server, highlight=False, soft_wrap=True)
    table = Table()
    table.add_column("state")
    table.add_column("jobs", justify="right")
    for state, count in found.counts.items():
        table.add_row(state, f"{count:,}")
    console.print(table)
    for line in found.lines():
        console.print(line, highlight=False)


def jobs(
    state: Annotated[list[str] | None, typer.Option(help="Only this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows.")] = 25,
    *,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    suite: Annotated[str | None, typer.Option(help="Only this suite.")] = None,
    region: Annotated[str | None, typer.Option(help="Only this region.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    verdict: Annotated[str | None, typer.Option(help="Only this verdict.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only this batch.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Only with these words in the reason.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    chosen = [to_state(name) for name in state or ()]
    with open_client() as client:
        frame = client.jobs(
            chosen or None,
            model=model,
            suite=suite,
            region=region,
            tag=tag,
            verdict=verdict,
            batch=batch,
            text=text,
            limit=limit,
            columns=None if as_json else COLUMNS,
        )
    present = [c for c in COLUMNS if c == "id" or not frame[c].isna().all()]
    show_frame(frame, present if len(frame) else COLUMNS, as_json=as_json)


def logs(
    job: Annotated[str, typer.Argument(help="Job id.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Lines.")] = 100,
) -> None:
    """Show the last lines a job logged or printed."""
    with open_client() as client:
        frame = client.logs(job, limit=lines)
        for text in frame[frame.columns[-1]]:
            sys.stdout.write(f"{text}\n")


def wait(
    jobs: Annotated[list[str], typer.Argument(help="Job ids.")],
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Longest wait, seconds.")
    ] = None,
) -> None:
    """Wait for jobs and print their verdicts; exit code 100 when one is failed."""
    with open_client() as client:
        conclude(client.wait(jobs, timeout=timeout))


def doctor(*, as_json: Json = False) -> None:
    """Check everything that can be wrong, and say what to do; exit 1 when bad."""
    from myia_sdk.cli.doctor import MARKS, Mark, examine

    findings = examine()
    if as_json:
        write_json([{**f._asdict(), "mark": MARKS[f.mark].word} for f in findings])
    for finding in () if as_json else findings:
        sign, style = MARKS[finding.mark]
        console.print(f"[{style}]{sign:>4}[/] {finding.subject}: ", end="")
        text = f"{finding.text}\n     -> {finding.advice}"
        console.print(
            text if finding.advice else finding.text,
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    raise typer.Exit(int(any(finding.mark is Mark.BAD for finding in findings)))
