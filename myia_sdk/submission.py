"""What a submission says about its job, apart from the request itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.options import Backoff, milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from myia_sdk.queue.defaults import QueueDefaults
    from myia_sdk.waiting import Seconds

#: From 2 s as in the original system; half of it random, so that jobs which failed
#: together do not come back together; at most five minutes.
BACKOFF = Backoff(
    type="exponential",
    delay=timedelta(seconds=2),
    jitter=0.5,
    cap=timedelta(minutes=5),
)


#: As CERTIFICATION_MAX_RETRIES allows.
MOST_RETRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Order, timing and labels of jobs that are yet to be added."""

    priority: int = 0
    delay: timedelta | None = None
    timeout: timedelta | None = None
    max_retries: int | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timeout is not None and self.timeout <= timedelta(0):
            raise InvalidJobError(f"timeout is {self.timeout}; it must be positive.")
        _check_retries(self.max_retries)
        for tag in self.tags:
            if not tag.strip() or "," in tag:
                raise InvalidJobError(
                    f"{tag!r} is not a tag: use text without commas, not empty."
                )

    def filled(self, defaults: QueueDefaults) -> Self:
        """Return the draft with the queue's defaults where it says nothing."""
        return replace(
            self,
            timeout=defaults.timeout if self.timeout is None else self.timeout,
            max_retries=(
                defaults.max_retries if self.max_retries is None else self.max_retries
            ),
        )

    def labels(self, **facts: str | None) -> dict[str, str]:
        """Return the labels of a job; empty ones are left out."""
        labels = {name: value for name, value in facts.items() if value}
        if self.tags:
            labels["tags"] = ",".join(tag.strip() for tag in self.tags)
        return labels

    def fields(self) -> dict[str, str]:
        """Return the private hash fields of a job."""
        if self.timeout is None:
            return {}
        return {"timeout": str(milliseconds(self.timeout))}


def _check_retries(value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidJobError(f"max_retries is {value!r}; use an integer.")
    if not 0 <= value <= MOST_RETRIES:
        raise InvalidJobError(
            f"max_retries is {value}; it must be between 0 and {MOST_RETRIES}."
        )


def to_tags(value: Sequence[str]) -> tuple[str, ...]:
    """Return tags as a tuple; one text is one tag, not its letters.

    Raises
    ------
    InvalidJobError
        They are not texts.
    """
    if isinstance(value, str):
        return (value,)
    given: Any = value
    is_list = isinstance(given, list | tuple | set | frozenset)
    if not is_list or not all(isinstance(tag, str) for tag in given):
        raise InvalidJobError(f"tags is {value!r}; give a list of texts.")
    return tuple(given)


def to_timedelta(value: Seconds | None, name: str) -> timedelta | None:
    """Return a duration given as seconds or timedelta.

    Raises
    ------
    InvalidJobError
        It is negative, or no duration.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        raise InvalidJobError(
            f"{name} is {value!r}; give seconds as a number, or a timedelta."
        )
    try:
        duration = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (OverflowError, ValueError) as error:
        raise InvalidJobError(f"{name} is {value!r}: {error}.") from error
    if duration < timedelta(0):
        raise InvalidJobError(f"{name} is {value!r}; it must not be negative.")
    return duration
