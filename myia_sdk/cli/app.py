"""The root of ``myia``: how errors are shown and what commands share."""

from __future__ import annotations

import errno
import json
import logging
import sys
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from myia_sdk.errors import MyiaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from myia_sdk.client import JobHandle
    from myia_sdk.facade import Client

#: Exit code of a certification whose verdict is ``failed``; 1 is an error of ours.
VERDICT_FAILED = 100
INTERRUPTED = 130

#: A column is narrowed no further; the first one, ids, is never narrowed.
COLUMN_WIDTH = 26
BORDER = 3

console = Console()

Json = Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")]


class ErrorGroup(TyperGroup):
    """Commands whose expected errors are one line, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors of ours end it with exit code 1."""
        try:
            return super().invoke(ctx)
        except MyiaError as error:
            fail(str(error))
        except OSError as error:
            # A reader that left, as `head` does, is typer's to handle: no complaint.
            if error.errno == errno.EPIPE:
                raise
            where = f"{error.filename!r}: " if error.filename else ""
            fail(f"{where}{error.strerror or error}")
        except KeyboardInterrupt as interrupt:
            for note in getattr(interrupt, "__notes__", ()):
                sys.stderr.write(f"{note}\n")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=ErrorGroup,
    help="Certify AI models: submit, watch, analyse, clean.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _say_version(is_asked: bool) -> None:  # noqa: FBT001 -- typer's callback
    if is_asked:
        console.print(f"myia-sdk {version('myia-sdk')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[  # noqa: ARG001 -- its callback does it
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Say which it is."
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say more on standard error.")
    ] = False,
) -> None:
    logging.basicConfig(
        format="%(levelname)s %(name)s: %(message)s",
        level=logging.INFO if verbose else logging.ERROR,
    )


def fail(text: str, code: int = 1) -> NoReturn:
    """End the command with one line on standard error."""
    sys.stderr.write(f"myia: {text}\n")
    raise typer.Exit(code)


def write_json(value: object) -> None:
    """Print JSON records, for scripts; times are ISO 8601."""
    sys.stdout.write(f"{json.dumps(value, indent=2, default=str)}\n")


def conclude(handles: Iterable[JobHandle]) -> NoReturn:
    """Wait for certifications, print their verdicts, end with the exit code.

    Why one is not certified goes to the standard error: the verdict is for scripts.
    """
    reports = [handle.result() for handle in handles]
    verdicts = [report.verdict for report in reports]
    console.print("\n".join(verdicts))
    for report in reports:
        if report.verdict != "certified":
            sys.stderr.writelines(f"{reason}\n" for reason in report.reasons)
    raise typer.Exit(VERDICT_FAILED if "failed" in verdicts else 0)


@contextmanager
def open_client() -> Iterator[Client]:
    """Connect to the queue that the settings name."""
    from myia_sdk.facade import Client

    with Client() as client:
        yield client


def show_frame(
    frame: pd.DataFrame, columns: list[str], *, as_json: bool = False
) -> None:
    """Print columns of a frame as a table, as many as fit; the first never breaks.

    Files and pipes get all columns, whatever their width. As JSON all columns of the
    frame are objects of a list, and what is missing is null.
    """
    if as_json:
        text = frame.to_json(orient="records", date_format="iso", indent=2)
        sys.stdout.write(f"{text}\n")
        return
    rows = [list(map(_cell, row)) for row in frame[columns].itertuples(index=False)]
    widths = [
        max([len(name), *(len(row[number]) for row in rows)])
        for number, name in enumerate(columns)
    ]
    needed = [widths[0], *(min(width, COLUMN_WIDTH) for width in widths[1:])]
    wide = Console(width=sum(widths) + BORDER * len(widths) + 1)
    target = console if console.is_terminal else wide
    count = _how_many(needed, target.width - 1)
    table = Table()
    for number, name in enumerate(columns[:count]):
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*row[:count])
    target.print(table)
    if count < len(columns):
        hidden = ", ".join(name.replace("_", " ") for name in columns[count:])
        console.print(f"A wider terminal also shows {hidden}.", style="dim")
    if frame.attrs.get("truncated"):
        console.print(f"... and more; --limit shows more than {len(frame)} rows.")


def _how_many(widths: list[int], room: int) -> int:
    """Return how many columns fit, at least one."""
    total = 0
    for number, width in enumerate(widths):
        total += width + BORDER
        if total > room:
            return max(1, number)
    return len(widths)


def _cell(value: Any) -> str:
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 -- NaN
        return ""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, pd.Timedelta):
        return f"{value.total_seconds():.1f} s"
    return f"{value:g}" if isinstance(value, float) else str(value)
