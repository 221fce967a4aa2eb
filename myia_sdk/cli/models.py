"""``myia register``, ``models``, ``certify-all``, ``recertify`` and ``schedule``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from myia_sdk.cli.app import Json, console, fail, open_client, show_frame
from myia_sdk.cli.certifications import table_of

if TYPE_CHECKING:
    from myia_sdk.client import Batch


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(register)
    app.command()(models)
    app.command()(certify_all)
    app.command()(recertify)
    group = typer.Typer(help="Certifications that recur.", no_args_is_help=True)
    group.command()(add)
    group.command("list")(list_schedules)
    group.command()(remove)
    app.add_typer(group, name="schedule")


def register(  # noqa: PLR0917 -- typer makes options of them
    name: Annotated[str, typer.Argument(help="Name to register it under.")],
    model: Annotated[Path, typer.Argument(help="A .skops or .onnx file.", exists=True)],
    suite: Annotated[str, typer.Option(help="Its suite.")],
    data: Annotated[Path | None, typer.Option(help="Its test data.")] = None,
    target: Annotated[str | None, typer.Option(help="Column of the truth.")] = None,
    region: Annotated[list[str] | None, typer.Option(help="Where it runs.")] = None,
) -> None:
    """Remember a model, its suite and its data under a name."""
    with open_client() as client:
        client.register(
            name,
            model,
            regions=region or (),
            suite=suite,
            dataset=table_of(data, target),
        )


def models(*, as_json: Json = False) -> None:
    """List the registered models."""
    with open_client() as client:
        frame = client.models()
        show_frame(frame, list(frame.columns[:6]), as_json=as_json)


def certify_all(
    region: Annotated[list[str] | None, typer.Option(help="Only there.")] = None,
) -> None:
    """Submit every registered model in its regions."""
    with open_client() as client:
        _say(client.certify_all(region))


def recertify(
    within: Annotated[float, typer.Option(min=0, help="Days.")] = 1.0,
) -> None:
    """Submit registered models whose certificate expires within so many days."""
    with open_client() as client:
        _say(client.recertify_expiring(timedelta(days=within)))


def _say(batch: Batch) -> None:
    console.print(f"Batch {batch.id}: {len(batch)} jobs", highlight=False)


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
