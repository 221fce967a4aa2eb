"""Chat over Amazon Bedrock's Converse and ConverseStream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.models.protocols import ChatEvent
from myia_sdk.errors import ConfigurationError, MalformedAnswerError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from myia_sdk.certification.models.protocols import Surroundings
    from myia_sdk.certification.request import JSON, ModelRef

#: What the protocol calls the end of an answer, in OpenAI's words.
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_SIMPLE_PARAMETERS = {
    "max_tokens": "maxTokens",
    "temperature": "temperature",
    "top_p": "topP",
}
#: Longest wait for a connection, seconds.
_CONNECT_TIMEOUT = 10.0


def load(reference: ModelRef, surroundings: Surroundings) -> BedrockChat:
    """Open a chat model of Amazon Bedrock in one region.

    The secret, if the reference names one, is ``ACCESS_KEY:SECRET_KEY`` or
    ``ACCESS_KEY:SECRET_KEY:SESSION_TOKEN``; without it boto3 looks where it always
    does (profile, role of the machine).

    Raises
    ------
    MissingExtraError
        The extra ``bedrock`` is not installed.
    ConfigurationError
        No region is given, or the secret is not of this form.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as exc:
        raise MissingExtraError("bedrock", "models of Amazon Bedrock") from exc
    if not surroundings.region:
        raise ConfigurationError(
            f"Model {reference.name!r} is on Bedrock, which needs a region; "
            "give the request one."
        )
    session = boto3.Session(
        region_name=surroundings.region,
        **_credentials(reference, surroundings.secrets),
    )

    address = reference.url_in(surroundings.region)

    def create(timeout: float) -> Any:
        config = Config(
            retries={"total_max_attempts": 1},
            read_timeout=timeout,
            connect_timeout=min(timeout, _CONNECT_TIMEOUT),
        )
        return session.client("bedrock-runtime", endpoint_url=address, config=config)

    parameters: Any = reference.options.get("parameters")
    return BedrockChat(
        create, str(reference.model), surroundings.region, parameters=parameters
    )


class BedrockChat:
    """A chat model of Amazon Bedrock.

    Parameters
    ----------
    create_client : callable
        Makes a client with a read time-out in seconds; one is kept for each.
    model : str
        Model id or inference profile.
    region : str
        Region of the client.
    parameters : mapping, optional
        By OpenAI's names, sent with every request.
    """

    family = "chat"
    #: Parameters that this protocol has no field for.
    unsupported_parameters = frozenset({"seed", "response_format", "logprobs", "n"})

    def __init__(
        self,
        create_client: Callable[[float], Any],
        model: str,
        region: str,
        *,
        parameters: Mapping[str, JSON] | None = None,
    ) -> None:
        self._create_client = create_client
        self._model = model
        self._region = region
        self._parameters = dict(parameters or {})
        self._clients: dict[float, Any] = {}
        self._resolved: dict[str, JSON] = {}

    def describe(self) -> dict[str, JSON]:
        """Say what is asked: the protocol does not tell which model answered."""
        return {
            "requested_model": self._model,
            "aws_region": self._region,
            **self._resolved,
        }

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def chat(
        self,
        messages: Sequence[Mapping[str, JSON]],
        parameters: Mapping[str, JSON] | None = None,
        *,
        stream: bool = True,
        timeout: float = 60.0,
    ) -> Iterator[ChatEvent]:
        """Send one request and yield what comes back; see `ChatAdapter`."""
        request = converse_request(
            self._model, messages, {**self._parameters, **(parameters or {})}
        )
        client = self._clients.get(timeout)
        if client is None:
            client = self._clients[timeout] = self._create_client(timeout)
        started = time.perf_counter()
        if stream:
            answer = client.converse_stream(**request)
            events = _pieces(answer["stream"])
        else:
            answer = client.converse(**request)
            events = _whole(answer)
        headers = dict(answer["ResponseMetadata"].get("HTTPHeaders", {}))
        try:
            for event in events:
                elapsed = time.perf_counter() - started
                if elapsed > timeout:
                    raise TimeoutError(f"The answer took longer than {timeout:g} s.")
                yield ChatEvent(elapsed=elapsed, headers=headers, **event)
        finally:
            if stream:
                answer["stream"].close()


