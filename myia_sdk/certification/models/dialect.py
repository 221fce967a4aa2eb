"""What an endpoint takes, learned from what it refuses.

Reasoning models want another name for the limit of tokens and no temperature, older
servers know no seed, strict ones refuse every field they do not know. What is learned
holds for all requests of a run.
"""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from myia_sdk.certification.request import JSON

#: Fields without which a request still asks for the same, in the order in which their
#: absence harms least.
OPTIONAL = ("stream_options", "seed", "stop", "top_p", "temperature", "max_tokens")
_LIMIT, _NEW_LIMIT = "max_tokens", "max_completion_tokens"
_SYSTEM, _DEVELOPER = "system", "developer"
_ROLE = re.compile(
    r"\bsystem\b.{0,40}\b(role|message|prompt)|\brole\b.{0,60}\bsystem\b"
)


class Dialect:
    """Names, fields and roles that an endpoint takes; safe to share between threads.

    Parameters
    ----------
    optional : tuple of str
        Fields that may be left out. Where the limit of tokens is none of them, the
        protocol has one name for it, and one place for instructions.
    """

    def __init__(self, optional: tuple[str, ...] = OPTIONAL) -> None:
        self._lock = Lock()
        self._optional = optional
        self._limit = _LIMIT
        is_openai = _LIMIT in optional
        self._roles = [_SYSTEM, _DEVELOPER, ""] if is_openai else [_SYSTEM]
        self._absent: set[str] = set()
        self._said: list[str] = []

    @property
    def absent(self) -> frozenset[str]:
        """Fields that the endpoint does not take, by OpenAI's first names."""
        return frozenset(self._absent)

    @property
    def adaptations(self) -> tuple[str, ...]:
        """A sentence for each thing that is sent otherwise."""
        return tuple(self._said)

    def say(self, adaptation: str) -> None:
        """Keep a sentence for the report."""
        with self._lock:
            if adaptation not in self._said:
                self._said.append(adaptation)

    def body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a request as the endpoint takes it."""
        spoken = {key: value for key, value in body.items() if key not in self._absent}
        if _LIMIT in spoken and self._limit != _LIMIT:
            spoken[self._limit] = spoken.pop(_LIMIT)
        spoken["messages"] = self._messages(body["messages"])
        return spoken

    def _messages(self, messages: Sequence[Mapping[str, JSON]]) -> list[dict[str, Any]]:
        role = self._roles[0]
        if role == _SYSTEM:
            return [dict(message) for message in messages]
        if role:
            return [
                {**message, "role": role}
                if message.get("role") == _SYSTEM
                else {**message}
                for message in messages
            ]
        return _folded(messages)

    def learn(self, error: Exception, sent: Mapping[str, Any]) -> bool:
        """Learn from a refusal what it names.

        Parameters
        ----------
        error : Exception
            What the endpoint answered, a status of 400 to 499.
        sent : mapping
            Fields of the request, by OpenAI's first names, with its messages.

        Returns
        -------
        bool
            Whether the same request is now sent otherwise.
        """
        text = f"{getattr(error, 'param', '')} {error}".lower()
        for name in self._optional:
            is_sent = name in sent and name not in self._absent
            if is_sent and re.search(rf"\b{name}\b", text):
                return self.drop(name)
        has_system = any(one.get("role") == _SYSTEM for one in sent["messages"])
        if has_system and (_ROLE.search(text) or _DEVELOPER in text):
            return self.change_role()
        return False

    def drop(self, name: str) -> bool:
        """Send a field under its other name, or no longer; tell whether it is so."""
        if name not in self._optional:
            return False
        if name == _LIMIT and self._limit == _LIMIT:
            self._limit = _NEW_LIMIT
            self.say(f"{_LIMIT} is sent as {_NEW_LIMIT}")
            return True
        with self._lock:
            self._absent.add(name)
        self.say(f"{name} is not sent: the endpoint does not take it")
        return True

    def change_role(self) -> bool:
        """Give instructions in another role; at last within the user's message."""
        if len(self._roles) == 1:
            return False
        with self._lock:
            self._roles.pop(0)
        role = self._roles[0]
        self.say(
            f"system messages are sent in the role {role!r}"
            if role
            else "system messages are sent within the user's first message"
        )
        return True


def _folded(messages: Sequence[Mapping[str, JSON]]) -> list[dict[str, Any]]:
    system = [str(one["content"]) for one in messages if one.get("role") == _SYSTEM]
    rest = [dict(one) for one in messages if one.get("role") != _SYSTEM]
    if system and rest:
        rest[0]["content"] = "\n\n".join([*system, str(rest[0]["content"])])
    return rest
