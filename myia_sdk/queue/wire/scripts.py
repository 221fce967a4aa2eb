"""The Lua scripts: one atomic state transition a file, fragments in ``scripts/lib``.

A script names the fragments it uses in a line ``-- include: target wake``. Every
fragment may include others; each is put in once, before its users. All scripts take
the start of the queue's keys (`Keys.base`) as their only key and plain strings.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.resources.abc import Traversable

    from myia_sdk.queue.wire.clients import RedisClient

_INCLUDE = re.compile(r"^-- include: (?P<names>[a-z -]+)$", re.MULTILINE)

Argument = str | int | float


@dataclass(frozen=True, slots=True)
class Script:
    """Source of a script with its fragments, and the name Redis caches it under."""

    name: str
    source: str
    sha: str


def _folder() -> Traversable:
    return files("myia_sdk.queue").joinpath("scripts")


def _with_fragments(text: str, seen: list[str]) -> str:
    parts = []
    for line in _INCLUDE.finditer(text):
        for name in line["names"].split():
            if name not in seen:
                seen.append(name)
                fragment = _folder().joinpath("lib", f"{name}.lua").read_text("utf-8")
                parts.append(_with_fragments(fragment, seen))
    return "\n".join((*parts, _INCLUDE.sub("", text).strip(), ""))


@cache
def script(name: str) -> Script:
    """Return the script of this name, ready to be sent.

    Parameters
    ----------
    name : str
        File name in ``queue/scripts`` without ``.lua``.
    """
    text = _folder().joinpath(f"{name}.lua").read_text("utf-8")
    source = _with_fragments(text, [])
    digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, digest)


def _evalsha(name: str, base: str, arguments: Sequence[Argument]) -> tuple[Any, ...]:
    return ("EVALSHA", script(name).sha, 1, base, *arguments)


def run(redis: RedisClient, name: str, base: str, *arguments: Argument) -> Any:
    """Run a script and return its answer.

    The source is sent only when the server does not know it: after its first
    start, a fail-over or ``SCRIPT FLUSH``.

    Parameters
    ----------
    redis : RedisClient
        Connection to the server.
    name : str
        Name of the script.
    base : str
        `Keys.base` of the queue.
    *arguments : str or int or float
        ``ARGV`` of the script.
    """
    send: Callable[..., Any] = redis.execute_command
    try:
        return send(*_evalsha(name, base, arguments))
    except NoScriptError:
        redis.script_load(script(name).source)
        return send(*_evalsha(name, base, arguments))


def run_many(
    redis: RedisClient, name: str, base: str, calls: Sequence[Sequence[Argument]]
) -> list[Any]:
    """Run a script once per element of `calls` in one round trip.

    Returns
    -------
    list
        The answers in order; an exception object in place of a refused one.
    """
    answers = _send(redis, name, base, calls)
    unknown = [i for i, one in enumerate(answers) if isinstance(one, NoScriptError)]
    if unknown:
        redis.script_load(script(name).source)
        again = _send(redis, name, base, [calls[i] for i in unknown])
        for i, answer in zip(unknown, again, strict=True):
            answers[i] = answer
    return answers


def _send(
    redis: RedisClient, name: str, base: str, calls: Sequence[Sequence[Argument]]
) -> list[Any]:
    with redis.pipeline(transaction=False) as pipe:
        for arguments in calls:
            pipe.execute_command(*_evalsha(name, base, arguments))
        return list(pipe.execute(raise_on_error=False))
