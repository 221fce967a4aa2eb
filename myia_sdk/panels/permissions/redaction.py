"""What panels tell of a job's values: redacted first, then shortened."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)

#: Takes the name of a field and its value, returns what may be shown of it.
Redact = Callable[[str, Any], Any]

#: Longest JSON text shown of data, options or result, characters.
TEXT_LIMIT = 60_000
#: Longest text inside of a value that is too long as a whole, characters.
STRING_LIMIT = 2_000
#: What an entry costs beside its text: quotes, colon, indentation.
_ENTRY_COST = 12
_DEPTH_LIMIT = 30
MASK = "***"
#: Shown instead of a value whose redaction raised.
FAILED = "[redaction failed]"
#: Shown instead of a value of another client that Python reads but cannot walk.
TOO_DEEP = "[nested too deep to be shown]"
_SECRET_WORDS = ("password", "secret", "token", "api_key", "apikey", "credential")
#: Written instead of a value, these name a secret without telling it.
_REFERENCES = ("env:", "secret://", "file:")


class ShownJson(NamedTuple):
    """JSON text of a value as it is shown.

    Attributes
    ----------
    text : str
        Indented JSON.
    is_whole : bool
        Nothing was redacted and nothing left out: the text is the value.
    """

    text: str
    is_whole: bool


class Redaction:
    """Replaces what must not be shown, before it leaves Python.

    The values of keys that look secret are always masked; a hook comes first and
    sees the values as they are.

    Parameters
    ----------
    hook : callable, optional
        ``hook(field, value) -> value``. Fields are ``data``, ``options``, ``result``,
        ``progress`` (JSON values), and ``log`` (one line), ``error`` (the reason of a
        failure), ``stacktrace`` (one attempt), which are texts. Called on a thread of
        the panels, with a copy of the value. When it raises, the field shows
        ``[redaction failed]``.
    """

    def __init__(self, hook: Redact | None = None) -> None:
        self._hook = hook
        self._told: set[str] = set()

    def value(self, field: str, value: object) -> object:
        """Return what may be shown of a JSON value."""
        try:
            return masked(self._hooked(field, value))
        except RecursionError:
            return TOO_DEEP

    def text(self, field: str, text: str) -> str:
        """Return what may be shown of a text."""
        return text if self._hook is None else str(self._hooked(field, text))

    def json(self, field: str, value: object) -> ShownJson:
        """Return what may be shown of a JSON value, as text."""
        shown = self.value(field, value)
        try:
            found = pretty(shown)
            return found._replace(is_whole=found.is_whole and shown == value)
        except RecursionError:
            return pretty(TOO_DEEP)._replace(is_whole=False)

    def _hooked(self, field: str, value: object) -> object:
        if self._hook is None:
            return value
        try:
            return self._hook(field, deepcopy(value))
        except Exception as error:  # noqa: BLE001 - any failure hides the value
            # Without the traceback: its texts may hold the very value.
            if field not in self._told:
                self._told.add(field)
                name = type(error).__name__
                logger.warning("The redaction of %s failed with %s", field, name)
            return FAILED


def masked(value: object) -> object:
    """Return a JSON value with the values of secret-looking keys replaced.

    References to secrets (``env:NAME``) stay: they tell where, not what.
    """
    if isinstance(value, Mapping):
        return {
            str(key): MASK if _is_secret(str(key), item) else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


def _is_secret(key: str, value: object) -> bool:
    if not isinstance(value, str) or value.startswith(_REFERENCES):
        return False
    return any(word in key.lower() for word in _SECRET_WORDS)


def pretty(value: object) -> ShownJson:
    """Return indented JSON of a value, shortened where it is too long to be shown.

    What is left out is said in its place, so that the text stays JSON.
    """
    text = _to_text(value)
    if len(text) <= TEXT_LIMIT:
        return ShownJson(text, is_whole=True)
    return ShownJson(_to_text(_Shortening().of(value, 0)), is_whole=False)


def _to_text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


class _Shortening:
    """Walks a value and leaves out what exceeds :data:`TEXT_LIMIT` characters."""

    def __init__(self) -> None:
        self._left = TEXT_LIMIT

    def of(self, value: object, depth: int) -> object:
        if isinstance(value, Mapping):
            return self._mapping(value, depth + 1)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return self._sequence(value, depth + 1)
        text = str(value)
        self._left -= min(len(text), STRING_LIMIT)
        if len(text) <= STRING_LIMIT:
            return value
        return f"{text[:STRING_LIMIT]}… {len(text) - STRING_LIMIT:,} characters more"

    def _has_room(self, depth: int) -> bool:
        self._left -= _ENTRY_COST + 2 * depth
        return self._left > 0 and depth <= _DEPTH_LIMIT

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, object]:
        shown: dict[str, object] = {}
        for key, item in value.items():
            if not self._has_room(depth):
                shown["…"] = f"{len(value) - len(shown):,} entries more"
                break
            name = str(key)[:STRING_LIMIT]
            self._left -= len(name)
            shown[name] = self.of(item, depth)
        return shown

    def _sequence(self, value: Sequence[Any], depth: int) -> list[object]:
        shown: list[object] = []
        for item in value:
            if not self._has_room(depth):
                shown.append(f"… {len(value) - len(shown):,} entries more")
                break
            shown.append(self.of(item, depth))
        return shown
