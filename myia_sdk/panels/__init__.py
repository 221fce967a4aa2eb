"""Panels for notebooks: submit, monitor, clean, certificates, and all on one board."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myia_sdk.panels.board import BoardPanel
    from myia_sdk.panels.certificates import CertificatesPanel
    from myia_sdk.panels.clean import CleanPanel
    from myia_sdk.panels.monitor import MonitorPanel
    from myia_sdk.panels.submit import SubmitPanel

__all__ = [
    "BoardPanel",
    "CertificatesPanel",
    "CleanPanel",
    "MonitorPanel",
    "SubmitPanel",
]

_HOMES = {name: name.removesuffix("Panel").lower() for name in __all__}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
