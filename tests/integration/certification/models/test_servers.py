"""What servers that people use send, kept as files, is read as it is meant.

llama.cpp's server is asked itself, see ``test_openai`` and ``test_anthropic``.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.models import load_model
from myia_sdk.certification.request import ChatModel
from myia_sdk.errors import MalformedAnswerError

HELLO = [{"role": "user", "content": "Hello"}]
KEPT = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in Path(__file__).parent.joinpath("servers").glob("*.json")
}
ERRORS = [
    pytest.param(server, what, id=f"{server}: {what}")
    for server, kept in sorted(KEPT.items())
    for what in kept["errors"]
]


@contextlib.contextmanager
def sending(status: int, kind: str, content: bytes) -> Iterator[Any]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(content)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    model = load_model(ChatModel(url=url, model="m").to_ref())
    try:
        yield model
    finally:
        model.close()
        server.shutdown()
        server.server_close()
        thread.join()


def streaming(lines: list[str]) -> Any:
    content = "".join(f"{line}\n\n" for line in lines).encode()
    return sending(200, "text/event-stream", content)


def test_every_server_is_kept():
    assert sorted(KEPT) == ["lm_studio", "ollama", "openrouter", "vllm"]


@pytest.mark.parametrize("server", sorted(KEPT))
def test_a_stream_is_read_as_it_is_meant(server):
    kept = KEPT[server]
    with streaming(kept["stream"]) as model:
        events = list(model.chat(HELLO))
    assert {
        "text": "".join(event.text for event in events),
        "thought": "".join(event.thought for event in events),
        "finish_reason": next(e.finish_reason for e in events if e.finish_reason),
        "completion_tokens": next(
            (e.usage["completion_tokens"] for e in events if e.usage), None
        ),
    } == kept["expected"]


@pytest.mark.parametrize("server", sorted(KEPT))
def test_a_stream_that_breaks_off_is_noticed(server):
    """Ollama's pieces have a reason for the end that is empty: it is none."""
    lines = KEPT[server]["stream"]
    first = next(place for place, line in enumerate(lines) if "lo" in line)
    with streaming(lines[: first + 1]) as model, pytest.raises(MalformedAnswerError):
        list(model.chat(HELLO))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("server", "what"), ERRORS)
def test_an_error_has_its_category_and_its_words(server, what, stream):
    kept = KEPT[server]["errors"][what]
    content = json.dumps(kept["body"]).encode()
    with (
        sending(kept["status"], "application/json", content) as model,
        pytest.raises(Exception) as caught,  # noqa: PT011 - any library's
    ):
        list(model.chat(HELLO, stream=stream))
    assert diagnose(caught.value).category.value == kept["category"]
    body = kept["body"]
    error = body.get("error", body)
    words = error if isinstance(error, str) else error["message"]
    assert words[:40] in str(caught.value)


@pytest.mark.parametrize("content", [b'{"id": "1", "choices": []}', b"not even JSON"])
def test_an_answer_in_place_of_a_stream_is_shown(content):
    with (
        sending(200, "application/json", content) as model,
        pytest.raises(MalformedAnswerError, match="is not a stream") as caught,
    ):
        list(model.chat(HELLO))
    assert content.decode() in str(caught.value)


def test_an_error_within_a_stream_is_no_empty_answer():
    with (
        streaming(KEPT["openrouter"]["in_stream"]) as model,
        pytest.raises(Exception, match="request limit reached") as caught,
    ):
        list(model.chat(HELLO))
    found = diagnose(caught.value)
    assert (found.status, found.temporary) == (502, True)
