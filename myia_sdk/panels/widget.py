"""The anywidget that shows a controller with panel.js."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anywidget
import traitlets

from myia_sdk.panels.displayed import Displayed, close_tree
from myia_sdk.panels.kernel import is_busy
from myia_sdk.panels.live import LiveFeed, LiveView
from myia_sdk.panels.live.view import SILENCE
from myia_sdk.panels.page import script, style
from myia_sdk.panels.page.snapshot import static_html

if TYPE_CHECKING:
    from myia_sdk.client import Connection
    from myia_sdk.panels.live import Controller


class LiveWidget(Displayed, anywidget.AnyWidget):
    """A live table or detail view; closing it stops its updates.

    Parameters
    ----------
    connection : Connection
        Where the jobs are.
    controller : Controller
        What is shown.
    silence : float, optional
        Seconds without a heartbeat of the browser after which updates pause.
    """

    _esm = script()
    _css = style()
    kind = traitlets.Unicode().tag(sync=True)
    #: Names the static copy that is hidden while the widget lives.
    mark = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        connection: Connection,
        controller: Controller,
        *,
        silence: float = SILENCE,
    ) -> None:
        super().__init__(kind=controller.kind, mark=uuid4().hex)
        self.controller = controller
        self._enter()
        self._feed = LiveFeed.acquire(connection.queue)
        self.view = LiveView(
            controller, self._feed, self._post, is_busy=is_busy, silence=silence
        )
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.controller.connection.queue.queue!r}>"

    def _on_message(self, _: object, content: object, __: object) -> None:
        self.view.receive(content)

    def _post(self, message: dict[str, Any]) -> None:
        self.send(message)
        if message["type"] in {"snapshot", "patch"}:
            self._renew_static()

    def wait_for_data(self, timeout: float) -> None:
        """Load once and wait for it, at most `timeout` seconds."""
        is_loaded = threading.Event()

        def load() -> None:
            self.view.load()
            is_loaded.set()

        self._feed.submit(load)
        is_loaded.wait(timeout)

    def to_html(self) -> str:
        """Return a static copy of what is shown, as safe HTML."""
        controller = self.controller
        state = controller.snapshot() if controller.is_loaded else None
        return static_html(state, controller.language)

    def _close_widgets(self) -> None:
        self.view.close()
        close_tree(self)
