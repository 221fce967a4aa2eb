"""The board as a tornado application: pages, the panel's script, one socket a panel."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.routing import Rule
from tornado.web import Application, RedirectHandler, RequestHandler
from tornado.websocket import WebSocketHandler

from myia_sdk.board.gate import COOKIE, COOKIE_SECONDS, Challenge, Gate, Refused
from myia_sdk.board.metrics import queue_metrics
from myia_sdk.errors import ConfigurationError
from myia_sdk.panels.controllers.certificates import CertificatesController
from myia_sdk.panels.controllers.monitor import MonitorController
from myia_sdk.panels.live import Controller, ControllerOptions, LiveFeed, LiveView
from myia_sdk.panels.page import script, style, translate
from myia_sdk.settings.settings import DEFAULT_BOARD_PASSWORD

if TYPE_CHECKING:
    from myia_sdk.client import Connection
    from myia_sdk.panels.permissions import Redact
    from myia_sdk.settings import Settings

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
CONTROLLERS: dict[str, type[Controller]] = {
    "monitor": MonitorController,
    "certificates": CertificatesController,
}
#: Longest message taken from a browser, bytes.
MESSAGE_LIMIT = 1_000_000
#: Seconds between pings; a browser that vanished is noticed after the next one.
PING_SECONDS = 20
_HEARTBEATS = frozenset({"hello", "alive", "hidden", "gone"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class BoardHandler(RequestHandler):
    """Common part of the pages: headers, and the cookie after a login."""

    def initialize(self, board: Board) -> None:
        """Remember the board."""
        self.board = board

    def set_default_headers(self) -> None:
        """Set the security headers on every answer."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Give who came by credentials the cookie that websockets need."""
        if not self.board.gate.has_cookie(self.request):
            self.set_cookie(
                COOKIE,
                self.board.gate.new_cookie(),
                max_age=COOKIE_SECONDS,
                path=self.board.path or "/",
                httponly=True,
                samesite="Strict",
                secure=self.request.protocol == "https",
            )


class PageHandler(BoardHandler):
    """The page itself."""

    def get(self) -> None:
        """Send the page in the board's language."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(self.board.page())


class AssetHandler(BoardHandler):
    """The scripts and style sheets: the panel's own, and those of the page."""

    def get(self, name: str) -> None:
        """Send one of the four files."""
        kind = "text/javascript" if name.endswith(".js") else "text/css"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        if name == "panel.js":
            self.finish(script())
        elif name == "panel.css":
            self.finish(style())
        else:
            self.finish((STATIC / name).read_text(encoding="utf-8"))


class MetricsHandler(BoardHandler):
    """The queue's metrics, for Prometheus with Basic authentication."""

    async def get(self) -> None:
        """Send the text exposition format."""
        connection = self.board.connection
        text = await asyncio.to_thread(queue_metrics, connection.queue)
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(text)


class PanelSocket(WebSocketHandler):
    """One panel of one visitor."""

    view: LiveView | None = None

    def initialize(self, board: Board) -> None:
        """Remember the board."""
        self.board = board

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - the gate judged it
        """Accept: the gate has compared origin and host already."""
        return True

    def open(self, kind: str) -> None:
        """Start the panel's controller."""
        self._loop = asyncio.get_running_loop()
        board = self.board
        controller = CONTROLLERS[kind](board.connection, board.options)
        feed = LiveFeed.acquire(board.connection.queue)
        self.view = LiveView(controller, feed, self._post)
        board.views.add(self.view)

    def on_message(self, message: str | bytes) -> None:
        """Hand an event of the browser to the controller."""
        try:
            content = json.loads(message)
        except ValueError:
            self.close(1003, "JSON, please")
            return
        if self.view is None or not isinstance(content, dict):
            return
        name = content.get("event")
        if name not in _HEARTBEATS:
            logger.info("Board: %s from %s", str(name)[:40], self.request.remote_ip)
        self.view.receive(content)

    def on_close(self) -> None:
        """Stop the panel."""
        if self.view is not None:
            self.board.views.discard(self.view)
            self.view.close()

    def _post(self, message: dict[str, Any]) -> None:
        # Called on the feed's thread; tornado's sockets belong to the loop's.
        text = json.dumps(message, allow_nan=False)
        self._loop.call_soon_threadsafe(self._write, text)

    def _write(self, text: str) -> None:
        if self.ws_connection is not None and not self.ws_connection.is_closing():
            self.write_message(text)


