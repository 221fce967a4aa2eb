"""The README says what is true: links, settings table, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from myia_sdk.settings import variables

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
