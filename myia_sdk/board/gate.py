"""Who may pass: Basic credentials or a signed cookie, same origin, few guesses.

The gate is the first routing rule of the application, so that nothing, not even a
404, is told to who has not passed it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.routing import Matcher
from tornado.web import RequestHandler

from myia_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.httputil import HTTPServerRequest

COOKIE = "myia_board"
#: A working day: after it the browser sends the credentials again.
COOKIE_SECONDS = 8 * 3600
#: Wrong credentials allowed from one address in :data:`WINDOW_SECONDS`.
FAILURES_ALLOWED = 10
WINDOW_SECONDS = 60.0
#: Addresses remembered at once; the oldest are forgotten.
ADDRESSES = 10_000


class Answer(Enum):
    """What the gate says to a request."""

    PASS = 200
    CHALLENGE = 401
    FOREIGN = 403
    THROTTLED = 429


class Gate:
    """Decides about requests.

    Parameters
    ----------
    username, password : str
        The credentials of the board; neither may be empty.
    clock : callable, optional
        Seconds since the epoch.

    Raises
    ------
    ConfigurationError
        User name or password is empty.
    """

    def __init__(
        self, username: str, password: str, clock: Callable[[], float] = time.time
    ) -> None:
        if not username or not password:
            raise ConfigurationError(
                "The board needs BULL_BOARD_USERNAME and BULL_BOARD_PASSWORD; "
                "neither may be empty."
            )
        self._expected = _digest(f"{username}:{password}".encode())
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def __repr__(self) -> str:
        return "<Gate>"

    def judge(self, request: HTTPServerRequest) -> Answer:
        """Return the answer to a request; wrong credentials are counted."""
        if not is_same_origin(request):
            return Answer.FOREIGN
        if self.has_cookie(request):
            return Answer.PASS
        address = str(request.remote_ip)
        if self._is_throttled(address):
            return Answer.THROTTLED
        header = request.headers.get("Authorization")
        if header is None:
            return Answer.CHALLENGE
        if hmac.compare_digest(_digest(_credentials(header)), self._expected):
            self._failures.pop(address, None)
            return Answer.PASS
        self._count_failure(address)
        return Answer.CHALLENGE

    def _is_throttled(self, address: str) -> bool:
        failures = self._failures.get(address)
        if failures is None:
            return False
        while failures and failures[0] < self._clock() - WINDOW_SECONDS:
            failures.popleft()
        return len(failures) >= FAILURES_ALLOWED

    def _count_failure(self, address: str) -> None:
        if address not in self._failures and len(self._failures) >= ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures.setdefault(address, deque()).append(self._clock())

    def new_cookie(self) -> str:
        """Return a cookie that passes for :data:`COOKIE_SECONDS`."""
        expires = str(int(self._clock()) + COOKIE_SECONDS)
        return f"{expires}.{self._sign(expires)}"

    def has_cookie(self, request: HTTPServerRequest) -> bool:
        """Return whether the request carries a cookie we signed and that holds."""
        morsel = request.cookies.get(COOKIE)
        expires, _, signature = (morsel.value if morsel else "").partition(".")
        if not hmac.compare_digest(
            self._sign(expires).encode(), signature.encode("utf-8", "replace")
        ):
            return False
        return expires.isdigit() and int(expires) > self._clock()

    def _sign(self, text: str) -> str:
        message = text.encode("utf-8", "replace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _credentials(header: str) -> bytes:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def is_same_origin(request: HTTPServerRequest) -> bool:
    """Return whether the request comes from our own pages, or from no page."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == str(request.host).lower()


class Refused(Matcher):
    """Matches every request that the gate does not let pass.

    Parameters
    ----------
    gate : Gate
        The judge.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return None to let the request go on to the other rules."""
        answer = self._gate.judge(request)
        if answer is Answer.PASS:
            return None
        return {"path_kwargs": {"status": str(answer.value)}}


class Challenge(RequestHandler):
    """Answers those who did not pass, whatever they asked for."""

    SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS,)

    def prepare(self) -> None:
        """Send the refusal and end the request."""
        status = int(self.path_kwargs["status"])
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        if status == Answer.CHALLENGE.value:
            self.set_header("WWW-Authenticate", 'Basic realm="MyIA", charset="UTF-8"')
        if status == Answer.THROTTLED.value:
            self.set_header("Retry-After", str(int(WINDOW_SECONDS)))
        self.finish(f"{status} {Answer(status).name.lower()}\n")
