"""``myia keys``: the keys that sign certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from myia_sdk.cli.app import console
from myia_sdk.settings import Settings

if TYPE_CHECKING:
    from myia_sdk.certification.keys import KeyInfo

Name = Annotated[str, typer.Option(help="Name of the key.")]


def install(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Keys that sign certificates.", no_args_is_help=True)
    group.command()(new)
    group.command()(show)
    group.command()(rotate)
    app.add_typer(group, name="keys")


def new(name: Name = "signing") -> None:
    """Make a signing key in MYIA_HOME."""
    from myia_sdk.certification.keys import new_key

    _say(new_key(Settings().myia_home, name))


def rotate(name: Name = "signing") -> None:
    """Replace a key; the old public key stays trusted."""
    from myia_sdk.certification.keys import rotate_key

    _say(rotate_key(Settings().myia_home, name))


def show() -> None:
    """List the keys of MYIA_HOME."""
    from myia_sdk.certification.keys import show_keys

    table = Table()
    for column in ("name", "key id", "scheme", "made", "public key"):
        table.add_column(column, overflow="fold")
    for key in show_keys(Settings().myia_home):
        table.add_row(
            f"{key.name} (retired)" if key.is_retired else key.name,
            key.key_id,
            key.scheme,
            f"{key.created_at:%Y-%m-%d %H:%M}",
            str(key.public_path),
        )
    console.print(table)


def _say(key: KeyInfo) -> None:
    console.print(f"Key {key.key_id}", highlight=False)
    for line in (
        f"Public key, to give away: {key.public_path}",
        f"Private key, for the workers: MYIA_SIGNING_KEY={key.private_path}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
