"""Parameters of a request: which there are, and what they may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from myia_sdk.errors import InvalidRequestError

_NUMBER = (int, float)
#: Those that are numbers more than 0.
_POSITIVE: Mapping[str, Any] = {
    "concurrency": int,
    "requests_per_second": _NUMBER,
    "request_timeout": _NUMBER,
    "max_cost": _NUMBER,
}
_KNOWN: Mapping[str, Any] = {
    "seed": int,
    **_POSITIVE,
    "checks": Mapping,
    "baseline": object,
}


def require_parameters(parameters: object) -> None:
    """Refuse parameters that are unknown, of the wrong type or out of range.

    Raises
    ------
    InvalidRequestError
        The message names the parameter and what it must be.
    """
    if not isinstance(parameters, Mapping):
        raise InvalidRequestError(
            f"The parameters are a {type(parameters).__name__}; give a mapping."
        )
    for key, value in parameters.items():
        wanted = _KNOWN.get(key)
        if wanted is None:
            raise InvalidRequestError(
                f"Unknown parameter {key!r}; there are: {', '.join(_KNOWN)}."
            )
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise InvalidRequestError(
                f"The parameter {key!r} is {value!r}, a {type(value).__name__}; "
                "see CertificationRequest.parameters."
            )
        if key in _POSITIVE and not 0 < value < math.inf:
            raise InvalidRequestError(
                f"The parameter {key!r} is {value!r}; it must be more than 0."
            )
