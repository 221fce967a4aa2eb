"""From an exception to its category: type and status first, words as a last resort.

Libraries are recognised by the names of their classes and by the attributes that
carry status and code, so none of them is imported here. Message patterns are used
only where nothing else speaks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from myia_sdk.certification.diagnosis.categories import ErrorCategory
from myia_sdk.certification.diagnosis.signs import (
    CODES,
    MALFORMED,
    MISSING_MODEL,
    PATTERNS,
    PROVISIONING,
    STATUSES,
    TYPES,
)

_C = ErrorCategory
#: Categories that a provider uses for more than one cause; its words tell which.
_REFINABLE = frozenset({_C.PERMISSION_ERROR, _C.CONFIGURATION_ERROR, _C.UNAVAILABLE})

#: Greater numbers in a header are taken for nonsense.
_MAX_NUMBER = 1e9
#: How far a chain of causes is followed.
_MAX_CAUSES = 5
_AWAY = frozenset({502, 503, 504})
_CLIENT_ERRORS = range(400, 500)
_ERROR_STATUS = re.compile(r"[45]\d\d")
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What an error means for the measurement."""

    category: ErrorCategory
    #: Whether the same request may succeed later. Usually the category's own; a
    #: malformed answer is of unknown category and worth one more try all the same.
    temporary: bool
    #: HTTP status, where the error carries one.
    status: int | None = None
    #: The provider's own error code, where the error carries one.
    code: str | None = None
    #: How long the provider asks to wait.
    retry_after: timedelta | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the endpoint found fault with the request itself: 400 to 499.

        Not 429, which finds fault with its time.
        """
        return self.status in _CLIENT_ERRORS and self.status != _TOO_MANY_REQUESTS

    @property
    def is_server_fault(self) -> bool:
        """Whether the endpoint answered with a status that is no refusal.

        Not 502, 503 and 504, by which a gateway says that there is no service behind
        it: they are no answer to the request.
        """
        return (
            self.status is not None
            and self.status not in _CLIENT_ERRORS
            and self.status not in _AWAY
        )


def diagnose(exception: BaseException, *, now: datetime | None = None) -> Diagnosis:
    """Find category, permanence and requested wait of an error.

    Parameters
    ----------
    exception : BaseException
        What a model adapter or a check raised. Its causes are consulted when it
        says nothing itself.
    now : datetime, optional
        Present time, for a ``Retry-After`` given as a date; the clock by default.

    Returns
    -------
    Diagnosis
        Of category ``UNKNOWN_ERROR``, not temporary, when nothing is known.
    """
    current: BaseException | None = exception
    for _ in range(_MAX_CAUSES):
        if current is None:
            break
        found = _by_evidence(current)
        if found is not None:
            return _complete(current, found, now or datetime.now(UTC))
        current = current.__cause__
    category = _by_words(str(exception)) or _C.UNKNOWN_ERROR
    return Diagnosis(category=category, temporary=category.facts.temporary)


def _by_evidence(exception: BaseException) -> ErrorCategory | None:
    stated = getattr(exception, "category", None)
    if isinstance(stated, str) and stated in ErrorCategory.__members__:
        return ErrorCategory(stated)
    code, status = _code(exception), _status(exception)
    text = str(exception)
    if code is not None and code in CODES:
        return _refined(CODES[code], text)
    if status is not None and status >= HTTPStatus.BAD_REQUEST:
        return _refined(_by_status(status), text)
    return _by_type(exception)


def _complete(
    exception: BaseException, category: ErrorCategory, now: datetime
) -> Diagnosis:
    temporary = category.facts.temporary or _is_malformed(exception)
    return Diagnosis(
        category=category,
        temporary=temporary,
        status=_status(exception),
        code=_code(exception),
        retry_after=_retry_after(exception, now) if temporary else None,
    )


def _by_status(status: int) -> ErrorCategory:
    known = STATUSES.get(status)
    if known is not None:
        return known
    is_outage = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return _C.TEMPORARILY_UNAVAILABLE if is_outage else _C.CONFIGURATION_ERROR


def _by_type(exception: BaseException) -> ErrorCategory | None:
    for class_ in type(exception).__mro__:
        found = TYPES.get(class_.__name__)
        if found is not None:
            return found
    return None


def _by_words(text: str) -> ErrorCategory | None:
    for category, pattern in PATTERNS:
        if pattern.search(text):
            return category
    return None


def _refined(category: ErrorCategory, text: str) -> ErrorCategory:
    """Tell access that was never granted, or a missing model, from a bad request."""
    if category in _REFINABLE and PROVISIONING.search(text):
        return _C.PROVISIONING_REQUIRED
    if category is _C.CONFIGURATION_ERROR and MISSING_MODEL.search(text):
        return _C.UNAVAILABLE
    return category


def _status(exception: BaseException) -> int | None:
    for holder in (exception, getattr(exception, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return status
    metadata = _botocore(exception).get("ResponseMetadata")
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, Mapping) else None
    if isinstance(status, int):
        return status
    # An error within a stream, or under the status 200, has the status as its code.
    code = str(getattr(exception, "code", ""))
    return int(code) if _ERROR_STATUS.fullmatch(code) else None


def _code(exception: BaseException) -> str | None:
    error = _botocore(exception).get("Error")
    if isinstance(error, Mapping):
        code = error.get("Code")
        # Event streams spell the same codes with a small first letter.
        return code[:1].upper() + code[1:] if isinstance(code, str) else None
    code = getattr(exception, "code", None)
    return code if isinstance(code, str) else None


def _botocore(exception: BaseException) -> Mapping[str, object]:
    response = getattr(exception, "response", None)
    return response if isinstance(response, Mapping) else {}


def _retry_after(exception: BaseException, now: datetime) -> timedelta | None:
    headers = getattr(getattr(exception, "response", None), "headers", None)
    if headers is None:
        metadata = _botocore(exception).get("ResponseMetadata")
        headers = metadata.get("HTTPHeaders") if isinstance(metadata, Mapping) else None
    if headers is None:
        return None
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return timedelta(milliseconds=milliseconds)
    return parse_retry_after(headers.get("retry-after"), now)


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a ``Retry-After`` header: seconds, or an HTTP date.

    Parameters
    ----------
    value : str or None
        Text of the header.
    now : datetime
        Present time, aware.

    Returns
    -------
    timedelta or None
        Never negative and at most one day; ``None`` when the header is absent or
        cannot be read.
    """
    seconds = _number(value)
    if seconds is None and value:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = max((moment - now).total_seconds(), 0.0)
    return None if seconds is None else timedelta(seconds=min(seconds, 86_400))


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number <= _MAX_NUMBER else None


def _is_malformed(exception: BaseException) -> bool:
    names = {class_.__name__ for class_ in type(exception).__mro__}
    return not names.isdisjoint(MALFORMED)
