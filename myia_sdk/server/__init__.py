"""Which server: the one that is named, or the embedded one with its supervisor.

What is done on it is the queue's.
"""

from __future__ import annotations

from myia_sdk.server.local import LocalServer
from myia_sdk.server.server import Server, find_server, start_server

__all__ = ["LocalServer", "Server", "find_server", "start_server"]
