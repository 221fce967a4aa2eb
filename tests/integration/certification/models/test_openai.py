"""The adapter reports what a real server sends, when it comes, and why it does not."""

from __future__ import annotations

import http.server
import threading

import openai
import pytest

from myia_sdk.certification.diagnosis import ErrorCategory, diagnose
from myia_sdk.certification.request import ModelRef
from myia_sdk.errors import (
    ConfigurationError,
    InvalidRequestError,
    MalformedAnswerError,
)
from tests.helpers.chat_server import MODEL_NAME

pytestmark = pytest.mark.chat

HELLO = [{"role": "user", "content": "Count from 1 to 5"}]
FEW = {"temperature": 0, "max_tokens": 12}
C = ErrorCategory
#: What an adapter raises: the library's errors, the system's, and malformed answers.
FAULTS = (openai.OpenAIError, OSError, ValueError)


def collect(model, messages=HELLO, parameters=FEW, **options):
    return list(model.chat(messages, parameters, timeout=120, **options))


def test_a_stream_comes_in_pieces_with_times_usage_and_the_models_own_facts(
    chat_reference, open_model
):
    model = open_model(chat_reference())
    events = collect(model)
    texts = [event for event in events if event.text]
    assert len(texts) > 2
    times = [event.elapsed for event in events]
    assert times == sorted(times)
    assert [e.finish_reason for e in events if e.finish_reason] == ["length"]
    usage = next(event.usage for event in events if event.usage)
    assert usage["completion_tokens"] == 12
    assert usage["total_tokens"] == usage["prompt_tokens"] + 12
    assert events[0].headers["content-type"].startswith("text/event-stream")
    described = model.describe()
    assert described["requested_model"] == described["model"] == MODEL_NAME
    assert described["system_fingerprint"]

    (whole,) = collect(model, stream=False)
    assert whole.text == "".join(event.text for event in events)
    assert whole.usage == usage
    assert whole.finish_reason == "length"
    assert whole.extras == {"choices": 1, "logprobs": False}


@pytest.mark.parametrize("stream", [True, False])
def test_the_server_s_refusals_have_their_categories(
    chat_reference, chat_server, open_model, stream
):
    def diagnosis(reference, parameters=FEW, messages=HELLO):
        with pytest.raises(FAULTS) as caught:
            collect(open_model(reference), messages, parameters, stream=stream)
        return diagnose(caught.value)

    wrong_type = diagnosis(chat_reference(), {"temperature": "hot"})
    assert (wrong_type.category, wrong_type.status) == (C.CONFIGURATION_ERROR, 400)
    oversize = diagnosis(
        chat_reference(), FEW, [{"role": "user", "content": "word " * 3000}]
    )
    assert (oversize.category, oversize.status) == (C.CONFIGURATION_ERROR, 400)
    wrong_route = diagnosis(chat_reference(url=f"{chat_server}/nowhere"))
    assert (wrong_route.category, wrong_route.temporary) == (C.UNAVAILABLE, False)
    nobody = diagnosis(chat_reference(url="http://127.0.0.1:9/v1"))
    assert (nobody.category, nobody.temporary) == (C.NETWORK_ERROR, True)


def test_a_request_that_takes_too_long_is_given_up(chat_reference, open_model):
    model = open_model(chat_reference())
    with pytest.raises(FAULTS) as caught:
        list(model.chat(HELLO, {"max_tokens": 200}, timeout=0.02))
    assert diagnose(caught.value).category is C.TIMEOUT


def test_a_secret_is_taken_from_what_is_handed_in_and_shown_nowhere(
    chat_reference, faulty_server, open_model
):
    url = faulty_server(AIMOCK_API_KEYS="the-right-key")
    reference = chat_reference(url=url, secret="env:CHAT_KEY")
    with pytest.raises(ConfigurationError, match="CHAT_KEY"):
        open_model(reference)
    model = open_model(reference, secrets={"env:CHAT_KEY": "sk-wrong-key"})
    with pytest.raises(FAULTS) as caught:
        collect(model)
    assert diagnose(caught.value).category is C.AUTHENTICATION_ERROR
    for shown in (repr(model), repr(reference), str(model.describe())):
        assert "sk-wrong-key" not in shown


def test_each_region_has_its_endpoint(chat_reference, chat_server, open_model):
    urls = {"eu": chat_server, "us": "http://127.0.0.1:9/v1"}
    reference = chat_reference(url=None, options={"region_urls": urls})
    assert collect(open_model(reference, region="eu"))
    with pytest.raises(FAULTS) as caught:
        collect(open_model(reference, region="us"))
    assert diagnose(caught.value).category is C.NETWORK_ERROR
    with pytest.raises(InvalidRequestError, match="no endpoint in region 'asia'"):
        open_model(reference, region="asia")
    templated = chat_reference(url="http://{region}.example/v1")
    with pytest.raises(InvalidRequestError, match="depends on the region"):
        open_model(templated)


BROKEN_ANSWERS = {
    "no json": ("application/json", b"<html>busy</html>"),
    "a page": ("text/html", b"<html>busy</html>"),
    "another object": ("application/json", b'{"status": "ok"}'),
    "no choices": ("application/json", b'{"choices": [], "model": "m"}'),
    "a cut stream": (
        "text/event-stream",
        b'data: {"choices": [{"index": 0, "delta": {"content": "1"}}]}\n\n',
    ),
    "an empty stream": ("text/event-stream", b"data: [DONE]\n\n"),
    "a broken stream": ("text/event-stream", b"data: {oops\n\n"),
}


@pytest.fixture(scope="module")
def broken_server():
    """A server whose answers break the protocol, each under its own path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            name = self.path.split("/")[1].replace("%20", " ")
            kind, body = BROKEN_ANSWERS[name]
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", BROKEN_ANSWERS)
def test_an_answer_against_the_protocol_is_never_an_answer(
    broken_server, open_model, name
):
    url = f"{broken_server}/{name.replace(' ', '%20')}"
    model = open_model(ModelRef(kind="openai", name="m", url=url, model="m"))
    with pytest.raises(FAULTS) as caught:
        collect(model, stream="stream" in name)
    diagnosis = diagnose(caught.value)
    assert diagnosis.category is C.UNKNOWN_ERROR
    assert diagnosis.temporary
    assert isinstance(caught.value, MalformedAnswerError | ValueError)
