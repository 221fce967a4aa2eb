"""The process that holds the embedded server and the workers beside it.

``python -m myia_sdk.server.supervisor HOME`` is started by :mod:`.local`. It
lives as long as anybody holds a lease: an open connection to its control port,
which the operating system closes when its owner ends, however it ends.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from myia_sdk.errors import LocalServerError
from myia_sdk.server.embedded import (
    HOST,
    STOP_SECONDS,
    EmbeddedServer,
    Premises,
    is_free,
    open_log,
    write_private,
)

if TYPE_CHECKING:
    from types import FrameType

logger = logging.getLogger(__name__)

#: Exit code of a supervisor that found another one in charge.
ALREADY_RUNNING = 75
FIRST_LEASE_SECONDS = 15.0
#: How long a supervisor outlives its last lease: commands in a row share it.
LINGER_SECONDS = 1.0
CHECK_SECONDS = 1.0
#: How often workers that were asked to stop are looked at when all ends, seconds.
LEAVING_SECONDS = 0.02
RESTART_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
REQUEST_BYTES = 1_000_000


@dataclass(slots=True, kw_only=True)
class WorkerSlot:
    """One worker process, started again when it dies."""

    environment: dict[str, str]
    directory: str
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    not_before: float = 0.0
    #: When a worker that was asked to stop is killed, monotonic time.
    not_after: float = 0.0

    def ensure(self) -> None:
        """Start the worker, or start it again, unless it died a moment ago."""
        if self.process is not None:
            if self.process.poll() is None:
                return
            delay = RESTART_SECONDS[min(self.restarts, len(RESTART_SECONDS) - 1)]
            logger.error(
                "worker %d ended with code %s; starting another in %.0f s",
                self.process.pid,
                self.process.returncode,
                delay,
            )
            self.restarts += 1
            self.not_before = time.monotonic() + delay
            self._close_input()
            self.process = None
        if time.monotonic() >= self.not_before:
            self.process = start_worker(self.environment, self.directory, self.log)

    def end(self) -> None:
        """Ask the worker to stop; it puts running jobs back."""
        self.not_after = time.monotonic() + STOP_SECONDS
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def has_ended(self) -> bool:
        """Whether the worker is gone; one that was asked long ago is killed."""
        if self.process is None:
            return True
        if self.process.poll() is None:
            if time.monotonic() > self.not_after:
                self.process.kill()
            return False
        self._close_input()
        return True

    def _close_input(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


def start_worker(
    environment: dict[str, str], directory: str, log: Path
) -> subprocess.Popen[bytes]:
    """Start a worker process that ends when its standard input closes.

    Parameters
    ----------
    environment : dict of str to str
        Variables added to those of this process.
    directory : str
        Working directory, from which it may import plug-ins.
    log : Path
        File that takes its output.
    """
    with open_log(log) as output:
        return subprocess.Popen(
            [sys.executable, "-m", "myia_sdk.worker", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=directory if Path(directory).is_dir() else None,
            env=os.environ | environment,
            start_new_session=True,
        )


@dataclass(slots=True, kw_only=True)
class Lease:
    """What one user asks for, for as long as its connection is open."""

    buffer: bytes = b""
    is_admitted: bool = False
    workers: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "."

    @property
    def group(self) -> str:
        """Leases with the same settings share their workers."""
        return json.dumps([self.environment, self.directory], sort_keys=True)


class Supervisor:
    """Accepts leases, keeps server and workers up, ends with the last lease."""

    def __init__(self, premises: Premises) -> None:
        self.premises = premises
        self.server = EmbeddedServer(premises)
        self.leases: dict[socket.socket, Lease] = {}
        self.groups: dict[str, list[WorkerSlot]] = {}
        #: Workers that were asked to stop. Nobody who asks for a lease waits for them.
        self.leaving: list[WorkerSlot] = []
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._stop_at = float("inf")
        self._is_stopping = False
        self._worker_count = 0

    def run(self) -> None:
        """Serve until the last lease has ended or a signal asks to stop."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self._start_server()
        try:
            self._listen()
            while not self._is_over():
                for key, _ in self._selector.select(CHECK_SECONDS):
                    self._on_readable(key.fileobj)  # type: ignore[arg-type]
                self._check()
        finally:
            self._shut_down()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._is_stopping = True

    def _is_over(self) -> bool:
        if any(lease.is_admitted for lease in self.leases.values()):
            self._stop_at = time.monotonic() + LINGER_SECONDS
        return self._is_stopping or time.monotonic() > self._stop_at

    def _start_server(self) -> None:
        port = self._last_port()
        # Until the new one is written nobody may trust that of last time.
        self.premises.address.unlink(missing_ok=True)
        if port:
            self.server.end_leftover(port)
        try:
            self.server.start()
        except LocalServerError:
            if not port or is_free(port):
                raise
            logger.warning("port %d is taken; using another", port)
            self.server.port = 0
            self.server.start()

    def _last_port(self) -> int:
        try:
            return int(json.loads(self.premises.address.read_text())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _listen(self) -> None:
        listener = socket.create_server((HOST, 0))
        listener.setblocking(False)  # noqa: FBT003 -- the socket's own signature
        self._selector.register(listener, selectors.EVENT_READ)
        self._listener = listener
        address = {
            "host": HOST,
            "port": self.server.port,
            "control": listener.getsockname()[1],
            "pid": os.getpid(),
        }
        write_private(self.premises.address, json.dumps(address))
        # Not before: the server may take long to load its data.
        self._stop_at = time.monotonic() + FIRST_LEASE_SECONDS
        logger.info("embedded server %d on port %d", self.server.pid, self.server.port)

    def _on_readable(self, sock: socket.socket) -> None:
        if sock is self._listener:
            connection, _ = sock.accept()
            connection.setblocking(False)  # noqa: FBT003 -- the socket's own signature
            self.leases[connection] = Lease()
            self._selector.register(connection, selectors.EVENT_READ)
            return
        lease = self.leases[sock]
        try:
            received = sock.recv(65_536)
        except OSError:
            received = b""
        lease.buffer += received
        if not received or len(lease.buffer) > REQUEST_BYTES:
            self._drop(sock)
        while b"\n" in lease.buffer:
            line, _, lease.buffer = lease.buffer.partition(b"\n")
            self._on_request(sock, lease, line)

    def _on_request(self, sock: socket.socket, lease: Lease, line: bytes) -> None:
        try:
            request = json.loads(line)
            token = str(request["token"])
            lease.workers = int(request["workers"])
            lease.environment = dict(request["environment"])
            lease.directory = str(request["directory"])
        except (ValueError, KeyError, TypeError):
            self._drop(sock)
            return
        if not hmac.compare_digest(token, self.server.password):
            self._drop(sock)
            return
        lease.is_admitted = True
        self._match_workers()
        try:
            sock.sendall(b"ok\n")
        except OSError:
            self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        if self.leases.pop(sock, None) is not None:
            self._selector.unregister(sock)
            sock.close()
            self._match_workers()

    def _check(self) -> None:
        if not self.server.is_running() and not self._is_stopping:
            logger.error("the embedded server died; starting it again")
            self.server.restart()
        for slots in self.groups.values():
            for slot in slots:
                slot.ensure()
        self.leaving = [slot for slot in self.leaving if not slot.has_ended()]

    def _match_workers(self) -> None:
        wanted: dict[str, Lease] = {}
        for lease in self.leases.values():
            known = wanted.get(lease.group)
            if lease.workers and (known is None or lease.workers > known.workers):
                wanted[lease.group] = lease
        for group in list(self.groups):
            if group not in wanted:
                self._end_workers(self.groups.pop(group))
        for group, lease in wanted.items():
            slots = self.groups.setdefault(group, [])
            while len(slots) < lease.workers:
                slots.append(self._new_slot(lease))

    def _new_slot(self, lease: Lease) -> WorkerSlot:
        self._worker_count += 1
        slot = WorkerSlot(
            environment=lease.environment,
            directory=lease.directory,
            log=self.premises.logs / f"worker-{self._worker_count}.log",
        )
        slot.ensure()
        return slot

    def _end_workers(self, slots: list[WorkerSlot]) -> None:
        for slot in slots:
            slot.end()
        self.leaving += slots

    def _shut_down(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._end_workers([s for slots in self.groups.values() for s in slots])
        while not all(slot.has_ended() for slot in self.leaving):
            time.sleep(LEAVING_SECONDS)
        self.server.stop()
        for sock in self.leases:
            sock.close()
        self._selector.close()
        logger.info("embedded server stopped")


def main(home: str) -> int:
    """Hold the server of `home` unless another process does."""
    premises = Premises(home=Path(home))
    premises.prepare()
    with premises.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return ALREADY_RUNNING
        try:
            Supervisor(premises).run()
        except LocalServerError as error:
            logger.error("%s", error)  # noqa: TRY400 -- the message says it all
            return 1
    return 0


def _run() -> NoReturn:
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO
    )
    sys.exit(main(sys.argv[1]))


if __name__ == "__main__":
    _run()
