"""Sending a request again after a temporary error: when, how often, how long.

For single requests within a check. Attempts of a whole job are the queue's affair.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from myia_sdk.certification.diagnosis import Diagnosis, diagnose
from myia_sdk.errors import EndpointAwayError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_SHOWN_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """One retry that was made."""

    #: Number of the attempt that failed, counted from 1.
    attempt: int
    category: str
    #: Seconds waited before the next attempt.
    waited: float
    error: str


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a request returned in the end, and the retries it took."""

    value: T
    retries: tuple[Retry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Retry temporary errors with exponential backoff and jitter.

    How often and from which wait on is the category's, see ``categories.py``.
    """

    #: Greatest number of retries of one request, whatever the category allows.
    max_retries: int = 3
    #: Longest wait of our own choice, seconds; the original runner's.
    cap: float = 16.0
    #: Share by which a wait is lengthened at random, so that clients spread out.
    jitter: float = 0.2
    #: Longest ``Retry-After`` that is waited for, seconds; beyond it we give up.
    max_retry_after: float = 60.0

    def run(
        self,
        request: Callable[[], T],
        *,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> Answer[T]:
        """Call ``request`` until it returns, or its error is not to be retried.

        Parameters
        ----------
        request : callable
            Sends one request and returns its answer.
        sleep : callable, optional
            Waits for a number of seconds.
        rng : random.Random, optional
            Source of the jitter.

        Raises
        ------
        Exception
            The last error, with the retries before it in its attribute ``retries``.
        """
        retries: list[Retry] = []
        source = rng or random.Random()  # noqa: S311 - spreads load, hides nothing
        while True:
            try:
                return Answer(request(), tuple(retries))
            except EndpointAwayError:
                raise
            except Exception as exc:
                diagnosis = diagnose(exc)
                wait = self.wait_after(diagnosis, len(retries) + 1, source)
                if wait is None:
                    _remember(exc, tuple(retries))
                    raise
                retries.append(
                    Retry(
                        attempt=len(retries) + 1,
                        category=diagnosis.category.value,
                        waited=wait,
                        error=f"{type(exc).__name__}: {exc}"[:_SHOWN_CHARACTERS],
                    )
                )
                sleep(wait)

    def wait_after(
        self, diagnosis: Diagnosis, attempt: int, rng: random.Random
    ) -> float | None:
        """Seconds to wait after the failed ``attempt``; ``None`` to give up."""
        facts = diagnosis.category.facts
        # A malformed answer is temporary though its category is unknown: one more try.
        allowed = max(facts.max_retries, 1 if diagnosis.temporary else 0)
        if not diagnosis.temporary or attempt > min(allowed, self.max_retries):
            return None
        if diagnosis.retry_after is not None:
            asked = diagnosis.retry_after.total_seconds()
            return asked if asked <= self.max_retry_after else None
        base = facts.base_delay.total_seconds() or 1.0
        wait: float = min(self.cap, base * 2.0 ** (attempt - 1))
        return wait * (1 + self.jitter * rng.random())


#: For requests whose errors are what is measured.
NO_RETRIES = RetryPolicy(max_retries=0)


def _remember(error: Exception, retries: tuple[Retry, ...]) -> None:
    try:
        error.retries = retries  # type: ignore[attr-defined]
    except AttributeError:
        error.add_note(f"{len(retries)} retries were made before.")
