"""The Messages API, as llama.cpp's server speaks it with a real model's words."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.diagnosis import ErrorCategory, diagnose
from myia_sdk.certification.models.anthropic import messages_request
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import AnthropicModel, CertificationRequest
from myia_sdk.errors import ConfigurationError, MalformedAnswerError
from tests.helpers.chat_server import MODEL_NAME

C = ErrorCategory
COUNT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Count from 1 to 5"},
]
TOOL = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def reference(chat_server):
    return AnthropicModel(url=chat_server.removesuffix("/v1"), model=MODEL_NAME)


@pytest.mark.chat
def test_a_stream_says_the_same_as_a_whole_answer(reference, open_model):
    model = open_model(reference.to_ref())
    few = {"temperature": 0, "max_tokens": 12}
    events = list(model.chat(COUNT, few, timeout=120))
    (whole,) = model.chat(COUNT, few, stream=False, timeout=120)
    assert len([event for event in events if event.text]) > 2
    assert "".join(event.text for event in events) == whole.text
    assert [e.finish_reason for e in events if e.finish_reason] == ["length"]
    usage = next(event.usage for event in events if event.usage)
    assert usage == whole.usage
    assert usage["completion_tokens"] == 12
    assert usage["prompt_tokens"] > 12
    assert model.describe()["model"] == MODEL_NAME
    (stopped,) = model.chat(COUNT, {**few, "stop": ["4"]}, stream=False, timeout=120)
    assert stopped.finish_reason == "stop"
    assert "4" not in stopped.text


@pytest.mark.chat
def test_a_suite_measures_it_and_skips_what_the_protocol_has_no_field_for(reference):
    suite = {
        "suite": {"id": "messages", "version": "1", "kind": "chat"},
        "check": [
            {"id": "basic-prompt", "threshold": {"passed": 600}},
            {"id": "streaming"},
            {"id": "max-tokens"},
            {"id": "seed-determinism"},
        ],
    }
    parameters = {"request_timeout": 300}
    report = run_suite(
        CertificationRequest(
            model=reference.to_ref(), suite=suite, parameters=parameters
        )
    )
    found = {check.id: check.outcome for check in report.checks}
    assert found["basic-prompt"] is found["max-tokens"] is Outcome.PASSED
    assert found["seed-determinism"] is Outcome.SKIPPED
    assert "seed" in report.check("seed-determinism").message


def test_a_declared_ability_that_the_protocol_lacks_has_failed():
    suite = {
        "suite": {"id": "messages", "version": "1", "kind": "chat"},
        "check": [{"id": "seed-determinism"}],
    }
    with Serving([message("Hello")]) as url:
        request = CertificationRequest(
            model=AnthropicModel(url=url, model="m", abilities=["seed"]).to_ref(),
            suite=suite,
        )
        report = run_suite(request)
    (record,) = report.checks
    assert record.outcome is Outcome.FAILED
    assert "It declares 'seed'" in record.message


def message(text, **more):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 4},
        **more,
    }


class Serving:
    """A server that gives the same answers in turn, and keeps what it was asked."""

    def __init__(self, answers, status=200):
        kept = self.kept = []
        self.headers = headers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                size = int(self.headers["content-length"])
                kept.append(json.loads(self.rfile.read(size)))
                headers.append({k.lower(): v for k, v in self.headers.items()})
                answer = answers[min(len(kept), len(answers)) - 1]
                is_stream = isinstance(answer, list)
                lines = (
                    "".join(
                        f"event: {one['type']}\ndata: {json.dumps(one)}\n\n"
                        for one in answer
                    )
                    if is_stream
                    else json.dumps(answer)
                )
                self.send_response(status)
                kind = "text/event-stream" if is_stream else "application/json"
                self.send_header("content-type", kind)
                self.end_headers()
                self.wfile.write(lines.encode())

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_thoughts_and_tool_calls_come_out_of_a_stream(open_model):
    head = {**message("", content=[], stop_reason=None)}
    block = {"type": "content_block_delta", "index": 0}
    tool = {"type": "tool_use", "id": "t", "name": "add", "input": {}}
    events = [
        {"type": "message_start", "message": head},
        {**block, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_start", "index": 1, "content_block": tool},
        {**block, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
        {**block, "delta": {"type": "input_json_delta", "partial_json": " 1}"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]
    server = Serving([events, events[:4]])
    with server as url:
        model = open_model(AnthropicModel(url=url, model="claude").to_ref())
        found = list(model.chat(COUNT, {"tools": [TOOL], "tool_choice": "required"}))
        with pytest.raises(MalformedAnswerError, match="ended before"):
            list(model.chat(COUNT))
    assert "".join(event.thought for event in found) == "Hm."
    (calls,) = [event.tool_calls for event in found if event.tool_calls]
    assert calls == ({"name": "add", "arguments": '{"a": 1}'},)
    assert found[-1].finish_reason == "tool_calls"
    assert found[-1].usage["total_tokens"] == 12
    asked = server.kept[0]
    assert asked["system"] == "Be brief."
    assert asked["tool_choice"] == {"type": "any"}
    assert asked["tools"][0]["input_schema"] == TOOL["function"]["parameters"]


def test_a_temperature_that_is_refused_is_left_out_and_said(open_model):
    """Newer models take none."""

    answers = [
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "`temperature` is deprecated for this model.",
            },
        }
    ]
    server = Serving(answers, status=400)
    with server as url:
        model = open_model(AnthropicModel(url=url, model="claude").to_ref())
        with pytest.raises(Exception, match="deprecated") as caught:
            list(model.chat(COUNT, {"temperature": 0}))
        sent = {"temperature": 0, "messages": COUNT}
        assert model.dialect.learn(caught.value, sent)
        assert model.dialect.adaptations == (
            "temperature is not sent: the endpoint does not take it",
        )
        with pytest.raises(Exception, match="deprecated"):
            list(model.chat(COUNT, {"temperature": 0}))
    assert "temperature" in server.kept[0]
    assert "temperature" not in server.kept[1]
    assert "temperature" in model.unsupported_parameters


@pytest.mark.parametrize(
    ("status", "kind", "category", "temporary"),
    [
        (529, "overloaded_error", C.TEMPORARILY_UNAVAILABLE, True),
        (401, "authentication_error", C.AUTHENTICATION_ERROR, False),
        (404, "not_found_error", C.UNAVAILABLE, False),
        (429, "rate_limit_error", C.RATE_LIMIT, True),
    ],
)
def test_refusals_have_their_categories(open_model, status, kind, category, temporary):
    error = {"type": "error", "error": {"type": kind, "message": "no"}}
    with Serving([error], status=status) as url:
        model = open_model(AnthropicModel(url=url, model="claude").to_ref())
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the library's
            list(model.chat(COUNT))
    found = diagnose(caught.value)
    assert (found.category, found.temporary) == (category, temporary)


@pytest.mark.parametrize("header", [None, "my-key"])
def test_the_key_is_sent_once_in_the_header_that_is_wanted(open_model, header):
    server = Serving([message("Hello")])
    with server as url:
        reference = AnthropicModel(
            url=url, model="claude", secret="env:KEY", auth_header=header
        ).to_ref()
        with pytest.raises(ConfigurationError, match="'env:KEY'"):
            open_model(reference)
        model = open_model(reference, secrets={"env:KEY": "k-1"})
        list(model.chat(COUNT, stream=False))
    (carrying,) = [key for key, value in server.headers[0].items() if "k-1" in value]
    # Without our header it is the library's choice: a bearer token, or x-api-key.
    assert carrying == header or (
        header is None and carrying in {"authorization", "x-api-key"}
    )


def test_a_request_is_translated():
    schema = {"type": "object"}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert messages_request(
        {
            "model": "claude",
            "messages": COUNT,
            "stop": "x",
            "response_format": form,
            "seed": 1,
        }
    ) == {
        "model": "claude",
        "max_tokens": 4096,
        "messages": [COUNT[1]],
        "system": "Be brief.",
        "stop_sequences": ["x"],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
