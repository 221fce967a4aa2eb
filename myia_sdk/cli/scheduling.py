"""``myia schedule``: certifications that come again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from myia_sdk.cli.app import Json, console, fail, open_client, show_frame


def install(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Certifications that recur.", no_args_is_help=True)
    group.command()(add)
    group.command("list")(list_schedules)
    group.command()(remove)
    app.add_typer(group, name="schedule")


def add(
    model: Annotated[str, typer.Argument(help="Registered model.")],
    every: Annotated[
        float | None, typer.Option(min=0.001, help="Hours between runs.")
    ] = None,
    cron: Annotated[str | None, typer.Option(help="Five fields, UTC.")] = None,
    region: Annotated[str | None, typer.Option(help="Region.")] = None,
) -> None:
    """Certify a registered model again and again."""
    if (every is None) == (cron is None):
        fail("Give either --every HOURS or --cron PATTERN.", code=2)
    with open_client() as client:
        scheduler = client.schedule(
            model,
            every=None if every is None else timedelta(hours=every),
            pattern=cron,
            region=region,
        )
        console.print(scheduler, highlight=False)


def list_schedules(*, as_json: Json = False) -> None:
    """List the schedules."""
    with open_client() as client:
        frame = client.schedulers()
        show_frame(frame, list(frame.columns[:8]), as_json=as_json)


def remove(scheduler: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Remove a schedule; a run that is under way goes on."""
    with open_client() as client:
        if not client.scheduling.remove(scheduler):
            fail(
                f"There is no schedule {scheduler!r}; `myia schedule list` shows them."
            )
