"""What keeps a panel up to date: one reader of events, controllers, views, patches."""

from __future__ import annotations

from myia_sdk.panels.live.feed import LiveFeed

__all__ = ["LiveFeed"]
