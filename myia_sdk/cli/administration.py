"""Administration: jobs, the queue, its limits and defaults, and rules for its users."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from myia_sdk.cli.app import console, fail, open_client
from myia_sdk.queue.store.control import Cancellation
from myia_sdk.settings import Settings

if TYPE_CHECKING:
    from myia_sdk.queue.store import QueueAdministration

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
    app.command()(limit)
    app.command()(defaults)
    app.command()(change)
    app.command()(obliterate)
    app.command()(acl)


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


JobId = Annotated[str, typer.Argument(help="Job id.")]


def limit(
    concurrency: Annotated[
        int | None, typer.Option(min=0, help="Jobs at once on all workers; 0: any.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=0, help="Starts in a window; 0: any.")
    ] = None,
    per: Annotated[float, typer.Option(min=0.001, help="The window, seconds.")] = 1.0,
) -> None:
    """Limit how many jobs of the queue run at once or start in a window."""
    with open_client() as client:
        administration = client.administration
        if concurrency is not None:
            administration.set_concurrency(concurrency or None)
        if rate is not None:
            administration.set_rate_limit(rate or None, timedelta(seconds=per))
        _say_limits(administration)


def _say_limits(administration: QueueAdministration) -> None:
    at_once, rate = administration.concurrency(), administration.rate_limit()
    console.print(f"Jobs at once: {at_once or 'any number'}.")
    window = "any number" if rate is None else f"{rate.maximum} per {rate.duration}"
    console.print(f"Starts: {window}.")


def defaults(
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds of an attempt; 0: not set.")
    ] = None,
    max_retries: Annotated[
        int | None, typer.Option(min=-1, max=100, help="Retries; -1: not set.")
    ] = None,
) -> None:
    """Set what jobs of the queue get whose submitter says nothing, and show it."""
    from myia_sdk.queue.jobs import QueueDefaults

    with open_client() as client:
        now = client.administration.defaults()
        limit_of = now.timeout if timeout is None else timedelta(seconds=timeout)
        retries = now.max_retries if max_retries is None else max_retries
        if timeout is not None or max_retries is not None:
            now = QueueDefaults(
                timeout=limit_of or None,
                max_retries=None if retries == -1 else retries,
            )
            client.administration.set_defaults(now)
        console.print(f"Longest run of an attempt: {now.timeout or 'not set'}.")
        shown = "not set" if now.max_retries is None else now.max_retries
        console.print(f"Retries after the first attempt: {shown}.")


def change(
    job: JobId,
    *,
    delay: Annotated[
        float | None, typer.Option(min=0, help="Run in so many seconds.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, help="0 first, then 1, 2 ...")
    ] = None,
    data: Annotated[
        typer.FileText | None, typer.Option(help="File with the new data, JSON.")
    ] = None,
) -> None:
    """Change a job that has not run yet: its delay, priority or data."""
    with open_client() as client:
        if delay is not None:
            client.administration.change_delay(job, timedelta(seconds=delay))
        if priority is not None:
            client.administration.change_priority(job, priority)
        if data is not None:
            try:
                value = json.load(data)
            except ValueError as error:
                fail(f"{data.name} is not JSON: {error}")
            client.administration.update_data(job, value)


def obliterate(
    queue: Annotated[str, typer.Argument(help="The queue's name, as a confirmation.")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Even while jobs run.")
    ] = False,
) -> None:
    """Delete the queue with all its jobs; certificates stay."""
    with open_client() as client:
        if queue != client.queue.queue:
            fail(f"The settings name the queue {client.queue.queue!r}, not {queue!r}.")
        client.obliterate(force=force)


def acl(
    role: Annotated[str, typer.Argument(help="viewer, submitter, worker or operator.")],
    user: Annotated[str | None, typer.Option(help="Name of the Redis user.")] = None,
) -> None:
    """Print the Redis command that makes a user with a role's least rights."""
    from myia_sdk.queue.wire.roles import ROLES

    found = next((known for known in ROLES if known.name == role), None)
    if found is None:
        names = ", ".join(known.name for known in ROLES)
        fail(f"There is no role {role!r}; the roles are {names}.")
    settings = Settings()
    rules = found.rules(settings.certification_queue_name, settings.bull_queue_prefix)
    name = user or f"myia-{role}"
    typer.echo(" ".join(["ACL", "SETUSER", name, "on", ">PASSWORD", *rules]))
