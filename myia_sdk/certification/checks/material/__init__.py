"""Prompts, dialogues, pairs and texts that the built-in checks use.

They are our own writing. Each file is part of the identity of the checks that use it,
so a changed word makes reports incomparable, as it should.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def read_material(name: str) -> dict[str, Any]:
    """Read one of the files, without its ``.toml``."""
    file = resources.files(__name__).joinpath(f"{name}.toml")
    return tomllib.loads(file.read_text("utf-8"))
