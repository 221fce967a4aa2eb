"""What a run spends: requests, tokens, cost; and the limit that stops it."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import InvalidRequestError, PermanentCertificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.request import JSON, ModelRef

_PER_MILLION = 1_000_000


class BudgetExceededError(PermanentCertificationError):
    """The run reached its cost limit and was stopped.

    Parameters
    ----------
    spent, limit : float
        Cost so far and the limit, in the currency of the price table.
    """

    def __init__(self, spent: float, limit: float) -> None:
        self.spent = spent
        self.limit = limit
        super().__init__(
            f"The run has cost {spent:.4f}, more than its limit of {limit:.4f}; "
            "raise max_cost, or choose a smaller suite.",
            category="CONFIGURATION_ERROR",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Price of a model, per million tokens, in any one currency."""

    prompt: float = 0.0
    completion: float = 0.0

    def __post_init__(self) -> None:
        for name in ("prompt", "completion"):
            value = getattr(self, name)
            if value < 0:
                raise InvalidRequestError(
                    f"The price per million {name} tokens is {value}; "
                    "it must not be negative."
                )

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Cost of one request."""
        return (
            prompt_tokens * self.prompt + completion_tokens * self.completion
        ) / _PER_MILLION


def price_of(
    model: ModelRef, prices: Mapping[str, float], parameters: Mapping[str, object]
) -> Price | None:
    """Return the price of a model: its own option ``prices``, else those given.

    Raises
    ------
    InvalidRequestError
        A limit of the cost is given but no price, so that it could stop nothing.
    """
    found: Any = model.options.get("prices") or prices
    if not found and parameters.get("max_cost") is not None:
        raise InvalidRequestError(
            f"max_cost is {parameters['max_cost']}, but the price of the model is not "
            "known; give options={'prices': {'prompt': ..., 'completion': ...}} of the "
            "model, or prices of the suite, per million tokens."
        )
    return Price(**found) if found else None


@dataclass(slots=True, kw_only=True)
class Budget:
    """Counts what the checks of one run spend; safe to share between threads."""

    price: Price | None = None
    #: Cost at which the run stops, ``None`` for no limit.
    max_cost: float | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def spend(self, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """Count one request that was answered."""
        with self._lock:
            self.requests += 1
            self.prompt_tokens += prompt_tokens
            self.completion_tokens += completion_tokens
            if self.price is not None:
                self.cost += self.price.of(prompt_tokens, completion_tokens)

    def require(self) -> None:
        """Raise when the limit is reached; call it before each request."""
        if self.max_cost is not None and self.cost >= self.max_cost:
            raise BudgetExceededError(self.cost, self.max_cost)

    def to_record(self) -> dict[str, JSON]:
        """Return what was spent."""
        return {
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost": round(self.cost, 8) if self.price is not None else None,
            "max_cost": self.max_cost,
        }
