"""A wire between two programs that a test can cut: a TCP proxy that goes silent."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Self


class Wire:
    """Forwards connections to a port of this machine, until it is cut.

    A cut wire says nothing, as a network does whose cable was pulled: no end, no
    reset, and connections that are opened meanwhile get no answer. Those that were
    open when it was cut stay silent for ever, as after a firewall forgot them.

    Parameters
    ----------
    target : int
        The port to forward to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        #: The other end of each socket, and whether it is the server's.
        self._peers: dict[socket.socket, tuple[socket.socket, bool]] = {}
        self._silent: list[socket.socket] = []
        self._lock = threading.Lock()  # guards what is cut against the pump
        self._cut: frozenset[str] = frozenset()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where the near end is."""
        return self._listener.getsockname()[1]

    def cut(self, *ways: str) -> None:
        """Forward nothing any more ``"to"`` the server, ``"from"`` it, or either."""
        with self._lock:
            self._cut = frozenset(ways or ("to", "from"))
            for one in list(self._peers):
                if self._is_cut(one) and one not in self._silent:
                    self._selector.unregister(one)
                    self._silent.append(one)

    def mend(self) -> None:
        """Forward new connections again."""
        with self._lock:
            self._cut = frozenset()

    def close(self) -> None:
        """End everything."""
        self._wake.close()
        self._thread.join()
        for one in (self._listener, self._woken, *self._peers, *self._silent):
            one.close()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_cut(self, one: socket.socket) -> bool:
        return ("from" if self._peers[one][1] else "to") in self._cut

    def _pump(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._peers:
                        self._forward(key.fileobj)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self._cut:
            self._silent.append(near)
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        for one, other, is_far in ((near, far, False), (far, near, True)):
            self._peers[one] = (other, is_far)
            self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, one: socket.socket) -> None:
        if one in self._silent:
            return
        other, _ = self._peers[one]
        try:
            chunk = one.recv(1 << 16)
            if chunk:
                other.sendall(chunk)
                return
        except OSError:
            pass
        for end in (one, other):
            self._peers.pop(end, None)
            if end not in self._silent:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(end)
                end.close()
