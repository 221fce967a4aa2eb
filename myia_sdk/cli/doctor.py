"""What ``myia doctor`` looks at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from myia_sdk.errors import MyiaError
from myia_sdk.queue.jobs import JobState
from myia_sdk.settings import Settings
from myia_sdk.settings.settings import DEFAULT_BOARD_PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from myia_sdk.facade import Client
    from myia_sdk.queue.wire import ServerInfo

#: Waiting longer than this while workers live is worth a look.
LONG_WAIT = timedelta(minutes=30)
#: Oldest server whose commands the scripts use.
OLDEST = {"redis": (6, 2), "valkey": (7, 2)}
#: First patch level of each series without CVE-2025-49844 (Lua, remote code execution
#: by who may run scripts) and its three companions; from the projects' release notes.
PATCHED: dict[str, dict[tuple[int, ...], int]] = {
    "redis": {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
    "valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1", "unix://")


class Mark(Enum):
    """How bad a finding is."""

    GOOD = auto()
    WARNING = auto()
    BAD = auto()


class Sign(NamedTuple):
    """How a mark is shown."""

    word: str
    style: str


MARKS = {
    Mark.GOOD: Sign("ok", "green"),
    Mark.WARNING: Sign("warn", "yellow"),
    Mark.BAD: Sign("bad", "red"),
}


class Finding(NamedTuple):
    """One thing that was looked at."""

    mark: Mark
    subject: str
    text: str
    advice: str = ""


def examine() -> list[Finding]:
    """Look at settings, server, queue and workers."""
    from myia_sdk.facade import Client

    try:
        settings = Settings()
    except MyiaError as error:
        return [Finding(Mark.BAD, "settings", str(error), "Correct .env or the shell.")]
    findings = list(_settings(settings))
    try:
        with Client(settings) as client:
            findings.append(Finding(Mark.GOOD, "server", client.describe()))
            for look in (_server, _security, _artifacts, _queue):
                findings += look(client)
    except MyiaError as error:
        findings.append(Finding(Mark.BAD, "server", str(error)))
    return findings


def _settings(settings: Settings) -> Iterator[Finding]:
    yield Finding(Mark.GOOD, "settings", f"valid, profile {settings.myia_profile}")
    if settings.bull_board_password.get_secret_value() == DEFAULT_BOARD_PASSWORD:
        is_open = settings.bull_board_host not in {"127.0.0.1", "localhost"}
        yield Finding(
            Mark.BAD if is_open else Mark.WARNING,
            "board password",
            "it is the published default",
            "Set BULL_BOARD_USERNAME and BULL_BOARD_PASSWORD.",
        )
    if settings.myia_signing_key is None:
        yield Finding(
            Mark.WARNING,
            "signing key",
            "certificates are signed with a development key, and say so",
            "Make one with `myia keys new` and set MYIA_SIGNING_KEY.",
        )


def _server(client: Client) -> Iterator[Finding]:
    info = client.administration.info()
    yield _version(info)
    if info.has_append_only_file:
        yield Finding(Mark.GOOD, "persistence", "append-only file")
    else:
        yield Finding(
            Mark.BAD if client.settings.myia_profile == "production" else Mark.WARNING,
            "persistence",
            "no append-only file: a restart of the server may lose accepted jobs",
            "Set `appendonly yes` in its configuration.",
        )
    if not info.is_persistence_healthy:
        yield Finding(
            Mark.BAD,
            "persistence",
            "the last write to disk failed",
            "Look at the server's log and its free disk space.",
        )
    if info.is_evicting:
        yield Finding(
            Mark.BAD,
            "eviction",
            f"maxmemory-policy is {info.eviction_policy}: the server may delete jobs",
            "Set `maxmemory-policy noeviction`.",
        )
    else:
        yield Finding(Mark.GOOD, "eviction", info.eviction_policy)


def _version(info: ServerInfo) -> Finding:
    numbers = tuple(int(part) for part in info.version.split(".") if part.isdigit())
    name = f"{info.product} {info.version}"
    if numbers[:2] < OLDEST.get(info.product, (0, 0)):
        return Finding(
            Mark.BAD, "version", f"{name} is too old", "Use Redis 6.2 or later."
        )
    series = PATCHED.get(info.product, {})
    patched = series.get(numbers[:2])
    is_behind = patched is not None and numbers[2:3] < (patched,)
    is_unmaintained = patched is None and bool(series) and numbers[:2] < max(series)
    if is_behind or is_unmaintained:
        return Finding(
            Mark.WARNING,
            "version",
            f"{name} may lack the fix of CVE-2025-49844",
            "Update it, unless your distribution has patched this version.",
        )
    return Finding(Mark.GOOD, "version", name)


def _security(client: Client) -> Iterator[Finding]:
    options = client.settings.connection_options()
    is_local = any(host in options.address for host in LOOPBACK)
    has_password = bool(options.password) or "***@" in options.address
    if has_password:
        yield Finding(Mark.GOOD, "password", "the server asks for one")
    else:
        yield Finding(
            Mark.WARNING if is_local else Mark.BAD,
            "password",
            "none is used: whoever reaches the server owns the queue",
            "Set `requirepass` or ACL users, and REDIS_PASSWORD; close port 6379.",
        )
    if not is_local and not options.address.startswith("rediss"):
        yield Finding(
            Mark.WARNING,
            "encryption",
            "the connection to another host is not encrypted",
            "Use TLS (REDIS_TLS=true) outside a private network.",
        )


def _artifacts(client: Client) -> Iterator[Finding]:
    try:
        digest = client.artifacts.put_bytes(b"myia doctor")
        client.artifacts.read_bytes(digest)
    except (MyiaError, OSError) as error:
        yield Finding(
            Mark.BAD,
            "artifacts",
            str(error),
            "Set MYIA_ARTIFACTS to a place that clients and workers can write.",
        )
    else:
        yield Finding(Mark.GOOD, "artifacts", client.settings.artifacts_url)


def _queue(client: Client) -> Iterator[Finding]:
    workers = client.administration.workers()
    counts = client.queue.counts()
    pending = counts[JobState.WAITING] + counts[JobState.PRIORITIZED]
    if workers:
        yield Finding(Mark.GOOD, "workers", f"{len(workers)} connected")
    else:
        yield Finding(
            Mark.BAD if pending else Mark.WARNING,
            "workers",
            f"none, and {pending} jobs wait",
            "Start one with `myia worker`, with the same settings.",
        )
    if client.queue.is_paused():
        yield Finding(
            Mark.WARNING, "queue", "paused", "`myia resume` lets workers take jobs."
        )
    yield from _stuck(client, bool(workers))


def _stuck(client: Client, has_workers: bool) -> Iterator[Finding]:  # noqa: FBT001
    orphans = [
        job.id
        for job in client.queue.page(JobState.ACTIVE, 0, 999)
        if not client.queue.command("EXISTS", client.queue.keys.lock(job.id))
        # One that ended meanwhile has no lease either.
        and client.queue.state(job.id) is JobState.ACTIVE
    ]
    if orphans:
        yield Finding(
            Mark.WARNING,
            "stuck jobs",
            f"{len(orphans)} run without a lease: {', '.join(orphans[:3])}",
            "A worker puts them back within seconds; start one if none runs.",
        )
    oldest = client.queue.page(JobState.WAITING, 0, 0, newest_first=False)
    created = oldest[0].created_at if oldest else None
    if created and has_workers and datetime.now(UTC) - created > LONG_WAIT:
        yield Finding(
            Mark.WARNING,
            "stuck jobs",
            f"{oldest[0].id} waits since {created:%Y-%m-%d %H:%M} UTC",
            "Are the workers busy, or the queue paused or limited? See `myia status`.",
        )
    elif not orphans:
        yield Finding(Mark.GOOD, "stuck jobs", "none")
