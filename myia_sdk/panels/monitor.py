"""The live table of jobs as a widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myia_sdk.panels.controllers.monitor import PAGE_SIZE, MonitorController
from myia_sdk.panels.live import ControllerOptions
from myia_sdk.panels.live.view import SILENCE
from myia_sdk.panels.widget import LiveWidget

if TYPE_CHECKING:
    from myia_sdk.client import Connection
    from myia_sdk.panels.permissions import Redact


class MonitorPanel(LiveWidget):
    """Jobs by state, live, with search, actions, and the details of one job.

    Parameters
    ----------
    connection : Connection
        Where the jobs are.
    is_read_only : bool, optional
        Show everything, change nothing.
    page_size : int, optional
        Jobs on a page.
    silence : float, optional
        Seconds without a heartbeat of the browser after which updates pause.
    redact : callable, optional
        ``redact(field, value) -> value``: what is shown of the values of jobs; see
        :class:`~myia_sdk.panels.permissions.redaction.Redaction`.
    """

    controller: MonitorController

    def __init__(
        self,
        connection: Connection,
        *,
        is_read_only: bool = False,
        page_size: int = PAGE_SIZE,
        silence: float = SILENCE,
        redact: Redact | None = None,
    ) -> None:
        controller = MonitorController(
            connection,
            ControllerOptions.of(connection, is_read_only=is_read_only, redact=redact),
            page_size=page_size,
        )
        super().__init__(connection, controller, silence=silence)

    def watch(self, job_id: str, *, batch: str = "") -> None:
        """Open the details of a job.

        Parameters
        ----------
        job_id : str
            The job.
        batch : str, optional
            Batch whose jobs are listed beside it; without one the list stays.
        """
        if batch:
            self.view.perform({"event": "search", "query": f"batch:{batch}"})
        self.view.perform({"event": "open", "id": job_id})
