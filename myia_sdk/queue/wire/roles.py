"""The least rights in Redis of each role: what ``ACL SETUSER`` should grant."""

from __future__ import annotations

from dataclasses import dataclass

from myia_sdk.queue.wire.keys import Keys

#: Greeting a server: every client sends these.
_HELLO = ("ping", "hello", "auth", "select", "client|setname", "time")
_READ = (
    "exists", "get", "hexists", "hgetall", "hmget", "llen", "lpos", "lrange",
    "xrange", "xread", "xrevrange", "zcard", "zrange", "zrevrange", "zscore",
    "multi", "exec", "client|list", "info",
)  # fmt: skip
_SCRIPTS = ("evalsha", "script|load")
_SUBMIT = (
    "del", "hget", "hkeys", "hset", "incr", "lpush", "persist", "rpush", "sadd",
    "set", "ttl", "type", "xadd", "zadd", "zrem", "zrevrangebyscore",
)  # fmt: skip
_WORK = (
    "bzpopmin", "hdel", "hincrby", "lrem", "ltrim", "pexpire", "pttl", "rpoplpush",
    "scard", "smembers", "srem", "xtrim", "zpopmin", "zrangebyscore",
    "expire", "hlen", "zcount", "zremrangebyscore",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one kind of user of a queue may do.

    Parameters
    ----------
    name : str
        ``viewer``, ``submitter``, ``worker`` or ``operator``.
    commands : tuple of str
        Commands it needs, sub-commands after a bar.
    may_write : bool
        Whether it may change keys.
    """

    name: str
    commands: tuple[str, ...]
    may_write: bool

    def rules(self, queue: str, prefix: str = "myia") -> list[str]:
        """Return the rules after ``ACL SETUSER <user> on ><password>``.

        Parameters
        ----------
        queue, prefix : str
            The queue the user may touch; no other key is granted.
        """
        keys = Keys(prefix, queue)
        mark = "~" if self.may_write else "%R~"
        return [
            "resetkeys",
            f"{mark}{keys.base}*",
            f"{mark}{keys.sdk('*')}",
            "resetchannels",
            "-@all",
            *(f"+{command}" for command in self.commands),
        ]


#: Watches: counts, listings, one job, logs, events, search.
VIEWER = Role(name="viewer", commands=(*_HELLO, *_READ), may_write=False)
#: Watches and adds jobs.
SUBMITTER = Role(
    name="submitter",
    commands=(*_HELLO, *_READ, *_SCRIPTS, *_SUBMIT),
    may_write=True,
)
#: Runs jobs: claims, renews, reports, ends; a worker may do all a submitter may.
WORKER = Role(
    name="worker",
    commands=(*_HELLO, *_READ, *_SCRIPTS, *_SUBMIT, *_WORK),
    may_write=True,
)
#: Administers the queue: all that a worker may, and pause, clean, obliterate ...
OPERATOR = Role(
    name="operator",
    commands=(*WORKER.commands, "rename"),
    may_write=True,
)
ROLES = (VIEWER, SUBMITTER, WORKER, OPERATOR)
