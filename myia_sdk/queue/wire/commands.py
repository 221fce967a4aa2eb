"""Several commands in one round trip, on one server or on a cluster."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.cluster import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from myia_sdk.queue.wire.clients import RedisClient

Command = tuple[str | float, ...]


def send_all(
    redis: RedisClient, commands: Sequence[Command], *, transaction: bool = False
) -> list[Any]:
    """Send commands in one round trip; the first error is raised."""
    try:
        return _send(redis, commands, transaction=transaction)
    except OutOfMemoryError:
        # Redis 7.0 lets nothing into a transaction while its memory is full,
        # and a full queue must still be looked at.
        if not transaction:
            raise
        return _send(redis, commands, transaction=False)


def _send(
    redis: RedisClient, commands: Sequence[Command], *, transaction: bool
) -> list[Any]:
    if not commands:
        return []
    with redis.pipeline(transaction=transaction) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        try:
            return list(pipe.execute())
        except (RedisConnectionError, RedisTimeoutError):
            _look_for_nodes(redis)
            raise


def _look_for_nodes(redis: RedisClient) -> None:
    """Ask a cluster who took over: redis-py does not, after a transaction."""
    if isinstance(redis, RedisCluster):
        with suppress(RedisError):
            redis.nodes_manager.initialize()


def list_clients(redis: RedisClient) -> list[dict[str, str]]:
    """Return the client connections of the server, or of all nodes."""
    if not isinstance(redis, RedisCluster):
        return list(redis.client_list())
    by_node: Any = redis.client_list(target_nodes=RedisCluster.ALL_NODES)
    return [client for clients in by_node.values() for client in clients]
