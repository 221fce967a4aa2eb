"""The root of ``myia``: how errors are shown and what commands share."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from myia_sdk.errors import MyiaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from myia_sdk.client import Client

#: Exit code of a certification whose verdict is ``failed``; 1 is an error of ours.
VERDICT_FAILED = 100
INTERRUPTED = 130

console = Console()


class ErrorGroup(TyperGroup):
    """Commands whose expected errors are one line, not a traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 -- click's signature
        """Run the command; errors of ours end it with exit code 1."""
        try:
            return super().invoke(ctx)
        except MyiaError as error:
            fail(str(error))
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


@app.callback()
def _options(
    *,
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


@contextmanager
def open_client() -> Iterator[Client]:
    """Connect to the queue that the settings name."""
    from myia_sdk.client import Client

    with Client() as client:
        yield client


def show_frame(frame: pd.DataFrame, columns: list[str], *, title: str = "") -> None:
    """Print columns of a frame as a table; times without fractions."""
    table = Table(title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in frame[columns].itertuples(index=False):
        table.add_row(*map(_cell, row))
    console.print(table)
    if frame.attrs.get("truncated"):
        console.print(f"... and more; --limit shows more than {len(frame)} rows.")


def _cell(value: Any) -> str:  # noqa: ANN401 -- a cell of any dtype
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 -- NaN
        return ""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, pd.Timedelta):
        return f"{value.total_seconds():.1f} s"
    return f"{value:g}" if isinstance(value, float) else str(value)
