"""``myia suites`` and ``myia suite show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from myia_sdk.cli.app import console
from myia_sdk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from myia_sdk.certification.suites import Suite


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
    from myia_sdk.certification.report.rendering.wording import limit
    from myia_sdk.certification.suites import load_suite

    suite = load_suite(name, Settings().plugins)
    console.print(f"{suite.id} {suite.version}: {suite.title}", highlight=False)
    console.print(suite.digest, highlight=False)
    for line in _effort_lines(suite):
        console.print(line, highlight=False)
    table = Table(show_lines=True)
    for column in ("check", "severity", "passes", "parameters", "title"):
        table.add_column(column, overflow="fold")
    for spec in suite.checks:
        parameters = ", ".join(f"{key}={value}" for key, value in spec.params.items())
        table.add_row(
            spec.id, spec.severity.value, limit(spec.threshold), parameters, spec.title
        )
    console.print(table)


def _effort_lines(suite: Suite) -> Iterator[str]:
    """Say what a run asks of an endpoint, and what time it gets."""
    from myia_sdk.certification.suites import effort_of

    if suite.kind not in {"chat", "embedding"}:
        return
    effort = effort_of(suite)
    yield (
        f"Asks an endpoint at most {effort.requests} requests: some "
        f"{effort.prompt_tokens} tokens, and {effort.completion_tokens} of answers."
    )
    if effort_of(suite, {"context_window": 1}).requests > effort.requests:
        window = effort_of(suite, {"context_window": 1_000_000}).prompt_tokens
        times = (window - effort.prompt_tokens) / 1_000_000
        yield (
            "For a model that declares options.context_window, long texts add "
            f"{times:.2g} times that many tokens."
        )
    seconds = Settings().certification_timeout / 1000
    yield (
        f"An attempt may take {seconds:g} s (CERTIFICATION_TIMEOUT); give slow "
        "endpoints more with timeout= or --timeout."
    )
