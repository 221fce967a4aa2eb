"""What keeps a panel up to date: one reader of events, controllers, views, patches."""

from __future__ import annotations

from myia_sdk.panels.live.controller import (
    Controller,
    ControllerOptions,
    Event,
    Handler,
)
from myia_sdk.panels.live.feed import Changes, LiveFeed
from myia_sdk.panels.live.view import LiveView

__all__ = [
    "Changes",
    "Controller",
    "ControllerOptions",
    "Event",
    "Handler",
    "LiveFeed",
    "LiveView",
]