class Board:
    """The served board of one connection.

    Parameters
    ----------
    connection : Connection
        Whose queue is shown.
    is_read_only : bool, optional
        Show everything, change nothing.
    redact : callable, optional
        ``redact(field, value) -> value``: what is shown of the values of jobs; see
        :class:`~myia_sdk.panels.permissions.redaction.Redaction`.

    Raises
    ------
    ConfigurationError
        User name or password of the board is empty.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        is_read_only: bool = False,
        redact: Redact | None = None,
    ) -> None:
        settings = connection.settings
        self.connection = connection
        self.path = settings.bull_board_path.rstrip("/")
        #: Panels of the visitors who are connected now.
        self.views: set[LiveView] = set()
        self.gate = Gate(
            settings.bull_board_username,
            settings.bull_board_password.get_secret_value(),
        )
        #: What every visitor's panels are made with.
        self.options = ControllerOptions.of(
            connection, is_read_only=is_read_only, redact=redact
        )

    def page(self) -> str:
        """Return the HTML of the page."""
        language = self.options.language
        text = (STATIC / "index.html").read_text(encoding="utf-8")
        values = {
            "language": language,
            "base": self.path,
            "queue": self.connection.queue.queue,
            "profile": self.connection.settings.myia_profile,
            "title": translate(language, "board.title"),
            "jobs": translate(language, "board.jobs"),
            "certificates": translate(language, "board.certificates"),
            "theme": translate(language, "board.theme"),
            "disconnected": translate(language, "board.disconnected"),
        }
        for name, value in values.items():
            text = text.replace("{{" + name + "}}", escape(value))
        return text

    def application(self) -> Application:
        """Return the tornado application, the gate before everything."""
        base, board = self.path, {"board": self}
        assets = r"(panel\.js|panel\.css|board\.js|board\.css)"
        kinds = "|".join(CONTROLLERS)
        return Application(
            [
                Rule(Refused(self.gate), Challenge),
                (rf"{base}/?", PageHandler, board),
                (rf"{base}/{assets}", AssetHandler, board),
                (rf"{base}/metrics", MetricsHandler, board),
                (rf"{base}/socket/({kinds})", PanelSocket, board),
                *(
                    [(r"/", RedirectHandler, {"url": base, "permanent": False})]
                    if base
                    else []
                ),
            ],
            websocket_max_message_size=MESSAGE_LIMIT,
            websocket_ping_interval=PING_SECONDS,
        )


async def serve(board: Board, *, stop: asyncio.Event | None = None) -> None:
    """Serve the board until `stop` is set.

    Parameters
    ----------
    board : Board
        What is served; its client's settings give address, port and path.
    stop : asyncio.Event, optional
        Ends the server; SIGTERM and SIGINT do as well.
    """
    settings = board.connection.settings
    warn_of_exposure(settings)
    host, port = settings.bull_board_host, settings.bull_board_port
    try:
        server = board.application().listen(port, address=host)
    except OSError as error:
        raise ConfigurationError(
            f"The board cannot listen on {host}:{port}: {error.strerror or error}. "
            "Set BULL_BOARD_PORT to a free port, or BULL_BOARD_HOST to an address of "
            "this machine."
        ) from error
    ended = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    logger.info("The board is at %s", board_url(settings))
    await ended.wait()
    server.stop()
    # Before the loop ends: their thread sends through it.
    for view in list(board.views):
        view.close()
    await server.close_all_connections()


def board_url(settings: Settings) -> str:
    """Return the address of the board, without credentials."""
    host = settings.bull_board_host
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104
    return f"http://{shown}:{settings.bull_board_port}{settings.bull_board_path}"


def warn_of_exposure(settings: Settings) -> None:
    """Log what is unsafe about how the board is reached."""
    if settings.bull_board_host in {"127.0.0.1", "localhost", "::1"}:
        return
    logger.warning(
        "The board listens on %s without encryption; put a TLS proxy before it.",
        settings.bull_board_host,
    )
    if settings.bull_board_password.get_secret_value() == DEFAULT_BOARD_PASSWORD:
        logger.warning("The board has the default password; set BULL_BOARD_PASSWORD.")


def run(
    connection: Connection, *, is_read_only: bool = False, redact: Redact | None = None
) -> None:
    """Serve the board in the foreground until SIGTERM or Ctrl-C.

    Parameters
    ----------
    connection : Connection
        Whose queue is shown; its settings give the credentials, too.
    is_read_only : bool, optional
        Show everything, change nothing.
    redact : callable, optional
        As for :class:`Board`.
    """
    asyncio.run(serve(Board(connection, is_read_only=is_read_only, redact=redact)))


def load_redact(name: str) -> Redact:
    """Return the function that a ``module:function`` names.

    Raises
    ------
    ConfigurationError
        The module cannot be imported, or has no such function.
    """
    module, _, function = name.partition(":")
    try:
        found: object = getattr(import_module(module), function)
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"The redaction {name!r} cannot be loaded: {error}. Name it as "
            "module:function, from a module on PYTHONPATH."
        ) from error
    if not callable(found):
        raise ConfigurationError(f"The redaction {name!r} is no function.")
    return found
