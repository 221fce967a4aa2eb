"""Options of each kind of model: which there are, and what they may be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from myia_sdk.certification.request.records import RecordReader
from myia_sdk.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from myia_sdk.certification.request.records import JSON

_OF_HTTP = (
    *("prices", "region_urls", "default_headers", "default_query", "extra_body"),
    *("auth_header", "ca_file", "proxy"),
)
_OF_CHAT = ("abilities", "context_window", "parameters")
#: Options of each kind; one that is missing here takes any, for its factory.
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("scikit-learn",),
    "onnx": ("classes", "scores", "fixed"),
    "xgboost": ("classes",),
    "lightgbm": ("classes",),
    "catboost": ("classes",),
    "predictions": (),
    "openai": (*_OF_CHAT, *_OF_HTTP, "api_version"),
    "anthropic": (*_OF_CHAT, *_OF_HTTP),
    "bedrock": (*_OF_CHAT, "prices", "region_urls"),
    "openai-embedding": ("dimensions", "unit_norm", *_OF_HTTP, "api_version"),
}
#: Those that the checks read, of models that a factory makes too.
_OF_CHECKS = ("abilities", "classes", "context_window", "dimensions", "prices")
_PRICES = ("prompt", "completion")
#: Headers and fields that carry credentials.
_SECRET_NAME = re.compile(
    r"authorization|cookie|password|secret|token$|api[-_]?key|credential", re.IGNORECASE
)


def require_options(kind: str, options: Mapping[str, JSON]) -> None:
    """Refuse options that are unknown or wrong, or that carry a credential.

    Raises
    ------
    InvalidRequestError
        The message names the option, and what it must be.
    """
    where = f"'options' of a model of kind {kind!r}"
    reader = RecordReader(options, where, InvalidRequestError)
    known = _OPTIONS.get(kind)
    for name in _OF_CHECKS if known is None else known:
        _READERS[name](reader, name)
    if known is not None:
        reader.refuse_rest()


def require_url(url: str) -> None:
    """Refuse an address that is none, or that carries a credential.

    Raises
    ------
    InvalidRequestError
        What is wrong; the address itself is not repeated.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidRequestError(
            "The model's 'url' must start with http:// or https:// and name a host."
        )
    if parts.username or parts.password:
        raise InvalidRequestError(
            "The model's 'url' contains credentials; put them into an environment "
            "variable of the worker and name it in 'secret'."
        )


def _count(reader: RecordReader, name: str) -> None:
    value = reader.optional_integer(name)
    if value is not None and value < 1:
        raise InvalidRequestError(
            f"{reader.where}: {name!r} is {value}; it must be more than 0."
        )


def _numbers(reader: RecordReader, name: str) -> dict[str, float]:
    inner = RecordReader(
        reader.mapping(name), f"{reader.where}: {name!r}", InvalidRequestError
    )
    return {key: inner.number(key) or 0.0 for key in inner.left()}


def _prices(reader: RecordReader, name: str) -> None:
    found = _numbers(reader, name)
    wrong = [key for key in found if key not in _PRICES or found[key] < 0]
    if wrong:
        raise InvalidRequestError(
            f"{reader.where}: {name!r} is {found}; give {{'prompt': ..., "
            "'completion': ...}, per million tokens, 0 or more each."
        )


def _urls(reader: RecordReader, name: str) -> None:
    for url in reader.mapping(name).values():
        require_url(str(url))


def _plain(reader: RecordReader, name: str) -> None:
    """Keep credentials out of what travels in the job."""
    given = reader.mapping(name)
    secret = next((key for key in given if _SECRET_NAME.search(key)), None)
    if secret is not None:
        raise InvalidRequestError(
            f"The option {name!r} names {secret!r}, which looks like a credential; "
            "give secret='env:NAME', and the name of its header as the option "
            "'auth_header'."
        )


def _proxy(reader: RecordReader, name: str) -> None:
    if "@" in (reader.optional_text(name) or ""):
        raise InvalidRequestError(
            "The option 'proxy' contains credentials; use a proxy that needs none of "
            "the worker."
        )


def _scores(reader: RecordReader, name: str) -> None:
    value = reader.optional_text(name)
    if value not in {None, "logits", "probabilities"}:
        raise InvalidRequestError(
            f"{reader.where}: {name!r} is {value!r}; it must be 'logits' or "
            "'probabilities'."
        )


_READERS: Mapping[str, Callable[[RecordReader, str], object]] = {
    "abilities": RecordReader.texts,
    "api_version": RecordReader.optional_text,
    "auth_header": RecordReader.optional_text,
    "ca_file": RecordReader.optional_text,
    "classes": RecordReader.items,
    "context_window": _count,
    "default_headers": _plain,
    "default_query": _plain,
    "dimensions": _count,
    "extra_body": _plain,
    "fixed": _numbers,
    "parameters": RecordReader.mapping,
    "prices": _prices,
    "proxy": _proxy,
    "region_urls": _urls,
    "scikit-learn": RecordReader.optional_text,
    "scores": _scores,
    "unit_norm": lambda reader, name: reader.boolean(name, default=False),
}
