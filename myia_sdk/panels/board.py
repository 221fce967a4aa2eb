"""All panels in tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import ipywidgets

from myia_sdk.panels.certificates import CertificatesPanel
from myia_sdk.panels.clean import CleanPanel
from myia_sdk.panels.displayed import Displayed, close_tree
from myia_sdk.panels.guard import KeyGuard
from myia_sdk.panels.monitor import MonitorPanel
from myia_sdk.panels.page import choose_language, translate
from myia_sdk.panels.submit import SubmitPanel

if TYPE_CHECKING:
    from myia_sdk.client import Connection
    from myia_sdk.panels.permissions import Redact

_MONITOR_TAB = 1


class BoardPanel(Displayed, ipywidgets.VBox):
    """Submit, monitor, clean and certificates in tabs.

    Parameters
    ----------
    connection : Connection
        Where the jobs are.
    is_read_only : bool, optional
        Show everything, change nothing.
    redact : callable, optional
        ``redact(field, value) -> value``: what is shown of the values of jobs; see
        :class:`~myia_sdk.panels.permissions.redaction.Redaction`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        is_read_only: bool = False,
        redact: Redact | None = None,
    ) -> None:
        self._connection = connection
        self.mark = uuid4().hex
        self.submit = SubmitPanel(
            connection, is_read_only=is_read_only, on_watch=self._watch
        )
        self.monitor = MonitorPanel(
            connection, is_read_only=is_read_only, redact=redact
        )
        self.clean = CleanPanel(connection, is_read_only=is_read_only)
        self.certificates = CertificatesPanel(connection, is_read_only=is_read_only)
        language = choose_language(connection.settings.myia_lang)
        names = ("submit", "monitor", "clean", "certificates")
        self.tabs = ipywidgets.Tab(
            children=[getattr(self, name) for name in names],
            titles=[translate(language, f"tab.{name}") for name in names],
        )
        super().__init__(children=(self.tabs, KeyGuard(mark=self.mark)))
        self.add_class("myia-panel")
        self._enter()

    def __repr__(self) -> str:
        return f"<BoardPanel {self._connection.queue.queue!r}>"

    def _watch(self, ids: list[str]) -> None:
        self.tabs.selected_index = _MONITOR_TAB
        if ids:
            self.monitor.watch(ids[0], batch=self.submit.controller.batch)

    def to_html(self) -> str:
        """Return a static copy of the jobs and the certificates, as safe HTML."""
        return self.monitor.to_html() + self.certificates.to_html()

    def wait_for_data(self, timeout: float) -> None:
        """Wait until the monitor was loaded once, at most `timeout` seconds."""
        self.monitor.wait_for_data(timeout)

    def _close_widgets(self) -> None:
        close_tree(self)
