"""What statuses, codes, classes and words of foreign errors mean.

Message patterns never look for bare numbers: a request id holding "403" or a time of
"1429 ms" says nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from myia_sdk.certification.diagnosis.categories import ErrorCategory

if TYPE_CHECKING:
    from collections.abc import Mapping

_C = ErrorCategory

#: HTTP statuses; others from 500 on are outages, from 400 on faults of the request.
STATUSES: Mapping[int, ErrorCategory] = {
    401: _C.AUTHENTICATION_ERROR,
    402: _C.PROVISIONING_REQUIRED,
    403: _C.PERMISSION_ERROR,
    404: _C.UNAVAILABLE,
    408: _C.TIMEOUT,
    409: _C.TEMPORARILY_UNAVAILABLE,
    410: _C.UNAVAILABLE,
    425: _C.TEMPORARILY_UNAVAILABLE,
    429: _C.RATE_LIMIT,
    501: _C.CONFIGURATION_ERROR,
    504: _C.TIMEOUT,
    524: _C.TIMEOUT,
}

#: Error codes of AWS services and of OpenAI-compatible servers.
CODES: Mapping[str, ErrorCategory] = {
    "ResourceNotFoundException": _C.UNAVAILABLE,
    "ModelNotFoundException": _C.UNAVAILABLE,
    "model_not_found": _C.UNAVAILABLE,
    "AccessDeniedException": _C.PERMISSION_ERROR,
    "AccessDenied": _C.PERMISSION_ERROR,
    "UnauthorizedException": _C.PERMISSION_ERROR,
    "UnrecognizedClientException": _C.AUTHENTICATION_ERROR,
    "InvalidClientTokenId": _C.AUTHENTICATION_ERROR,
    "InvalidAccessKeyId": _C.AUTHENTICATION_ERROR,
    "InvalidSignatureException": _C.AUTHENTICATION_ERROR,
    "SignatureDoesNotMatch": _C.AUTHENTICATION_ERROR,
    "IncompleteSignature": _C.AUTHENTICATION_ERROR,
    "MissingAuthenticationToken": _C.AUTHENTICATION_ERROR,
    "ExpiredToken": _C.AUTHENTICATION_ERROR,
    "ExpiredTokenException": _C.AUTHENTICATION_ERROR,
    "RequestExpired": _C.AUTHENTICATION_ERROR,
    "invalid_api_key": _C.AUTHENTICATION_ERROR,
    "ValidationException": _C.CONFIGURATION_ERROR,
    "InvalidParameterException": _C.CONFIGURATION_ERROR,
    "ConflictException": _C.CONFIGURATION_ERROR,
    "context_length_exceeded": _C.CONFIGURATION_ERROR,
    "insufficient_quota": _C.PROVISIONING_REQUIRED,
    "billing_not_active": _C.PROVISIONING_REQUIRED,
    "Throttling": _C.RATE_LIMIT,
    "ThrottlingException": _C.RATE_LIMIT,
    "TooManyRequestsException": _C.RATE_LIMIT,
    "ServiceQuotaExceededException": _C.RATE_LIMIT,
    "RequestLimitExceeded": _C.RATE_LIMIT,
    "rate_limit_exceeded": _C.RATE_LIMIT,
    "ModelTimeoutException": _C.TIMEOUT,
    "RequestTimeout": _C.TIMEOUT,
    "RequestTimeoutException": _C.TIMEOUT,
    "ServiceUnavailable": _C.TEMPORARILY_UNAVAILABLE,
    "ServiceUnavailableException": _C.TEMPORARILY_UNAVAILABLE,
    "ModelNotReadyException": _C.TEMPORARILY_UNAVAILABLE,
    "ModelErrorException": _C.TEMPORARILY_UNAVAILABLE,
    "ModelStreamErrorException": _C.TEMPORARILY_UNAVAILABLE,
    "InternalServerException": _C.TEMPORARILY_UNAVAILABLE,
    "InternalFailure": _C.TEMPORARILY_UNAVAILABLE,
    "InternalServerError": _C.TEMPORARILY_UNAVAILABLE,
}

#: Names of exception classes, most specific bases first in each class's own order.
TYPES: Mapping[str, ErrorCategory] = {
    "APITimeoutError": _C.TIMEOUT,
    "ConnectTimeoutError": _C.NETWORK_ERROR,
    "ConnectTimeout": _C.NETWORK_ERROR,
    "ReadTimeoutError": _C.TIMEOUT,
    "TimeoutException": _C.TIMEOUT,
    "TimeoutError": _C.TIMEOUT,
    "APIConnectionError": _C.NETWORK_ERROR,
    "EndpointConnectionError": _C.NETWORK_ERROR,
    "ConnectionClosedError": _C.NETWORK_ERROR,
    "ResponseStreamingError": _C.NETWORK_ERROR,
    "HTTPClientError": _C.NETWORK_ERROR,
    "TransportError": _C.NETWORK_ERROR,
    "ConnectionError": _C.NETWORK_ERROR,
    "IncompleteReadError": _C.NETWORK_ERROR,
    "gaierror": _C.NETWORK_ERROR,
    "SSLError": _C.NETWORK_ERROR,
    "NoCredentialsError": _C.AUTHENTICATION_ERROR,
    "PartialCredentialsError": _C.AUTHENTICATION_ERROR,
    "CredentialRetrievalError": _C.AUTHENTICATION_ERROR,
    "TokenRetrievalError": _C.AUTHENTICATION_ERROR,
    "NoAuthTokenError": _C.AUTHENTICATION_ERROR,
    "UnauthorizedSSOTokenError": _C.AUTHENTICATION_ERROR,
    "SSOTokenLoadError": _C.AUTHENTICATION_ERROR,
    "NoRegionError": _C.CONFIGURATION_ERROR,
    "InvalidRegionError": _C.CONFIGURATION_ERROR,
    "UnknownEndpointError": _C.CONFIGURATION_ERROR,
    "EndpointResolutionError": _C.CONFIGURATION_ERROR,
    "EndpointProviderError": _C.CONFIGURATION_ERROR,
    "ParamValidationError": _C.CONFIGURATION_ERROR,
    "ConfigurationError": _C.CONFIGURATION_ERROR,
    "MissingExtraError": _C.CONFIGURATION_ERROR,
    "ModelRejectedError": _C.CONFIGURATION_ERROR,
    "ContentFilterFinishReasonError": _C.QUALITY_ISSUE,
    "LengthFinishReasonError": _C.QUALITY_ISSUE,
    "AssertionError": _C.QUALITY_ISSUE,
    "JSONDecodeError": _C.UNKNOWN_ERROR,
    "APIResponseValidationError": _C.UNKNOWN_ERROR,
    "UnicodeDecodeError": _C.UNKNOWN_ERROR,
    "MalformedAnswerError": _C.UNKNOWN_ERROR,
}

#: Classes of errors about answers that cannot be read.
MALFORMED = frozenset(
    {
        "APIResponseValidationError",
        "JSONDecodeError",
        "MalformedAnswerError",
        "UnicodeDecodeError",
    }
)


def _words(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


#: Access that was never granted, behind whichever code.
PROVISIONING = _words(
    r"on-demand throughput|provisioned throughput|\bmodel access\b"
    r"|access to the model\b|\bmodel\b.{0,80}\bnot enabled\b"
    r"|\b(enable|request)\b.{0,40}\bmodel\b.{0,20}\baccess\b|provisioning.{0,20}required"
)
#: A model that is not there, behind whichever code.
MISSING_MODEL = _words(
    r"\bmodel identifier is invalid\b|\bmodel\b.{0,80}\b(does not exist|not found)\b"
    r"|\bno such model\b"
)
#: Words of messages, for errors that carry nothing else; the first that fits decides.
PATTERNS: tuple[tuple[ErrorCategory, re.Pattern[str]], ...] = (
    (_C.PROVISIONING_REQUIRED, PROVISIONING),
    (
        _C.NETWORK_ERROR,
        _words(
            r"\bconnection (timed out|refused|reset|failed|aborted|closed)\b"
            r"|\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT)\b|\bsocket hang up\b"
            r"|\bnetwork (error|is unreachable|unreachable)\b"
            r"|\bpeer closed connection\b"
        ),
    ),
    (
        _C.AUTHENTICATION_ERROR,
        _words(
            r"\bincorrect api key\b|\binvalid (api key|credentials)\b"
            r"|\bauthentication failed\b|\bExpiredToken\b|\b(token|credentials)\b"
            r".{0,40}\b(expired|invalid)\b|\bSignatureDoesNotMatch\b"
        ),
    ),
    (
        _C.PERMISSION_ERROR,
        _words(
            r"\baccess ?denied\b|\bAccessDeniedException\b|\bpermission denied\b"
            r"|\bnot authorized\b|\binsufficient permissions\b|\bforbidden\b"
        ),
    ),
    (
        _C.RATE_LIMIT,
        _words(
            r"\bThrottl(ing|ed)\w*|\brate[ -]?limit|\btoo many (requests|tokens)\b"
            r"|\bquota exceeded\b|\brequest limit\b"
        ),
    ),
    # LM Studio says so, under the status 200, of any path it does not know.
    (_C.UNAVAILABLE, _words(r"\bunexpected endpoint or method\b")),
    (_C.UNAVAILABLE, MISSING_MODEL),
    (
        _C.TEMPORARILY_UNAVAILABLE,
        _words(
            r"\bServiceUnavailable\w*|\bservice (is )?unavailable\b|\boverloaded\b"
            r"|\binternal server error\b|\bbad gateway\b|\bModelNotReady\w*"
        ),
    ),
    (
        _C.CONFIGURATION_ERROR,
        _words(
            r"\bcontext (length|size|window)\b|\bmaximum context\b"
            r"|\bValidationException\b|\binference profile\b"
            r"|\b(invalid|unsupported) region\b"
        ),
    ),
    (_C.TIMEOUT, _words(r"\btimed out\b|\btime-?out\b|\bdeadline exceeded\b")),
    (
        _C.QUALITY_ISSUE,
        _words(r"\b(empty|no) (response|content)\b|\bresponse too short\b"),
    ),
)
