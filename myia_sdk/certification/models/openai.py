"""Chat over the OpenAI protocol, which nearly every server and gateway speaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.models.dialect import Dialect
from myia_sdk.certification.models.http import (
    HttpChat,
    client_options,
    key_of,
    require_no_error,
    shown,
)
from myia_sdk.errors import EndpointError, MalformedAnswerError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import openai

    from myia_sdk.certification.models.protocols import Surroundings
    from myia_sdk.certification.request import ModelRef


def load(reference: ModelRef, surroundings: Surroundings) -> OpenAIChat:
    """Open a chat model behind an OpenAI-compatible endpoint."""
    return OpenAIChat(create_client(reference, surroundings), reference)


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


class OpenAIChat(HttpChat):
    """A chat model behind an OpenAI-compatible endpoint.

    Parameters
    ----------
    client : openai.OpenAI
        Client with retries off.
    reference : ModelRef
        The model.
    """

    def __init__(self, client: openai.OpenAI, reference: ModelRef) -> None:
        import openai

        super().__init__(openai, client, reference, Dialect())

    def list_models(self) -> list[str]:
        """Return the names of the models that the endpoint offers."""
        return [model.id for model in self._client.models.list().data]

    def _send(self, asked: dict[str, Any], limits: Any) -> Any:
        if asked["stream"]:
            asked["stream_options"] = {"include_usage": True}
        return self._client.chat.completions.with_raw_response.create(
            timeout=limits, extra_body=self._extra or None, **self.dialect.body(asked)
        )

    def _parsed(self, answer: Any, *, stream: bool) -> Any:
        kind = answer.headers.get("content-type", "")
        if stream and "application/json" in kind:
            raise _no_stream(answer.http_response)
        return answer.parse()

    def _events(self, parsed: Any, *, stream: bool) -> Iterator[dict[str, Any]]:
        return _pieces(parsed) if stream else _whole(parsed)


def _no_stream(response: Any) -> Exception:
    """Say what came in place of a stream: an error under the status of success, say."""
    content = response.read()
    try:
        require_no_error(json.loads(content))
    except EndpointError as exc:
        return exc
    except ValueError:
        pass
    text = shown(content.decode("utf-8", "replace"))
    return MalformedAnswerError(f"The answer is not a stream: {text}")


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
