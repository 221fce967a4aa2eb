"""``myia suites`` and ``myia suite show``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from myia_sdk.cli.app import console
from myia_sdk.settings import Settings


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(suites)
    group = typer.Typer(help="Look at a suite.", no_args_is_help=True)
    group.command()(show)
    app.add_typer(group, name="suite")


def suites() -> None:
    """List the suites."""
    from myia_sdk.certification.suites import list_suites, load_suite

    table = Table()
    for column in ("suite", "version", "kind", "checks", "title"):
        table.add_column(column)
    for name in list_suites():
        suite = load_suite(name)
        table.add_row(
            suite.id, suite.version, suite.kind, str(len(suite.checks)), suite.title
        )
    console.print(table)


def show(
    name: Annotated[str, typer.Argument(help="Name, or the path of a TOML file.")],
) -> None:
    """Show the checks of a suite; an invalid file says where it is wrong."""
    from myia_sdk.certification.suites import load_suite

    plugins = (Settings().myia_plugins or "").split(",")
    suite = load_suite(name, [plugin.strip() for plugin in plugins if plugin.strip()])
    console.print(f"{suite.id} {suite.version}: {suite.title}", highlight=False)
    console.print(suite.digest, highlight=False)
    table = Table(show_lines=True)
    for column in ("check", "severity", "passes", "parameters", "title"):
        table.add_column(column, overflow="fold")
    for spec in suite.checks:
        limit = spec.threshold
        passes = "" if limit.passed is None else f"{limit.comparator} {limit.passed:g}"
        parameters = ", ".join(f"{key}={value}" for key, value in spec.params.items())
        table.add_row(spec.id, spec.severity.value, passes, parameters, spec.title)
    console.print(table)
