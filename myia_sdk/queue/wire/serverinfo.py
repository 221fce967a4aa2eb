"""What the server tells about itself, for the Redis box and the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """Version, memory, clients and persistence of the server; sizes in bytes."""

    #: ``redis`` or ``valkey``.
    product: str
    version: str
    #: ``standalone``, ``sentinel`` or ``cluster``.
    mode: str
    os: str
    port: int
    uptime: timedelta
    used_memory: int
    used_memory_peak: int
    #: 0 means no limit.
    max_memory: int
    total_system_memory: int
    fragmentation_ratio: float
    #: A queue needs ``noeviction``: any other policy deletes jobs.
    eviction_policy: str
    connected_clients: int
    blocked_clients: int
    #: Whether every write goes to the append-only file.
    has_append_only_file: bool
    #: Whether the last writes to disk succeeded.
    is_persistence_healthy: bool
    #: ``master`` or ``slave``, the server's words.
    role: str

    @property
    def is_evicting(self) -> bool:
        """Whether the server may delete keys of the queue when memory runs out."""
        return self.eviction_policy not in {"noeviction", ""}

    @classmethod
    def from_info(cls, info: Mapping[str, object]) -> Self:
        """Read the answer of ``INFO``; what a server leaves out is empty or 0."""

        def text(name: str) -> str:
            return str(info.get(name, ""))

        def number(name: str) -> int:
            return int(float(text(name) or 0))

        healthy = ("rdb_last_bgsave_status", "aof_last_write_status")
        return cls(
            product=text("server_name") or "redis",
            version=text("valkey_version") or text("redis_version"),
            mode=text("server_mode") or text("redis_mode"),
            os=text("os"),
            port=number("tcp_port"),
            uptime=timedelta(seconds=number("uptime_in_seconds")),
            used_memory=number("used_memory"),
            used_memory_peak=number("used_memory_peak"),
            max_memory=number("maxmemory"),
            total_system_memory=number("total_system_memory"),
            fragmentation_ratio=float(text("mem_fragmentation_ratio") or 0),
            eviction_policy=text("maxmemory_policy"),
            connected_clients=number("connected_clients"),
            blocked_clients=number("blocked_clients"),
            has_append_only_file=number("aof_enabled") == 1,
            is_persistence_healthy=all(text(name) in {"ok", ""} for name in healthy),
            role=text("role"),
        )
