"""Values that travel as JSON: what is accepted, and how it is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping

from myia_sdk.errors import InvalidJobError, PayloadTooLargeError

#: Default limit of a job's data, bytes of UTF-8 JSON: a job that large is still
#: moved in about a millisecond; models and datasets belong into the artifact store.
DEFAULT_PAYLOAD_LIMIT = 1024 * 1024
#: Deepest nesting accepted; Python's own JSON reader gives up near 1,000.
MAX_DEPTH = 200
#: Integers beyond a double cannot be numbers for JavaScript clients.
_MAX_INTEGER_BITS = 1023
_SHORT = 60


def encode_json(value: object, *, limit: int | None = None) -> str:
    """Return `value` as compact JSON that every client of the queue can read.

    Parameters
    ----------
    value : object
        Mappings with text keys, lists, tuples (which come back as lists), text,
        numbers, booleans and ``None``.
    limit : int, optional
        Greatest size accepted, bytes of UTF-8.

    Raises
    ------
    InvalidJobError
        Some part is not JSON; the message names its path, for example
        ``$.parameters.rate``.
    PayloadTooLargeError
        The text is longer than `limit`.
    """
    _check(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if limit is not None:
        size = len(text) if text.isascii() else len(text.encode())
        if size > limit:
            raise PayloadTooLargeError(size, limit)
    return text


def check_text(text: object, what: str) -> str:
    """Return `text`, or raise when it is not text that UTF-8 can carry."""
    if not isinstance(text, str):
        raise InvalidJobError(f"{what} is {type(text).__name__}, not text: {text!r}.")
    reason = _text_problem(text)
    if reason:
        raise InvalidJobError(f"{what} {reason}: {text!r}.")
    return text


def printable(text: str) -> str:
    """Return `text` with what UTF-8 cannot carry replaced by ``?``."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _check(value: object) -> None:
    """Walk without recursion: nesting is the sender's to choose."""
    waiting: list[tuple[object, str, int]] = [(value, "$", 0)]
    while waiting:
        item, path, depth = waiting.pop()
        if type(item) is str and item.isascii():
            continue
        if isinstance(item, (dict, list, tuple, Mapping)):
            if depth >= MAX_DEPTH:
                raise InvalidJobError(
                    f"The job data nest deeper than {MAX_DEPTH} levels at {path[:200]}."
                )
            waiting.extend((part, name, depth + 1) for part, name in _parts(item, path))
        else:
            reason = _problem(item)
            if reason:
                raise InvalidJobError(
                    f"The job data cannot travel as JSON: {path} {reason}."
                )


def _parts(item: object, path: str) -> Iterator[tuple[object, str]]:
    if isinstance(item, dict):
        for key, part in item.items():
            if not isinstance(key, str) or _text_problem(key):
                raise InvalidJobError(
                    f"The job data cannot travel as JSON: {path} has the key {key!r}, "
                    "and keys must be text."
                )
            yield part, f"{path}.{key}"
    elif isinstance(item, list | tuple):
        for index, part in enumerate(item):
            yield part, f"{path}[{index}]"
    else:
        raise InvalidJobError(
            f"The job data cannot travel as JSON: {path} is "
            f"{type(item).__name__}; pass a dict."
        )


def _problem(item: object) -> str:
    if item is None or isinstance(item, bool):
        return ""
    if isinstance(item, str):
        return _text_problem(item)
    if isinstance(item, int):
        return "is too large a number" if item.bit_length() > _MAX_INTEGER_BITS else ""
    if isinstance(item, float):
        return "" if math.isfinite(item) else f"is {item!r}, which JSON does not have"
    return f"is {type(item).__name__} ({_short(item)}), which is not a JSON type"


def _text_problem(text: str) -> str:
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is not text"
    return ""


def _short(item: object) -> str:
    try:
        text = repr(item)
    except Exception:  # noqa: BLE001 - a foreign __repr__ may raise anything
        return "whose repr fails"
    return text if len(text) <= _SHORT else text[: _SHORT - 3] + "..."
