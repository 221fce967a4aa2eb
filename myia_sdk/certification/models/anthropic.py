"""Chat over Anthropic's Messages API, which some other servers speak too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from myia_sdk.certification.models.dialect import Dialect
from myia_sdk.certification.models.http import (
    HttpChat,
    client_options,
    key_of,
    shown,
)
from myia_sdk.errors import MalformedAnswerError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import anthropic

    from myia_sdk.certification.models.protocols import Surroundings
    from myia_sdk.certification.request import ModelRef

#: What the protocol calls the end of an answer, in OpenAI's words.
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
#: The protocol insists on a limit; as much as an answer to any check needs.
_MOST_TOKENS = 4096
#: Fields that newer models refuse, and that say nothing of what is asked.
_OPTIONAL = ("top_p", "temperature")


def load(reference: ModelRef, surroundings: Surroundings) -> AnthropicChat:
    """Open a chat model behind an endpoint of the Messages API.

    Raises
    ------
    MissingExtraError
        The extra ``anthropic`` is not installed.
    ConfigurationError
        The secret that the reference names was not handed in.
    """
    try:
        import anthropic
    except ImportError as exc:
        raise MissingExtraError("anthropic", "models behind the Messages API") from exc
    key = key_of(reference, surroundings.secrets)
    client = anthropic.Anthropic(
        **client_options(anthropic, reference, key, surroundings.region)
    )
    return AnthropicChat(client, reference)


class AnthropicChat(HttpChat):
    """A chat model behind an endpoint of the Messages API.

    Parameters
    ----------
    client : anthropic.Anthropic
        Client with retries off.
    reference : ModelRef
        The model.
    """

    def __init__(self, client: anthropic.Anthropic, reference: ModelRef) -> None:
        import anthropic

        super().__init__(anthropic, client, reference, Dialect(optional=_OPTIONAL))

    @property
    def unsupported_parameters(self) -> frozenset[str]:
        """Parameters that the protocol has no field for, or the endpoint refused."""
        return self.dialect.absent | {"seed", "logprobs", "n"}

    def _send(self, asked: dict[str, Any], limits: Any) -> Any:
        body = messages_request(self.dialect.body(asked)) | self._extra
        # As an extra body, since the library's own signature follows newer models,
        # which no longer take what others do.
        named = {name: body.pop(name) for name in ("model", "messages", "max_tokens")}
        return self._client.messages.with_raw_response.create(
            **named, stream=asked["stream"], timeout=limits, extra_body=body or None
        )

    def _events(self, parsed: Any, *, stream: bool) -> Iterator[dict[str, Any]]:
        return _pieces(parsed) if stream else _whole(parsed)


def messages_request(given: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a request from OpenAI's words into those of the Messages API.

    Parameters the protocol has no field for are left out; checks that need them are
    skipped, see ``unsupported_parameters``.
    """
    messages = given["messages"]
    request: dict[str, Any] = {
        "model": given["model"],
        "max_tokens": given.get("max_tokens") or _MOST_TOKENS,
        "messages": [dict(one) for one in messages if one["role"] != "system"],
    }
    system = [str(one["content"]) for one in messages if one["role"] == "system"]
    if system:
        request["system"] = "\n\n".join(system)
    for name in ("temperature", "top_p"):
        if given.get(name) is not None:
            request[name] = given[name]
    stop = given.get("stop")
    if stop:
        request["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    tools = given.get("tools")
    if isinstance(tools, list):
        request["tools"] = [_tool(tool) for tool in tools]
        if given.get("tool_choice") == "required":
            request["tool_choice"] = {"type": "any"}
    form = given.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        schema = {"type": "json_schema", "schema": form["json_schema"]["schema"]}
        request["output_config"] = {"format": schema}
    return request


def _tool(tool: Any) -> dict[str, Any]:
    function = tool["function"]
    return {
        "name": function["name"],
        "description": function.get("description") or function["name"],
        "input_schema": function["parameters"],
    }


def _whole(answer: Any) -> Iterator[dict[str, Any]]:
    content = getattr(answer, "content", None)
    if not isinstance(content, list):
        raise MalformedAnswerError(f"The answer has no content: {shown(answer)}")
    yield {
        "text": "".join(block.text for block in content if block.type == "text"),
        "thought": "".join(b.thinking for b in content if b.type == "thinking"),
        "tool_calls": tuple(
            {"name": block.name, "arguments": block.input}
            for block in content
            if block.type == "tool_use"
        ),
        "finish_reason": _FINISH_REASONS.get(answer.stop_reason, answer.stop_reason),
        "usage": _usage(answer.usage, answer.usage),
        "resolved_model": answer.model,
    }


def _pieces(events: Any) -> Iterator[dict[str, Any]]:
    """Yield an event for each of the stream's that adds something."""
    if not hasattr(events, "__next__"):
        raise MalformedAnswerError(f"The answer is not a stream: {shown(events)}")
    calls: list[dict[str, Any]] = []
    first: Any = None
    is_finished = False
    for event in events:
        if event.type == "message_stop":
            # Not read to its end, so that the connection is not used again: servers
            # close it, and the next request could be sent into that.
            break
        if event.type == "message_start":
            first = event.message
            yield {"resolved_model": first.model}
        elif event.type in {"content_block_start", "content_block_delta"}:
            yield _added(event, calls)
        elif event.type == "message_delta":
            reason = event.delta.stop_reason
            is_finished = is_finished or reason is not None
            yield {
                "tool_calls": tuple(calls),
                "finish_reason": _FINISH_REASONS.get(reason, reason),
                "usage": _usage(getattr(first, "usage", None), event.usage),
            }
    if not is_finished:
        raise MalformedAnswerError("The stream ended before the answer did.")


def _added(event: Any, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the text or thought of a piece; those of tool calls are collected."""
    if event.type == "content_block_start":
        if event.content_block.type == "tool_use":
            calls.append({"name": event.content_block.name, "arguments": ""})
        return {}
    delta = event.delta
    if delta.type == "input_json_delta" and calls:
        calls[-1]["arguments"] += delta.partial_json
    return {
        "text": delta.text if delta.type == "text_delta" else "",
        "thought": delta.thinking if delta.type == "thinking_delta" else "",
    }


def _usage(asked: Any, answered: Any) -> dict[str, int]:
    prompt = int(getattr(asked, "input_tokens", 0) or 0)
    # llama.cpp's server counts the prompt at the end only.
    prompt = prompt or int(getattr(answered, "input_tokens", 0) or 0)
    completion = int(getattr(answered, "output_tokens", 0) or 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
