"""Chat over the OpenAI protocol, which nearly every server and gateway speaks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.models.dialect import Dialect
from myia_sdk.certification.models.http import (
    client_options,
    key_of,
    limits,
    mapping,
    require_no_error,
    shown,
)
from myia_sdk.certification.models.protocols import ChatEvent
from myia_sdk.errors import MalformedAnswerError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import openai

    from myia_sdk.certification.models.protocols import Surroundings
    from myia_sdk.certification.request import JSON, ModelRef


def load(reference: ModelRef, surroundings: Surroundings) -> OpenAIChat:
    """Open a chat model behind an OpenAI-compatible endpoint."""
    return OpenAIChat(
        create_client(reference, surroundings),
        str(reference.model),
        parameters=mapping(reference.options.get("parameters")),
        extra=mapping(reference.options.get("extra_body")),
    )


def create_client(reference: ModelRef, surroundings: Surroundings) -> openai.OpenAI:
    """Create the client of an endpoint, with the library's own retries off.

    Raises
    ------
    MissingExtraError
        The extra ``openai`` is not installed.
    ConfigurationError
        The secret that the reference names was not handed in.
    InvalidRequestError
        The model has no endpoint in this region.
    """
    try:
        import openai
    except ImportError as exc:
        raise MissingExtraError("openai", "models behind an OpenAI endpoint") from exc
    key = key_of(reference, surroundings.secrets)
    return openai.OpenAI(**client_options(openai, reference, key, surroundings.region))


class OpenAIChat:
    """A chat model behind an OpenAI-compatible endpoint.

    Parameters
    ----------
    client : openai.OpenAI
        Client with retries off: the runner counts them.
    model : str
        Name by which the endpoint knows the model.
    parameters : mapping, optional
        Of the protocol, sent with every request.
    extra : mapping, optional
        Sent with every request, for what an endpoint needs besides the protocol.
    """

    family = "chat"
    #: Tokens to add to limits, for thoughts before the answer; see ``negotiation``.
    allowance = 0

    def __init__(
        self,
        client: openai.OpenAI,
        model: str,
        *,
        parameters: Mapping[str, JSON] | None = None,
        extra: Mapping[str, JSON] | None = None,
    ) -> None:
        self._client = client
        self._extra = dict(extra or {})
        self._model = model
        self._parameters = dict(parameters or {})
        self._resolved: dict[str, JSON] = {}
        #: What the endpoint takes.
        self.dialect = Dialect()

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

    def list_models(self) -> list[str]:
        """Return the names of the models that the endpoint offers."""
        return [model.id for model in self._client.models.list().data]

    def chat(
        self,
        messages: Sequence[Mapping[str, JSON]],
        parameters: Mapping[str, JSON] | None = None,
        *,
        stream: bool = True,
        timeout: float = 60.0,
    ) -> Iterator[ChatEvent]:
        """Send one request and yield what comes back; see `ChatAdapter`."""
        body: dict[str, Any] = {
            "model": self._model,
            **self._parameters,
            **(parameters or {}),
            "messages": list(messages),
            "stream": stream,
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        import openai

        started = time.perf_counter()
        create = self._client.chat.completions.with_raw_response.create
        answer = create(
            timeout=limits(openai, timeout),
            extra_body=self._extra or None,
            **self.dialect.body(body),
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if stream and "application/json" in headers.get("content-type", ""):
            # Asked for a stream and answered whole: an error, or a simple server.
            answer.http_response.read()
            require_no_error(answer.http_response.json())
            raise MalformedAnswerError(
                f"The answer is not a stream: {shown(answer.http_response.text)}"
            )
        parsed: Any = answer.parse()
        events = _pieces(parsed) if stream else _whole(parsed)
        try:
            for event in events:
                elapsed = time.perf_counter() - started
                if elapsed > timeout:
                    raise TimeoutError(f"The answer took longer than {timeout:g} s.")
                self._remember(event)
                yield ChatEvent(elapsed=elapsed, headers=headers, **event)
        finally:
            if hasattr(parsed, "close"):
                parsed.close()

    def _remember(self, event: Mapping[str, Any]) -> None:
        if event.get("resolved_model"):
            self._resolved["model"] = event["resolved_model"]
        if event.get("fingerprint"):
            self._resolved["system_fingerprint"] = event["fingerprint"]


def _whole(answer: Any) -> Iterator[dict[str, Any]]:
    require_no_error({"error": getattr(answer, "error", None)})
    choices = getattr(answer, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise MalformedAnswerError(f"The answer has no choices: {shown(answer)}")
    choice = choices[0]
    calls = choice.message.tool_calls or ()
    yield {
        "text": choice.message.content or "",
        "thought": _thought(choice.message),
        "tool_calls": tuple(
            {"name": call.function.name, "arguments": call.function.arguments}
            for call in calls
            if getattr(call, "function", None) is not None
        ),
        "finish_reason": choice.finish_reason,
        "usage": _usage(answer),
        "resolved_model": answer.model,
        "fingerprint": answer.system_fingerprint,
        "extras": {
            "choices": len(choices),
            "logprobs": choice.logprobs is not None,
        },
    }


def _pieces(chunks: Any) -> Iterator[dict[str, Any]]:
    """Yield an event a chunk; an answer that breaks off without saying so raises."""
    if not hasattr(chunks, "__next__"):
        raise MalformedAnswerError(f"The answer is not a stream: {shown(chunks)}")
    calls: dict[int, dict[str, str]] = {}
    is_finished = False
    for chunk in chunks:
        choice = chunk.choices[0] if chunk.choices else None
        delta = choice.delta if choice else None
        _collect(calls, (delta.tool_calls if delta else None) or ())
        # Ollama's is empty until the last piece.
        reason = (choice.finish_reason if choice else None) or None
        complete = tuple(calls.values()) if reason and not is_finished else ()
        is_finished = is_finished or reason is not None
        yield {
            "text": (delta.content if delta else None) or "",
            "thought": _thought(delta),
            "tool_calls": complete,
            "finish_reason": reason,
            "usage": _usage(chunk),
            "resolved_model": chunk.model,
            "fingerprint": chunk.system_fingerprint,
        }
    if not is_finished:
        raise MalformedAnswerError("The stream ended before the answer did.")


def _thought(holder: Any) -> str:
    """Return what a model shows of its thoughts; servers have two names for it."""
    for name in ("reasoning_content", "reasoning"):
        found = getattr(holder, name, None)
        if isinstance(found, str) and found:
            return found
    return ""


def _collect(calls: dict[int, dict[str, str]], deltas: Sequence[Any]) -> None:
    for delta in deltas:
        call = calls.setdefault(delta.index, {"name": "", "arguments": ""})
        if delta.function is not None:
            call["name"] += delta.function.name or ""
            call["arguments"] += delta.function.arguments or ""


def _usage(holder: Any) -> dict[str, int] | None:
    usage = getattr(holder, "usage", None)
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens or 0,
        "completion_tokens": usage.completion_tokens or 0,
        "total_tokens": usage.total_tokens or 0,
    }
