"""A server of the OpenAI protocol with the habits of those that people use.

It answers in front of nothing: what it says is fixed, so that only what it refuses, and
how, is under test. The texts of refusals are those that the services themselves send.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Habits:
    """What a server refuses, and what it adds."""

    #: Given the body and the headers, returns status and error, or None to answer.
    refuse: Callable[[dict[str, Any], dict[str, str]], tuple[int, Any] | None] = (
        lambda body, headers: None
    )
    text: str = "One two three four five six seven eight nine ten"
    #: Tokens of thought before the text; shown under this name.
    thoughts: int = 0
    thought_field: str = "reasoning_content"
    with_usage: bool = True
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    delay: float = 0.0


def unsupported(name: str, instead: str = "") -> dict[str, Any]:
    """The error of OpenAI's reasoning models for a parameter."""
    hint = f" Use '{instead}' instead." if instead else ""
    text = f"Unsupported parameter: '{name}' is not supported with this model.{hint}"
    error = {"message": text, "type": "invalid_request_error", "param": name}
    return {"error": {**error, "code": "unsupported_parameter"}}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    habits: Habits

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:
        habits = self.habits
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        habits.requests.append(body)
        habits.headers.append(headers)
        habits.paths.append(self.path)
        time.sleep(habits.delay)
        refusal = habits.refuse(body, headers)
        if refusal is not None:
            self._send(*refusal)
        elif body.get("stream"):
            self._stream(body)
        else:
            self._send(200, self._whole(body))

    def _pieces(self, body: dict[str, Any]) -> tuple[list[str], list[str], str]:
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 10_000
        words = [f"{word} " for word in self.habits.text.split()]
        thoughts = ["hm "] * min(self.habits.thoughts, limit)
        room = limit - len(thoughts)
        shown = words[:room]
        return thoughts, shown, "stop" if room >= len(words) else "length"

    def _usage(self, body: dict[str, Any]) -> dict[str, Any]:
        thoughts, shown, _ = self._pieces(body)
        count = len(thoughts) + len(shown)
        return {
            "prompt_tokens": 5,
            "completion_tokens": count,
            "total_tokens": 5 + count,
        }

    def _whole(self, body: dict[str, Any]) -> dict[str, Any]:
        thoughts, shown, reason = self._pieces(body)
        message = {"role": "assistant", "content": "".join(shown)}
        if thoughts:
            message[self.habits.thought_field] = "".join(thoughts)
        choice = {"index": 0, "message": message, "finish_reason": reason}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        usage = {"usage": self._usage(body)} if self.habits.with_usage else {}
        return {**answer, "choices": [choice], **usage}

    def _stream(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        thoughts, shown, reason = self._pieces(body)
        deltas = [{self.habits.thought_field: one} for one in thoughts]
        deltas += [{"content": one} for one in shown]
        for delta in deltas:
            self._event(delta, None)
        self._event({}, reason)
        if (body.get("stream_options") or {}).get("include_usage"):
            self._line({"choices": [], "usage": self._usage(body)})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, delta: dict[str, Any], reason: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self._line({"choices": [choice]})

    def _line(self, part: dict[str, Any]) -> None:
        head = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
        }
        self.wfile.write(f"data: {json.dumps({**head, **part})}\n\n".encode())
        self.wfile.flush()

    def _send(self, status: int, content: Any) -> None:
        is_text = isinstance(content, str)
        data = (content if is_text else json.dumps(content)).encode()
        self.send_response(status)
        kind = "text/html" if is_text else "application/json"
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def serving_habits(habits: Habits, certificate: Path | None = None) -> Iterator[str]:
    """Serve until the block ends; yields the base URL, ``http://.../v1``.

    With a certificate, a PEM file of it and its key, over TLS.
    """
    handler = type("Handler", (_Handler,), {"habits": habits})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate is not None:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(certificate)
        server.socket = trust.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        scheme = "http" if certificate is None else "https"
        yield f"{scheme}://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
