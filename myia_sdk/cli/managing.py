"""``myia cancel``, ``retry``, ``clean``, ``pause`` and ``resume``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from myia_sdk.cli.app import console, fail, open_client
from myia_sdk.queue.jobcontrol import Cancellation

Ids = Annotated[list[str], typer.Argument(help="Job ids.")]

_CANCELLED = {
    Cancellation.CANCELLED: "is cancelled.",
    Cancellation.REQUESTED: "runs; its worker will stop it, unless it ends before.",
}


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(cancel)
    app.command()(retry)
    app.command()(promote)
    app.command()(remove)
    app.command()(clean)
    app.command()(drain)
    app.command()(pause)
    app.command()(resume)


def cancel(jobs: Ids, reason: Annotated[str, typer.Option()] = "cancelled") -> None:
    """Cancel jobs: waiting ones at once, running ones within a second."""
    with open_client() as client:
        for job in jobs:
            came_of_it = client.administration.cancel(job, reason=reason)
            console.print(f"{job} {_CANCELLED[came_of_it]}")


def retry(
    jobs: Annotated[list[str] | None, typer.Argument(help="Job ids.")] = None,
    *,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="All failed ones, but those cancelled."),
    ] = False,
    cancelled: Annotated[
        bool, typer.Option("--cancelled", help="With --failed: those cancelled, too.")
    ] = False,
) -> None:
    """Run finished jobs again."""
    if not jobs and not failed:
        fail("Which jobs? Give their ids, or --failed for all failed ones.")
    with open_client() as client:
        if failed:
            count = client.retry_all("failed", cancelled=cancelled)
            console.print(f"{count} jobs are in line again.")
        for job in jobs or ():
            client.job(job).retry()


def promote(jobs: Ids) -> None:
    """Run delayed jobs now."""
    with open_client() as client:
        for job in jobs:
            client.job(job).promote()


def remove(jobs: Ids) -> None:
    """Delete jobs; their certificates stay."""
    with open_client() as client:
        for job in jobs:
            client.job(job).remove()


def clean(
    state: Annotated[str, typer.Argument(help="completed or failed.")] = "completed",
    older_than: Annotated[
        float, typer.Option(min=0, help="Only jobs older than so many hours.")
    ] = 0.0,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """Delete finished jobs; certificates stay."""
    with open_client() as client:
        gone = client.clean(state, grace=timedelta(hours=older_than), limit=limit)
        console.print(f"{len(gone)} jobs deleted.")


def drain(
    *,
    delayed: Annotated[bool, typer.Option("--delayed", help="Those too.")] = False,
) -> None:
    """Delete all waiting jobs."""
    with open_client() as client:
        console.print(f"{client.drain(delayed=delayed)} jobs deleted.")


def pause() -> None:
    """Stop workers from taking jobs; those that run go on."""
    with open_client() as client:
        client.pause()


def resume() -> None:
    """Let workers take jobs again."""
    with open_client() as client:
        client.resume()
