"""The served board over real HTTP and websockets, in a process of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import Message

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from myia_sdk.board.app import load_redact
from myia_sdk.board.gate import FAILURES_ALLOWED, Gate
from myia_sdk.errors import ConfigurationError
from myia_sdk.queue.jobs import NewJob
from tests.conftest import free_port
from tests.helpers.coroutines import run_coroutine
from tests.helpers.panel_probe import TOKEN, Jobs

PASSWORD = "right-password"
#: Seconds that a process or an answer may take on a busy machine.
PATIENCE = 90


@dataclass
class Reply:
    status: int
    text: str
    headers: Message


def basic(password: str = PASSWORD, user: str = "admin") -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


@dataclass
class Board:
    port: int

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def get(self, path: str = "/admin/queues", **headers: str) -> Reply:
        request = urllib.request.Request(
            self.url(path), headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                text = answer.read().decode()
                return Reply(answer.status, text, answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
                return Reply(error.code, text, error.headers)

    async def socket(self, kind: str = "monitor", **headers: str):
        url = self.url(f"/admin/queues/socket/{kind}", "ws")
        return await websocket_connect(HTTPRequest(url, headers=headers))


@contextmanager
def running_board(server, queue: str, home, *arguments: str):
    """A board in a process of its own; it must end by itself when told to."""
    port = free_port()
    environment = {
        **os.environ,
        **server.environment,
        "BULL_BOARD_PORT": str(port),
        "BULL_BOARD_PASSWORD": PASSWORD,
        "CERTIFICATION_QUEUE_NAME": queue,
        "MYIA_HOME": str(home),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "myia_sdk.board", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            board = Board(port)
            wait_for_board(board, process)
            yield board
        finally:
            process.terminate()
        output = process.communicate(timeout=PATIENCE)[0].decode()
        assert process.returncode == 0, output
        assert "Traceback" not in output, output
        assert PASSWORD not in output


def wait_for_board(board: Board, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            board.get()
        except OSError:
            assert process.poll() is None, process.stdout.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def board(redis_server, home):
    with running_board(redis_server, "served", home) as board:
        yield board


PATHS = [
    "/",
    "/admin/queues",
    "/admin/queues/panel.js",
    "/admin/queues/metrics",
    "/admin/queues/socket/monitor",
    "/nothing",
    "/admin/queues/../../etc/passwd",
]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_without_credentials(board, path):
    reply = board.get(path)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith("Basic")
    assert reply.text == "401 challenge\n"


def test_right_credentials_open_the_page_and_give_a_strict_cookie(board):
    reply = board.get(**basic())
    assert reply.status == 200
    assert 'data-base="/admin/queues"' in reply.text
    cookie = reply.headers["Set-Cookie"].lower()
    for part in ("httponly", "samesite=strict", "path=/admin/queues", "max-age=28800"):
        assert part in cookie
    policy = reply.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-eval" not in policy


def cookie_of(board) -> str:
    return board.get(**basic()).headers["Set-Cookie"].partition(";")[0]


def test_the_cookie_alone_opens_the_page(board):
    assert board.get(Cookie=cookie_of(board)).status == 200


FORGERIES = [
    "myia_board=",
    "myia_board=x",
    "myia_board=99999999999.",
    "myia_board=99999999999." + "0" * 64,
    'myia_board="99999999999.\xe4"',
]


@pytest.mark.parametrize("cookie", FORGERIES)
def test_a_forged_cookie_does_not(board, cookie):
    assert board.get(Cookie=cookie).status == 401


def test_a_cookie_with_a_longer_life_is_refused(board):
    name, _, value = cookie_of(board).partition("=")
    expires, _, signature = value.strip('"').partition(".")
    assert board.get(Cookie=f"{name}={int(expires) + 1}.{signature}").status == 401


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"a").decode()],
)
def test_malformed_credentials_are_refused(board, header):
    assert board.get(Authorization=header).status in {401, 429}


def test_a_foreign_origin_is_refused_even_with_credentials(board):
    assert board.get(Origin="https://evil.example", **basic()).status == 403
    same = board.get(Origin=f"http://127.0.0.1:{board.port}", **basic())
    assert same.status == 200


def test_assets_are_the_panels_own(board):
    from myia_sdk.panels.page import script

    reply = board.get("/admin/queues/panel.js", Cookie=cookie_of(board))
    assert reply.text == script()
    assert reply.headers["Content-Type"].startswith("text/javascript")
    assert board.get("/admin/queues/secret.js", Cookie=cookie_of(board)).status == 404


def test_websockets_stand_behind_the_gate(board):
    async def refused(**headers: str) -> int:
        with pytest.raises(HTTPClientError) as caught:
            await board.socket(**headers)
        return caught.value.code

    async def all_of_them() -> list[int]:
        return [
            await refused(),
            await refused(Cookie="myia_board=9.9"),
            await refused(Origin="https://evil.example", **basic()),
        ]

    assert run_coroutine(all_of_them()) == [401, 401, 403]


async def close(socket) -> None:
    socket.close()
    while await socket.read_message() is not None:
        pass


async def converse(board, *events: dict, until, **headers: str) -> list[dict]:
    socket = await board.socket(**headers)
    heard = await talk(socket, *events, until=until)
    await close(socket)
    return heard


async def talk(socket, *events: dict, until) -> list[dict]:
    for number, event in enumerate(events):
        await socket.write_message(json.dumps({"view": "v", "seq": number, **event}))
    heard = []
    while not heard or not until(heard[-1]):
        text = await asyncio.wait_for(socket.read_message(), PATIENCE)
        assert text is not None, "the board closed the socket"
        heard.append(json.loads(text))
    return heard


def test_a_visitor_sees_the_queue_and_acts_on_it(board, client_of_board):
    heard = run_coroutine(
        converse(
            board,
            {"event": "hello"},
            {"event": "pause"},
            until=lambda message: message == {"type": "ack", "seq": 1},
            Cookie=cookie_of(board),
        )
    )
    assert heard[0]["type"] == "snapshot"
    assert heard[0]["state"]["queue"]["name"] == "served"
    assert client_of_board.queue.is_paused()
    client_of_board.administration.resume()


@pytest.fixture
def client_of(redis_server, home):
    """Clients of this process by the name of their queue."""
    from myia_sdk import Client, Settings

    with ExitStack() as stack:

        def open_one(queue: str) -> Client:
            settings = Settings(
                redis_host="127.0.0.1",
                redis_port=redis_server.port,
                redis_password=redis_server.password,
                certification_queue_name=queue,
                myia_home=home,
                _env_file=None,
            )
            return stack.enter_context(Client(settings))

        yield open_one


@pytest.fixture
def client_of_board(client_of):
    return client_of("served")


def test_nonsense_closes_or_is_answered_but_never_breaks_the_board(board):
    async def send(text: str) -> None:
        socket = await board.socket(Cookie=cookie_of(board))
        await socket.write_message(text)
        await close(socket)

    for text in ("{", "[]", "null", '{"event": 5}', '{"event": "hello", "view": []}'):
        run_coroutine(send(text))
    assert board.get(**basic()).status == 200


def test_metrics_are_prometheus_text(board, client_of_board):
    Jobs(client_of_board).waiting()
    reply = board.get("/admin/queues/metrics", **basic())
    assert 'myia_queue_jobs{queue="served",state="waiting"} 1' in reply.text
    assert "# TYPE myia_queue_ended_total counter" in reply.text


def test_a_read_only_board_refuses_changes_and_ends_before_its_visitors(
    redis_server, home, queue_name
):
    async def stay() -> list[dict]:
        with running_board(redis_server, queue_name, home, "--read-only") as board:
            socket = await board.socket(**basic())
            heard = await talk(
                socket,
                {"event": "hello"},
                {"event": "pause"},
                until=lambda message: message == {"type": "ack", "seq": 1},
            )
        await close(socket)
        return heard

    assert "read-only" in str(run_coroutine(stay()))


def hide_people(field: str, value: object) -> object:
    """The redaction of the board below: no person, nothing of results."""
    if field == "result":
        raise ValueError(f"no idea what {value} is")
    return json.loads(json.dumps(value).replace("Ana Souza", "[person]"))


def test_a_redacted_board_sends_nothing_that_the_hook_hides(
    redis_server, home, queue_name, client_of
):
    client = client_of(queue_name)
    jobs, queue = Jobs(client), client.queue
    job_id = queue.add(NewJob(name="certify", data={"owner": "Ana Souza", "n": 7}))
    assert jobs.claim() == job_id
    queue.log(job_id, ["measured for Ana Souza"])
    queue.progress(job_id, {"percent": 5, "check": "Ana Souza"})
    queue.fail(job_id, TOKEN, "Ana Souza is unknown", "line 1: Ana Souza")
    done = jobs.completed(value={"owner": "Ana Souza"})
    hook = f"{__name__}:{hide_people.__name__}"
    with running_board(redis_server, queue_name, home, "--redact", hook) as board:
        heard = run_coroutine(
            converse(
                board,
                {"event": "hello"},
                {"event": "open", "id": job_id},
                {"event": "export", "ids": [job_id]},
                {"event": "page", "page": "Ana Souza"},
                {"event": "open", "id": done},
                {"event": "refresh"},
                until=lambda message: message == {"type": "ack", "seq": 5},
                **basic(),
            )
        )
    text = str(heard)
    assert "Ana Souza" not in text
    for shown in (
        "[person] is unknown",
        "line 1: [person]",
        "measured for [person]",
        '"owner": "[person]"',
        "page is '[person]'",
        '"[redaction failed]"',
    ):
        assert shown in text


@pytest.mark.parametrize(
    "name", ["nowhere:f", "json:nothing", "json", "json:__doc__", ""]
)
def test_a_redaction_that_cannot_be_loaded_is_told(name):
    with pytest.raises(ConfigurationError, match="redaction"):
        load_redact(name)


def test_guessing_is_throttled_for_everybody_without_a_cookie(
    redis_server, home, queue_name
):
    with running_board(redis_server, queue_name, home) as board:
        cookie = cookie_of(board)
        wrong = [
            board.get(**basic(f"guess-{n}")).status for n in range(FAILURES_ALLOWED)
        ]
        assert wrong == [401] * FAILURES_ALLOWED
        reply = board.get(**basic("guess"))
        assert (reply.status, reply.headers["Retry-After"]) == (429, "60")
        assert board.get(**basic()).status == 429
        assert board.get(Cookie=cookie).status == 200


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("x", "")])
def test_empty_credentials_do_not_start(user, password):
    with pytest.raises(ConfigurationError, match="BULL_BOARD_PASSWORD"):
        Gate(user, password)
