"""What all endpoints over HTTP share: keys, authorities, proxies, time-outs."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import ConfigurationError, EndpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from myia_sdk.certification.request import JSON, ModelRef

#: Sent where an endpoint asks for no key: the libraries refuse to send none.
_NO_KEY = "none"
_CONNECT_SECONDS = 10.0
#: How much of an answer that cannot be read is shown.
_SHOWN_CHARACTERS = 120


def client_options(
    library: ModuleType, reference: ModelRef, key: str, region: str | None
) -> dict[str, Any]:
    """Return how the client of a library is made, with its own retries off.

    Parameters
    ----------
    library : module
        ``openai`` or ``anthropic``, whose clients take the same.
    reference : ModelRef
        The model.
    key : str
        Its key.
    region : str or None
        Where it is asked.

    Raises
    ------
    ConfigurationError
        The authority cannot be read.
    InvalidRequestError
        The model has no endpoint in this region.
    """
    options = reference.options
    query = mapping(options.get("default_query"))
    if options.get("api_version"):
        query = {**query, "api-version": options["api_version"]}
    return {
        "api_key": key,
        "base_url": reference.url_in(region),
        "max_retries": 0,
        "default_headers": mapping(options.get("default_headers")) or None,
        "default_query": query or None,
        "http_client": _http_client(library, options, key),
    }


def _http_client(library: Any, options: Mapping[str, JSON], key: str) -> Any:
    """Return a client for what the library's own has no setting for.

    An authority of the endpoint's own, a proxy, or another header for the key.
    """
    authority, proxy = options.get("ca_file"), options.get("proxy")
    header = options.get("auth_header")
    if not (authority or proxy or header):
        return None
    try:
        trust = ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError as exc:
        raise ConfigurationError(
            f"The option 'ca_file' is {authority!r}, which cannot be read on this "
            f"worker: {exc}."
        ) from exc

    def sign(request: Any) -> None:
        for usual in ("authorization", "x-api-key"):
            request.headers.pop(usual, None)
        request.headers[str(header)] = key

    return library.DefaultHttpxClient(
        verify=trust,
        proxy=str(proxy) if proxy else None,
        event_hooks={"request": [sign] if header else []},
    )


def key_of(reference: ModelRef, secrets: Mapping[str, str]) -> str:
    """Return the key that a reference names.

    Raises
    ------
    ConfigurationError
        It was not handed in.
    """
    if reference.secret is None:
        return _NO_KEY
    value = secrets.get(reference.secret)
    if not value:
        raise ConfigurationError(
            f"The secret {reference.secret!r} of model {reference.name!r} is not set; "
            "set this environment variable for the worker."
        )
    return value


def require_no_error(answer: object) -> None:
    """Raise the error that an endpoint gave under the status of success.

    Raises
    ------
    EndpointError
        There is one.
    """
    error = answer.get("error") if isinstance(answer, dict) else None
    if not error:
        return
    if not isinstance(error, dict):
        raise EndpointError(shown(error))
    code = error.get("code")
    raise EndpointError(
        shown(error.get("message") or error), code=None if code is None else str(code)
    )


def limits(library: Any, timeout: float) -> Any:
    """Give a connection less time than an answer: a host that is away stays so."""
    return library.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))


def mapping(value: JSON) -> dict[str, JSON]:
    """Return an option that is an object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def shown(answer: object) -> str:
    """Return the beginning of an answer that could not be read."""
    text = answer if isinstance(answer, str) else json.dumps(answer, default=str)
    return text[:_SHOWN_CHARACTERS]
