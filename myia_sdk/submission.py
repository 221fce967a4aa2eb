"""What a submission says about its job, apart from the request itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from myia_sdk.arguments import to_count, to_texts
from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.options import Backoff, milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from myia_sdk.queue.defaults import QueueDefaults

#: From 2 s as in the original system; half of it random, so that jobs which failed
#: together do not come back together; at most five minutes.
BACKOFF = Backoff(
    type="exponential",
    delay=timedelta(seconds=2),
    jitter=0.5,
    cap=timedelta(minutes=5),
)
#: As CERTIFICATION_MAX_RETRIES and CERTIFICATION_TIMEOUT allow.
MOST_RETRIES = 100
LONGEST_RUN = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Order, timing and labels of jobs that are yet to be added."""

    priority: int = 0
    delay: timedelta | None = None
    timeout: timedelta | None = None
    max_retries: int | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timeout is not None and not timedelta(0) < self.timeout <= LONGEST_RUN:
            raise InvalidJobError(
                f"timeout is {self.timeout}; it must be positive, at most 7 days."
            )
        if self.max_retries is not None:
            to_count(self.max_retries, "max_retries", least=0, most=MOST_RETRIES)
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


def to_tags(value: Sequence[str]) -> tuple[str, ...]:
    """Return tags as a tuple; one text is one tag, not its letters.

    Raises
    ------
    InvalidJobError
        They are not texts.
    """
    return (value,) if isinstance(value, str) else to_texts(value, "tags")
