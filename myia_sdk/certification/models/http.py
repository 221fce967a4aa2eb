"""What all endpoints over HTTP share: keys, authorities, proxies, time-outs."""

from __future__ import annotations

import json
import ssl
import time
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.models.protocols import ChatEvent
from myia_sdk.errors import ConfigurationError, EndpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from myia_sdk.certification.models.dialect import Dialect
    from myia_sdk.certification.request import JSON, ModelRef

#: Sent where an endpoint asks for no key: the libraries refuse to send none.
_NO_KEY = "none"
_CONNECT_SECONDS = 10.0
#: How much of an answer that cannot be read is shown.
_SHOWN_CHARACTERS = 120


class HttpChat:
    """A chat model behind an endpoint; each protocol sends and reads in its own way.

    Parameters
    ----------
    library : module
        ``openai`` or ``anthropic``.
    client : object
        The library's client, with retries off: the runner counts them.
    reference : ModelRef
        The model; its options ``parameters`` and ``extra_body`` are sent with every
        request, the first by OpenAI's names, the second as they are.
    dialect : Dialect
        What the endpoint takes.
    """

    family = "chat"
    #: Tokens to add to limits, for thoughts before the answer; see ``negotiation``.
    allowance = 0

    def __init__(
        self, library: Any, client: Any, reference: ModelRef, dialect: Dialect
    ) -> None:
        self._library = library
        self._client = client
        self._model = str(reference.model)
        self._parameters = mapping(reference.options.get("parameters"))
        self._extra = mapping(reference.options.get("extra_body"))
        self._resolved: dict[str, JSON] = {}
        self.dialect = dialect

    @property
    def unsupported_parameters(self) -> frozenset[str]:
        """Parameters that the endpoint was found not to take."""
        return self.dialect.absent

    def describe(self) -> dict[str, JSON]:
        """Say which model answered last, and what is sent to it otherwise."""
        facts: dict[str, JSON] = {"requested_model": self._model, **self._resolved}
        if self.dialect.adaptations:
            facts["adaptations"] = list(self.dialect.adaptations)
        return facts

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def chat(
        self,
        messages: Sequence[Mapping[str, JSON]],
        parameters: Mapping[str, JSON] | None = None,
        *,
        stream: bool = True,
        timeout: float = 60.0,
    ) -> Iterator[ChatEvent]:
        """Send one request and yield what comes back; see `ChatAdapter`."""
        asked: dict[str, Any] = {
            "model": self._model,
            **self._parameters,
            **(parameters or {}),
            "messages": list(messages),
            "stream": stream,
        }
        # A connection gets less time than an answer: a host that is away stays so.
        limits = self._library.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))
        started = time.perf_counter()
        answer = self._send(asked, limits)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        parsed = self._parsed(answer, stream=stream)
        try:
            for event in self._events(parsed, stream=stream):
                elapsed = time.perf_counter() - started
                if elapsed > timeout:
                    raise TimeoutError(f"The answer took longer than {timeout:g} s.")
                self._remember(event)
                yield ChatEvent(elapsed=elapsed, headers=headers, **event)
        finally:
            if hasattr(parsed, "close"):
                parsed.close()

    def _send(self, asked: dict[str, Any], limits: Any) -> Any:
        """Send a request of OpenAI's words and return the library's raw answer."""
        raise NotImplementedError

    def _parsed(self, answer: Any, *, stream: bool) -> Any:  # noqa: ARG002
        """Return the library's answer, or its stream."""
        return answer.parse()

    def _events(self, parsed: Any, *, stream: bool) -> Iterator[dict[str, Any]]:
        """Yield the fields of each `ChatEvent`, as they come."""
        raise NotImplementedError

    def _remember(self, event: Mapping[str, Any]) -> None:
        if event.get("resolved_model"):
            self._resolved["model"] = event["resolved_model"]
        if event.get("fingerprint"):
            self._resolved["system_fingerprint"] = event["fingerprint"]


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


def mapping(value: JSON) -> dict[str, JSON]:
    """Return an option that is an object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def shown(answer: object) -> str:
    """Return the beginning of an answer that could not be read."""
    text = answer if isinstance(answer, str) else json.dumps(answer, default=str)
    return text[:_SHOWN_CHARACTERS]
