"""The README says what is true: links, settings table, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from myia_sdk.cli.__main__ import app
from myia_sdk.settings.settings import variables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def settings_table() -> str:
    rows = ["| Variable | Default | Allowed | Meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{v.name}` | {v.default and f'`{v.default}`'} | {v.allowed} | "
        f"{v.description} |"
        for v in variables()
    ]
    return "\n".join(rows)


def test_settings_table_lists_every_variable_as_the_code_has_it() -> None:
    inside = re.search(
        r"<!-- settings-table -->\n(.*?)\n<!-- /settings-table -->", README, re.S
    )
    assert inside is not None
    assert inside[1] == settings_table()


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_link_leads_to_a_file(target: str) -> None:
    assert (ROOT / target).exists(), f"README links to {target}, which does not exist"


def test_python_blocks_compile() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def said_commands() -> list[list[str]]:
    """Words of every ``myia ...`` in code, up to a comment or a pipe."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.S)
    spans = re.findall(
        r"`(myia [^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.S)
    )
    lines = [line for block in blocks for line in re.split(r"\n|&&", block)] + spans
    bare = [re.split(r"[#|;]", line)[0].split() for line in lines]
    return [words[1:] for words in bare if words[:1] == ["myia"]]


@pytest.mark.parametrize("words", said_commands(), ids=" ".join)
def test_command_and_its_options_exist(words: list[str]) -> None:
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not words or words[0].startswith("--") or not hasattr(command, "commands")
    known = {name for option in command.params for name in option.opts} | {"--help"}
    assert {word for word in words if word.startswith("-")} <= known


def test_commands_are_found() -> None:
    assert len(said_commands()) > 15
