"""Health and metrics of a worker over HTTP, by the standard library alone.

``/health`` answers 200 while the worker lives and 503 when it does not: a worker whose
process is up but whose claim loop stands still is not alive. ``/metrics`` is for
Prometheus. Nothing secret is told, so nothing is asked for.
"""

from __future__ import annotations

import json
import logging
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from myia_sdk.board.metrics import queue_metrics, worker_metrics
from myia_sdk.errors import ConfigurationError, QueueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from myia_sdk.queue.store import JobStore

logger = logging.getLogger(__name__)


class HealthServer:
    """Answers health checks of one worker in a thread of its own.

    Parameters
    ----------
    health : callable
        Returns what ``BullConsumer.health()`` returns; cheap, without I/O.
    port : int
        Port to listen on; 0 takes a free one, see `port`.
    host : str, optional
        All addresses by default: probes come from outside of the container.
    store : JobStore, optional
        Adds the metrics of the queue.

    Raises
    ------
    ConfigurationError
        The port is taken.
    """

    def __init__(
        self,
        health: Callable[[], Mapping[str, Any]],
        port: int,
        *,
        host: str = "0.0.0.0",  # noqa: S104 - see the docstring
        store: JobStore | None = None,
    ) -> None:
        self._health = health
        self._store = store
        try:
            self._server = ThreadingHTTPServer((host, port), self._handler())
        except OSError as error:
            raise ConfigurationError(
                f"The health endpoint cannot listen on {host}:{port}: "
                f"{error.strerror}. Set WORKER_HEALTH_PORT to a free port, or to 0."
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="myia-health", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening and wait for the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def answer(self, path: str) -> tuple[HTTPStatus, str, str]:
        """Return status, content type and text for a path."""
        if path == "/metrics":
            return HTTPStatus.OK, "text/plain; version=0.0.4", self._metrics()
        if path in {"/", "/health", "/healthz", "/livez", "/readyz"}:
            health = dict(self._health())
            is_alive = bool(health.get("is_alive"))
            status = HTTPStatus.OK if is_alive else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json", json.dumps(health, default=str) + "\n"
        return HTTPStatus.NOT_FOUND, "text/plain", "not found\n"

    def _metrics(self) -> str:
        text = worker_metrics(self._health())
        if self._store is None:
            return text
        try:
            return text + queue_metrics(self._store)
        except QueueError as error:
            logger.warning("No metrics of the queue: %s", error)
            return text

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                status, kind, text = answer(self.path.partition("?")[0])
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Stay silent: probes come every few seconds."""

        return Handler
