"""What a check is given, and what it gives back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Self, cast

from myia_sdk.certification.checks.outcomes import Outcome, Severity
from myia_sdk.certification.data.samples import SampleLog
from myia_sdk.certification.traffic import Budget, Outage, RetryPolicy, Traffic
from myia_sdk.certification.traffic.traffic import at_once, concurrency_of, interval_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from myia_sdk.certification.checks.thresholds import Threshold
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.models import Model
    from myia_sdk.certification.request import JSON, CertificationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a check returns.

    Without ``outcome`` the value is judged by the threshold, with its rule.
    """

    value: float | None = None
    outcome: Outcome | None = None
    #: Bounds of the 95 % confidence interval of ``value``.
    ci: tuple[float, float] | None = None
    #: How many observations the value rests on.
    n: int | None = None
    message: str = ""
    unit: str = ""
    suggestions: tuple[str, ...] = ()
    #: Further numbers; made JSON by the runner.
    details: Mapping[str, object] = field(default_factory=dict)
    #: Whether these observations are too few to decide, and how many would do.
    undecided: bool = False
    needed: int | None = None
    #: Error category, when the check knows it better than its outcome tells.
    category: str | None = None
    #: Requests sent again.
    retries: int = 0
    #: Replaces the suite's severity, for abilities that the model declared.
    severity: Severity | None = None
    #: Replaces the suite's threshold, where the data decide it.
    threshold: Threshold | None = None

    @classmethod
    def skipped(cls, why: str) -> Self:
        """Say that the check does not apply, and why."""
        return cls(outcome=Outcome.SKIPPED, message=why)


class Shared:
    """Values that several checks of one run need, each computed once."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    def get(self, key: str, make: Callable[[], object]) -> object:
        """Return the value of ``key``, made by the first who asks."""
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            if key not in self._values:
                self._values[key] = make()
            return self._values[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What a check may use."""

    #: Id of the check within its suite.
    check_id: str
    model: Model
    dataset: Dataset | None
    #: The check's own defaults, overlaid with the suite's and the request's values.
    params: Mapping[str, JSON]
    thresholds: Threshold
    #: Seed of the run; the same seed gives the same measurement.
    seed: int
    request: CertificationRequest
    sample_log: SampleLog = field(default_factory=SampleLog)
    budget: Budget = field(default_factory=Budget)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    shared: Shared = field(default_factory=Shared)
    #: Reserves the next start of a request among all runs on the endpoint, at the rate
    #: that the request allows; returns the seconds until then.
    pace: Callable[[], float] = at_once
    #: The model this one is compared with, if the request names one.
    baseline: Model | None = None

    @property
    def traffic(self) -> Traffic:
        """The run's requests, paced by the request's ``requests_per_second``."""
        interval, limit = interval_of(self.request), concurrency_of(self.request)
        made = self.shared.get(
            "traffic", lambda: Traffic(interval, limit, pace=self.pace)
        )
        return cast("Traffic", made)

    @property
    def outage(self) -> Outage:
        """What the run knows of its endpoint being away."""
        made = self.shared.get("outage", lambda: Outage(self.request.endpoint))
        return cast("Outage", made)

    @property
    def rng(self) -> np.random.Generator:
        """A new random generator, made of the seed and the check's id.

        Each access starts the same stream again; keep it in a variable.
        """
        import numpy as np

        digest = hashlib.sha256(self.check_id.encode()).digest()
        return np.random.default_rng([self.seed, int.from_bytes(digest[:8], "big")])
