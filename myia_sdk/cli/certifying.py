"""``myia submit``, ``report`` and ``verify``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myia_sdk.cli.app import VERDICT_FAILED, console, fail, open_client
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
    app.command()(verify)


def submit(  # noqa: PLR0917 -- typer makes options of them
    model: Annotated[
        str, typer.Argument(help="A .skops or .onnx file, or a registered name.")
    ],
    suite: Annotated[str, typer.Option(help="Suite; `myia suites` lists them.")],
    data: Annotated[
        Path | None, typer.Option(help="Test data: a CSV or Parquet file.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column of the data that holds the truth.")
    ] = None,
    region: Annotated[list[str] | None, typer.Option(help="Region.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag.")] = None,
    priority: Annotated[int, typer.Option(help="0 runs first.")] = 0,
    delay: Annotated[float | None, typer.Option(help="Seconds to wait.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds an attempt.")] = None,
    job_id: Annotated[str | None, typer.Option(help="Id of your own.")] = None,
    *,
    wait: Annotated[bool, typer.Option(help="Wait for the verdict.")] = False,
) -> None:
    """Submit a certification and print its job id."""
    with open_client() as client:
        handles = [
            client.submit(
                model,
                suite=suite,
                dataset=None if data is None else _read(data, target),
                region=one or None,
                priority=priority,
                delay=delay,
                timeout=timeout,
                job_id=job_id,
                tags=tag or (),
            )
            for one in (region or [""])
        ]
        for handle in handles:
            console.print(handle.id, highlight=False)
        if wait:
            verdicts = [handle.result().verdict for handle in handles]
            console.print("\n".join(verdicts))
            raise typer.Exit(VERDICT_FAILED if "failed" in verdicts else 0)


def report(
    job: Annotated[str, typer.Argument(help="Job id, or a report's JSON file.")],
    form: Annotated[Format, typer.Option("--format", help="Form.")] = Format.TEXT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.")
    ] = None,
) -> None:
    """Show a report; exit code 100 when the verdict is failed."""
    from myia_sdk.certification.rendering import render

    found = _report_of(job)
    text = render(found, form.value)
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    else:
        output.write_text(text, encoding="utf-8")
        console.print(f"{output}: verdict {found.verdict}", highlight=False)
    raise typer.Exit(VERDICT_FAILED if found.verdict == "failed" else 0)


def verify(
    file: Annotated[Path, typer.Argument(help="Certificate.", exists=True)],
    key: Annotated[
        list[Path] | None,
        typer.Option(
            help="PEM file of a public key to trust; else those of MYIA_HOME."
        ),
    ] = None,
    subject: Annotated[
        Path | None,
        typer.Option(help="Model file that the certificate must be about."),
    ] = None,
    revoked: Annotated[
        Path | None, typer.Option(help="Revocation list.", exists=True)
    ] = None,
) -> None:
    """Verify a certificate: signature, subject, validity, revocation, verdict."""
    from myia_sdk.certification.certificate import Certificate
    from myia_sdk.certification.keys import PublicKey, trusted_keys
    from myia_sdk.certification.revocation import RevocationList
    from myia_sdk.certification.subjects import Subject
    from myia_sdk.settings import Settings

    keys = [PublicKey.load(path) for path in key or ()]
    found = Certificate.load(file).verify(
        keys or trusted_keys(Settings().myia_home),
        None if subject is None else Subject.of_path(subject),
        revoked=None if revoked is None else RevocationList.load(revoked),
    )
    console.print(
        f"Valid: {found.verdict}, issued {found.issued_at:%Y-%m-%d %H:%M} UTC, "
        f"expires {found.expires_at:%Y-%m-%d %H:%M} UTC, key {found.key.key_id[:16]}.",
        highlight=False,
    )
    if found.is_development:
        console.print("It was signed with a development key.")
    if not found.is_subject_checked:
        console.print("Which model it is about was not checked; give --subject FILE.")


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


def _read(path: Path, target: str | None) -> object:
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"} or target is None:
        raise DatasetError(
            f"The data are {str(path)!r} with target {target!r}; give a .csv or "
            ".parquet file and --target COLUMN."
        )
    try:
        frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{str(path)!r} cannot be read: {error}") from error
    if target not in frame.columns:
        raise DatasetError(
            f"{str(path)!r} has no column {target!r}; it has "
            f"{', '.join(map(str, frame.columns))}."
        )
    return frame.drop(columns=target), frame[target]
