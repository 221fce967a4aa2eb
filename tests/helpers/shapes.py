"""Redis as production runs it, made of real server processes: Sentinel, cluster."""

from __future__ import annotations

import secrets
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from myia_sdk.errors import QueueError
from tests.conftest import RedisServer, free_port, server_binary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Key slots of a cluster.
SLOTS = 16384
#: Silence after which others count a server as down, ms: as long as nobody killed
#: one, longer than any pause of a busy machine; then short, for the test's sake.
NEVER_MS, SOON_MS = 600_000, 2_000


def until(condition, seconds=120):
    """Poll with a deadline; errors of an outage count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
        except (redis.RedisError, QueueError):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


@contextmanager
def running(folder: Path, *extra, kind="redis", password=None) -> Iterator[RedisServer]:
    """Run a server without persistence until the block ends."""
    password = secrets.token_hex(8) if password is None else password
    port = free_port()
    place = folder / f"server{port}"
    place.mkdir()
    extra = ("--appendonly", "no", *extra)
    server = RedisServer(place, port, password, kind=kind, extra=extra)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Watched:
    """A master, its replica, and the sentinel that watches them."""

    master: RedisServer
    replica: RedisServer
    sentinel: redis.Redis

    @property
    def connection(self) -> dict[str, object]:
        """Fields of ConnectionOptions that lead to whoever is master."""
        return {
            "sentinels": [["127.0.0.1", self._sentinel_port]],
            "sentinel_service": "main",
            "password": self.master.password,
        }

    @property
    def _sentinel_port(self) -> int:
        return self.sentinel.connection_pool.connection_kwargs["port"]

    def kill_master(self) -> None:
        """Kill the master; the sentinel soon sees it."""
        self.sentinel.sentinel_set("main", "down-after-milliseconds", SOON_MS)
        self.master.kill()

    def has_replica_in_step(self) -> bool:
        """Whether the sentinel knows a replica that it may promote."""
        return any(
            replica["master-link-status"] == "ok" and replica["flags"] == "slave"
            for replica in self.sentinel.sentinel_slaves("main")
        )

    def is_failed_over(self) -> bool:
        """Whether the replica is the master now."""
        with self.replica.client() as client:
            return client.info("replication")["role"] == "master"


@contextmanager
def watched_by_sentinel(folder: Path) -> Iterator[Watched]:
    """A master with a replica in step, and a sentinel that knows both."""
    password, port = secrets.token_hex(8), free_port()
    with ExitStack() as stack:
        master = stack.enter_context(running(folder, password=password))
        arguments = ("--replicaof", "127.0.0.1", str(master.port))
        replica = stack.enter_context(
            running(folder, *arguments, "--masterauth", password, password=password)
        )
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\n"
            f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
            f"sentinel auth-pass main {password}\n"
            f"sentinel down-after-milliseconds main {NEVER_MS}\n"
            "sentinel failover-timeout main 6000\n"
        )
        process = subprocess.Popen(
            [server_binary("redis"), str(config), "--sentinel"],
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        with replica.client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        sentinel = stack.enter_context(
            redis.Redis("127.0.0.1", port, decode_responses=True, socket_timeout=60)
        )
        watched = Watched(master, replica, sentinel)
        until(watched.has_replica_in_step)
        yield watched


@contextmanager
def cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """Three masters, each with a third of the slots, and a replica of the first."""
    password = secrets.token_hex(8)
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(NEVER_MS))
    options += ("--masterauth", password, "--cluster-allow-replica-migration", "no")
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                running(
                    *(folder, *options, "--cluster-port", str(free_port())),
                    password=password,
                )
            )
            for _ in range(4)
        ]
        nodes = [stack.enter_context(server.client()) for server in servers]
        ids = [node.execute_command("CLUSTER", "MYID") for node in nodes]
        for number, node in enumerate(nodes[:3]):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in servers[1:]:
            bus = server.extra[server.extra.index("--cluster-port") + 1]
            nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        until(
            lambda: all(
                node.cluster("INFO")["cluster_state"] == "ok"
                and node.cluster("INFO")["cluster_known_nodes"] == "4"
                for node in nodes
            )
        )
        nodes[3].execute_command("CLUSTER", "REPLICATE", ids[0])
        until(lambda: nodes[3].info("replication")["master_link_status"] == "up")
        until(
            lambda: any(
                nodes[3].execute_command("CLUSTER", "REPLICAS", ids[0])
                and node.execute_command("CLUSTER", "REPLICAS", ids[0])
                for node in nodes[1:3]
            )
        )
        yield servers


def kill_node(servers: list[RedisServer], number: int) -> None:
    """Kill a node of a cluster; the others soon see it."""
    for server in servers:
        with server.client() as node:
            node.config_set("cluster-node-timeout", SOON_MS)
    servers[number].kill()
