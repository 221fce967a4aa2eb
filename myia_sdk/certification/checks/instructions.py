"""Rules by which a program verifies that an answer obeys an instruction."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What may stand after the last word without changing it.
_TRAILING = " \n\t.!\"'"


def obeys(answer: str, rule: str, value: Any = None) -> bool:
    """Tell whether an answer obeys a rule.

    Parameters
    ----------
    answer : str
        What the model said.
    rule : str
        One of the names of ``RULES``.
    value : JSON, optional
        The rule's argument, if it has one.
    """
    text = answer.strip()
    return bool(text) and RULES[rule](text, value)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


RULES: Mapping[str, Callable[[str, Any], bool]] = {
    "upper_case": lambda text, _: text.isupper(),
    "lower_case": lambda text, _: text.islower(),
    "ends_with": lambda text, value: (
        text.endswith(value) or text.rstrip(_TRAILING).endswith(value)
    ),
    "begins_with": lambda text, value: text.lstrip("\"'").startswith(value),
    "contains": lambda text, value: value.lower() in text.lower(),
    "avoids": lambda text, value: value.lower() not in text.lower(),
    "avoids_word": lambda text, value: (
        re.search(rf"\b{re.escape(value)}\b", text, re.IGNORECASE) is None
    ),
    "json_object": lambda text, _: isinstance(_json(text), dict),
    "json_keys": lambda text, value: (
        isinstance(found := _json(text), dict) and set(found) == set(value)
    ),
    "words_at_most": lambda text, value: len(text.split()) <= value,
    "words_at_least": lambda text, value: len(text.split()) >= value,
    "hyphen_lines": lambda text, value: (
        len(_lines(text)) == value
        and all(line.lstrip().startswith("- ") for line in _lines(text))
    ),
    "quoted": lambda text, _: (
        len(text) > 1 and text.startswith('"') and text.endswith('"')
    ),
    "tagged": lambda text, value: (
        text.startswith(f"<{value}>") and text.endswith(f"</{value}>")
    ),
    "one_of": lambda text, value: text.rstrip(_TRAILING) in value,
    "bracketed_title": lambda text, _: re.search(r"\[\[[^\[\]]+\]\]", text) is not None,
    "single_exclamation": lambda text, _: (
        text.endswith("!") and len(re.findall(r"[.!?](?=\s|$)", text)) == 1
    ),
    "separated": lambda text, value: (
        value in (line.strip() for line in text.splitlines())
    ),
}
