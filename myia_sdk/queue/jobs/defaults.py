"""Defaults that a queue gives to jobs whose submitter says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from myia_sdk.errors import ConfigurationError
from myia_sdk.queue.jobs.options import milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDefaults:
    """What every client of this SDK uses for a queue unless told otherwise.

    Kept in Redis, so that whoever runs the queue sets them once for all
    submitters. They stand between an explicit argument and the settings.

    Parameters
    ----------
    timeout : timedelta, optional
        Longest run of one attempt.
    max_retries : int, optional
        Retries after the first attempt.

    Raises
    ------
    ConfigurationError
        The time-out is not positive, or the retries are negative.
    """

    timeout: timedelta | None = None
    max_retries: int | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and milliseconds(self.timeout) < 1:
            raise ConfigurationError(
                f"A default timeout of {self.timeout} is not possible; it must be "
                "at least a millisecond."
            )
        if self.max_retries is not None and self.max_retries < 0:
            raise ConfigurationError(
                f"A default of {self.max_retries} retries is not possible; use 0 or "
                "more."
            )

    def to_hash(self) -> dict[str, str]:
        """Return the hash fields; what is not set is left out."""
        found: dict[str, str] = {}
        if self.timeout is not None:
            found["timeout"] = str(milliseconds(self.timeout))
        if self.max_retries is not None:
            found["max_retries"] = str(self.max_retries)
        return found

    @classmethod
    def from_hash(cls, fields: Mapping[str, str]) -> Self:
        """Read hash fields; what is no number counts as not set."""
        timeout, retries = (_number(fields.get(n)) for n in ("timeout", "max_retries"))
        return cls(
            timeout=timedelta(milliseconds=timeout) if timeout else None,
            max_retries=retries,
        )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
