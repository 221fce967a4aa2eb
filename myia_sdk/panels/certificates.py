"""Certificates by model and region as a widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myia_sdk.panels.controllers.certificates import CertificatesController
from myia_sdk.panels.live import ControllerOptions
from myia_sdk.panels.live.view import SILENCE
from myia_sdk.panels.widget import LiveWidget

if TYPE_CHECKING:
    from myia_sdk.client import Connection


class CertificatesPanel(LiveWidget):
    """A matrix of models and regions: verdict, score, age and expiry of certificates.

    Parameters
    ----------
    connection : Connection
        Where the certificates are.
    is_read_only : bool, optional
        Refuse to certify again.
    silence : float, optional
        Seconds without a heartbeat of the browser after which updates pause.
    """

    controller: CertificatesController

    def __init__(
        self,
        connection: Connection,
        *,
        is_read_only: bool = False,
        silence: float = SILENCE,
    ) -> None:
        controller = CertificatesController(
            connection,
            ControllerOptions.of(connection, is_read_only=is_read_only),
        )
        super().__init__(connection, controller, silence=silence)
