"""Strict reading of JSON objects, and making values fit for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from myia_sdk.errors import MyiaError

#: What JSON can hold.
JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]

#: How much of a wrong value an error shows.
_SHOWN_CHARACTERS = 80

#: Similarity (0 to 1) from which a key is taken for a misspelt other: ``base_url`` is
#: 0.55 from ``url``.
_NEARNESS = 0.5

_MISSING = object()

_Member = TypeVar("_Member", bound=StrEnum)


class RecordReader:
    """Take the keys of one JSON object, each with its type checked.

    Parameters
    ----------
    record : mapping
        The object to read.
    where : str
        How errors call the object: ``"model"``, ``"suite.toml: check 2"``.
    error : type of MyiaError
        What is raised for a missing, wrong or unknown key.
    """

    def __init__(self, record: object, where: str, error: type[MyiaError]) -> None:
        self.where = where
        self.error = error
        if not isinstance(record, Mapping):
            raise error(
                f"{where} must be an object with named keys, "
                f"not {type(record).__name__}."
            )
        self._record: dict[object, object] = dict(record)
        self._known: list[str] = []

    def left(self) -> tuple[str, ...]:
        """Return the keys that were not taken yet."""
        return tuple(map(str, self._record))

    def text(self, key: str, default: str | None = None) -> str:
        """Take a text; without a default the key is required."""
        value = self._take(key, _MISSING if default is None else default)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a text")
        return value

    def optional_text(self, key: str) -> str | None:
        """Take a text or null; a missing key is null."""
        value = self._take(key, None)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, value, "a text or null")
        return value

    def number(self, key: str) -> float | None:
        """Take a finite number or null; a missing key is null."""
        value = self._take(key, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, value, "a number or null")
        if not math.isfinite(value):
            raise self._wrong(key, value, "a finite number")
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        """Take an integer; without a default the key is required."""
        value = self._take(key, _MISSING if default is None else default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, value, "an integer")
        return value

    def optional_integer(self, key: str) -> int | None:
        """Take an integer or null; a missing key is null."""
        value = self._take(key, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, value, "an integer or null")
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        """Take true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def mapping(self, key: str) -> dict[str, object]:
        """Take an object; a missing key or null is an empty one."""
        value = self._take(key, None)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
            raise self._wrong(key, value, "an object with named keys")
        return {str(name): item for name, item in value.items()}

    def optional_mapping(self, key: str) -> dict[str, object] | None:
        """Take an object or null; a missing key is null."""
        if self._record.get(key) is None:
            self._take(key, None)
            return None
        return self.mapping(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of texts; a missing key or null is an empty one."""
        value = self._take(key, None)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(
            isinstance(item, str) for item in value
        ):
            raise self._wrong(key, value, "a list of texts")
        return tuple(str(item) for item in value)

    def json_object(self, key: str) -> dict[str, JSON]:
        """Take an object and make it fit for JSON; a missing key is an empty one."""
        return {name: json_safe(item) for name, item in self.mapping(key).items()}

    def member(self, kind: type[_Member], key: str) -> _Member:
        """Take one of the words of an enumeration."""
        value = self.text(key)
        try:
            return kind(value)
        except ValueError:
            known = ", ".join(member.value for member in kind)
            raise self.error(
                f"{self.where}: {key!r} is {value!r}; it must be one of {known}."
            ) from None

    def items(self, key: str) -> list[object]:
        """Take a list; a missing key or null is an empty one."""
        value = self._take(key, None)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise self._wrong(key, value, "a list")
        return list(value)

    def anything(self, key: str) -> object:
        """Take whatever is there; the key is required."""
        return self._take(key, _MISSING)

    def refuse_rest(self) -> None:
        """Raise when keys are left that nobody asked for."""
        if self._record:
            raise self.error(unknown_keys(self.where, self._record, self._known))

    def _take(self, key: str, default: object) -> object:
        self._known.append(key)
        value = self._record.pop(key, default)
        if value is _MISSING:
            raise self.error(f"{self.where} lacks the key {key!r}; add it.")
        return value

    def _wrong(self, key: str, value: object, wanted: str) -> MyiaError:
        shown = repr(value)
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[: _SHOWN_CHARACTERS - 3] + "..."
        return self.error(f"{self.where}: {key!r} is {shown}; it must be {wanted}.")


def unknown_keys(where: str, keys: Iterable[object], known: Iterable[str]) -> str:
    """Say which keys are unknown, what was perhaps meant, and which there are."""
    known = list(known)
    named = []
    for key in sorted(map(str, keys)):
        near = get_close_matches(key, known, n=1, cutoff=_NEARNESS)
        named.append(f"{key!r} (did you mean {near[0]!r}?)" if near else repr(key))
    return (
        f"{where} has unknown keys: {', '.join(named)}; remove or correct them. "
        f"There are: {', '.join(known)}."
    )


def json_safe(value: object) -> JSON:
    """Turn a value into what strict JSON can hold.

    NumPy scalars and arrays become numbers and lists, NaN and the infinities
    become null, times become ISO texts, durations milliseconds, and anything
    unknown its ``str``.
    """
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, timedelta):
        return value.total_seconds() * 1000
    if isinstance(value, datetime | date):
        return value.isoformat()
    return _json_container(value)


def _json_container(value: object) -> JSON:
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    tolist = getattr(value, "tolist", None)
    if callable(tolist):
        return json_safe(tolist())
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [json_safe(item) for item in value]
    return str(value)