def converse_request(
    model: str,
    messages: Sequence[Mapping[str, JSON]],
    parameters: Mapping[str, JSON],
) -> dict[str, Any]:
    """Translate a request from OpenAI's words into Converse's.

    Parameters the protocol has no field for are left out; checks that need them are
    skipped, see ``unsupported_parameters``.
    """
    request: dict[str, Any] = {
        "modelId": parameters.get("model", model),
        "messages": [
            {"role": message["role"], "content": [{"text": message["content"]}]}
            for message in messages
            if message["role"] != "system"
        ],
    }
    system = [m["content"] for m in messages if m["role"] == "system"]
    if system:
        request["system"] = [{"text": text} for text in system]
    inference = {
        theirs: parameters[ours]
        for ours, theirs in _SIMPLE_PARAMETERS.items()
        if parameters.get(ours) is not None
    }
    stop = parameters.get("stop")
    if stop:
        inference["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if inference:
        request["inferenceConfig"] = inference
    tools = parameters.get("tools")
    if isinstance(tools, list):
        request["toolConfig"] = {"tools": [_tool(tool) for tool in tools]}
        if parameters.get("tool_choice") == "required":
            request["toolConfig"]["toolChoice"] = {"any": {}}
    return request


def _tool(tool: Any) -> dict[str, Any]:
    function = tool["function"]
    return {
        "toolSpec": {
            "name": function["name"],
            "description": function.get("description") or function["name"],
            "inputSchema": {"json": function["parameters"]},
        }
    }


def _whole(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        content = answer["output"]["message"]["content"]
        reason = answer["stopReason"]
    except (KeyError, TypeError) as exc:
        raise MalformedAnswerError(f"The answer lacks {exc}.") from exc
    yield {
        "text": "".join(block.get("text", "") for block in content),
        "tool_calls": tuple(
            {"name": block["toolUse"]["name"], "arguments": block["toolUse"]["input"]}
            for block in content
            if "toolUse" in block
        ),
        "finish_reason": _FINISH_REASONS.get(reason, reason),
        "usage": _usage(answer.get("usage")),
    }


def _pieces(stream: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    is_finished = False
    for event in stream:
        start = event.get("contentBlockStart", {}).get("start", {}).get("toolUse")
        if start:
            calls.append({"name": start["name"], "arguments": ""})
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        if "toolUse" in delta and calls:
            calls[-1]["arguments"] += delta["toolUse"].get("input", "")
        reason = event.get("messageStop", {}).get("stopReason")
        is_finished = is_finished or reason is not None
        yield {
            "text": delta.get("text", ""),
            "tool_calls": tuple(calls) if reason else (),
            "finish_reason": _FINISH_REASONS.get(reason, reason),
            "usage": _usage(event.get("metadata", {}).get("usage")),
        }
    if not is_finished:
        raise MalformedAnswerError("The stream ended before the answer did.")


def _usage(usage: Mapping[str, int] | None) -> dict[str, int] | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.get("inputTokens", 0),
        "completion_tokens": usage.get("outputTokens", 0),
        "total_tokens": usage.get("totalTokens", 0),
    }


def _credentials(reference: ModelRef, secrets: Mapping[str, str]) -> dict[str, str]:
    if reference.secret is None:
        return {}
    parts = secrets.get(reference.secret, "").split(":")
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    if len(parts) not in {2, 3} or not all(parts):
        raise ConfigurationError(
            f"The secret {reference.secret!r} of model {reference.name!r} is not set "
            "or not of the form ACCESS_KEY:SECRET_KEY[:SESSION_TOKEN]; "
            "correct this environment variable of the worker."
        )
    return dict(zip(names, parts, strict=False))
