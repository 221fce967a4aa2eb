"""``myia submit``, ``report`` and ``compare``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from myia_sdk.cli.app import VERDICT_FAILED, conclude, console, fail, open_client
from myia_sdk.errors import DatasetError

if TYPE_CHECKING:
    from myia_sdk.certification.report import Report


class Format(StrEnum):
    """Forms of a report."""

    TEXT = "text"
    HTML = "html"
    MARKDOWN = "md"
    JSON = "json"
    JUNIT = "junit"


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(submit)
    app.command()(report)
    app.command()(compare)


def submit(  # noqa: PLR0917 -- typer makes options of them
    model: Annotated[str, typer.Argument(help="A model's file, or a registered name.")],
    suite: Annotated[
        str | None, typer.Option(help="Suite; the model's baseline if not given.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Test data: a CSV or Parquet file.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column of the data that holds the truth.")
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(help="Training data, with the same columns; for level 2."),
    ] = None,
    sensitive: Annotated[
        list[str] | None,
        typer.Option(help="Column of the data that tells groups of people."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Model to compare with: a file, or a registered name."),
    ] = None,
    region: Annotated[list[str] | None, typer.Option(help="Region.")] = None,
    name: Annotated[str | None, typer.Option(help="What listings call it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag.")] = None,
    priority: Annotated[int, typer.Option(help="0 runs first.")] = 0,
    delay: Annotated[float | None, typer.Option(help="Seconds to wait.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds an attempt.")] = None,
    max_retries: Annotated[
        int | None, typer.Option(help="Retries after the first attempt.")
    ] = None,
    job_id: Annotated[str | None, typer.Option(help="Id of your own.")] = None,
    *,
    wait: Annotated[bool, typer.Option(help="Wait for the verdict.")] = False,
) -> None:
    """Submit a certification and print its job id."""
    from myia_sdk.client import Submissions

    with open_client() as client:
        handles = [
            Submissions(client.connection, warn=False).submit(
                model,
                suite=suite,
                dataset=dataset_of(data, target, train=train, sensitive=sensitive),
                parameters={} if baseline is None else {"baseline": baseline},
                region=one or None,
                name=name,
                priority=priority,
                delay=delay,
                timeout=timeout,
                max_retries=max_retries,
                job_id=job_id,
                tags=tag or (),
            )
            for one in (region or [""])
        ]
        for handle in handles:
            console.print(handle.id, highlight=False)
            for note in handle.notes:
                sys.stderr.write(f"{note}\n")
        if wait:
            conclude(handles)


def report(
    job: Annotated[str, typer.Argument(help="Job id, or a report's JSON file.")],
    form: Annotated[Format, typer.Option("--format", help="Form.")] = Format.TEXT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.")
    ] = None,
) -> None:
    """Show a report; exit code 100 when the verdict is failed."""
    from myia_sdk.certification.report import render

    found = _report_of(job)
    text = render(found, form.value)
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    else:
        output.write_text(text, encoding="utf-8")
        console.print(f"{output}: verdict {found.verdict}", highlight=False)
    raise typer.Exit(VERDICT_FAILED if found.verdict == "failed" else 0)


def compare(
    before: Annotated[str, typer.Argument(help="Job id or a report's JSON file.")],
    after: Annotated[str, typer.Argument(help="The newer one.")],
) -> None:
    """Compare two reports check by check; refused when suites or data differ."""
    from myia_sdk.certification.report import compare as compare_reports

    found = compare_reports(_report_of(before), _report_of(after))
    table = Table(title=f"Score {found.score_difference:+.1f}", title_justify="left")
    for column in ("check", "before", "after", "difference", "change"):
        table.add_column(column)
    for check in found.checks:
        difference = "" if check.difference is None else f"{check.difference:+.4g}"
        table.add_row(
            check.id,
            check.before.outcome.value,
            check.after.outcome.value,
            difference,
            check.change.value,
        )
    console.print(table)
    for name, (old, new) in found.drift.items():
        console.print(f"{name}: {old} -> {new}", markup=False, highlight=False)


def _report_of(job: str) -> Report:
    path = Path(job)
    if path.suffix != ".json":
        with open_client() as client:
            return client.job(job).report()
    import json

    from myia_sdk.certification.report import Report

    try:
        return Report.from_record(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        fail(f"{job!r} cannot be read as a report: {error}")


def dataset_of(
    data: Path | None,
    target: str | None,
    *,
    train: Path | None = None,
    sensitive: list[str] | None = None,
) -> dict[str, object] | None:
    """Return test data with what else there is, as ``dataset=`` takes them.

    Raises
    ------
    DatasetError
        There is more than test data, but none of these; or no target.
    """
    test = table_of(data, target)
    if test is None:
        if train is not None or sensitive:
            raise DatasetError("There are no test data; give --data FILE.")
        return None
    found: dict[str, object] = {"X": test[0], "y": test[1]}
    if train is not None:
        found["train"] = table_of(train, target)
    if sensitive:
        found["sensitive"] = sensitive
    return found


def table_of(path: Path | None, target: str | None) -> tuple[str, str] | None:
    """Return a file and its target as ``dataset=`` takes them.

    Raises
    ------
    DatasetError
        There is a file, but no target.
    """
    if path is None:
        return None
    if target is None:
        raise DatasetError(
            f"The data are {str(path)!r} without a target; give --target COLUMN."
        )
    return str(path), target
