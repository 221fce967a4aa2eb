"""Redis itself: connections in every shape, names of keys, the server's clock, scripts.

Knows keys and commands, but no job: what a command means is the store's.
"""

from __future__ import annotations

from myia_sdk.queue.wire.clients import (
    ConnectionOptions,
    RedisClient,
    connect,
    wrap_errors,
)
from myia_sdk.queue.wire.keys import Keys
from myia_sdk.queue.wire.outages import Outage
from myia_sdk.queue.wire.serverinfo import ServerInfo

__all__ = [
    "ConnectionOptions",
    "Keys",
    "Outage",
    "RedisClient",
    "ServerInfo",
    "connect",
    "wrap_errors",
]
