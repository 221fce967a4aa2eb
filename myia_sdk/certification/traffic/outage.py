"""Noticing early that an endpoint is away, instead of asking it until time is up."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.diagnosis.categories import ErrorCategory
from myia_sdk.errors import (
    EndpointAwayError,
    EndpointOutageError,
    EndpointRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_C = ErrorCategory
#: Reasons that hold for every request to an endpoint, whatever it asks.
_FOR_ALL = frozenset(
    {
        *(_C.AUTHENTICATION_ERROR, _C.PERMISSION_ERROR, _C.UNAVAILABLE),
        *(_C.PROVISIONING_REQUIRED, _C.NETWORK_ERROR, _C.TEMPORARILY_UNAVAILABLE),
    }
)
#: Codes of providers for a quota that waiting does not refill.
_SPENT = ("insufficient_quota", "quota", "billing", "credit")
#: Requests in a row, retries among them, after which a run pauses.
STREAK = 5
#: Seconds of the pauses after which the endpoint is asked again, once each.
PAUSES = (3.0, 8.0)
_SHOWN = 300


class Outage:
    """Counts requests in a row that failed for a reason that affects all.

    Parameters
    ----------
    address : str
        Of the endpoint, for the message; without credentials.
    sleep : callable, optional
        Waits for a number of seconds.
    """

    def __init__(
        self, address: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._address = address
        self._sleep = sleep
        self._lock = Lock()
        self._streak = 0
        self._end: EndpointAwayError | None = None

    def require(self) -> None:
        """Raise when the endpoint was found to be away; call it before each request."""
        if self._end is not None:
            raise self._end

    def answered(self) -> None:
        """Note that the endpoint answered."""
        self._streak = 0

    def failed(self, error: Exception, ask_again: Callable[[], object]) -> None:
        """Note a request that failed; after several in a row ask once more and end.

        Parameters
        ----------
        error : Exception
            Why it failed, after the retries in its attribute ``retries``.
        ask_again : callable
            Sends one request, without retries.

        Raises
        ------
        EndpointAwayError
            The endpoint is away; all further requests of the run raise it too.
        """
        if not is_for_all(error):
            return
        with self._lock:
            self.require()
            self._streak += 1 + len(getattr(error, "retries", ()))
            if self._streak < STREAK:
                return
            for pause in PAUSES:
                self._sleep(pause)
                again = _error_of(ask_again)
                if again is None or not is_for_all(again):
                    self._streak = 0
                    return
                error = again
            self._end = _ended(error, self._address)
            raise self._end from error


def _error_of(request: Callable[[], object]) -> Exception | None:
    try:
        request()
    except Exception as exc:  # noqa: BLE001 - it is what is asked for
        return exc
    return None


def is_for_all(error: Exception) -> bool:
    """Tell whether an error holds for every request, whatever it asks."""
    diagnosis = diagnose(error)
    if diagnosis.category is _C.RATE_LIMIT:
        text = f"{diagnosis.code or ''} {error}".lower()
        return any(sign in text for sign in _SPENT)
    return diagnosis.category in _FOR_ALL


def _ended(error: Exception, address: str) -> EndpointAwayError:
    diagnosis = diagnose(error)
    facts = diagnosis.category.facts
    is_spent = diagnosis.category is _C.RATE_LIMIT
    is_passing = diagnosis.temporary and not is_spent
    kind = EndpointOutageError if is_passing else EndpointRefusedError
    return kind(
        f"Not measured. {diagnosis.category}: {address} answers no request, several "
        f"times in a row and again after a pause: {type(error).__name__}: "
        f"{str(error)[:_SHOWN]}. {facts.message} {facts.suggestions[0]}",
        category=diagnosis.category.value,
    )
