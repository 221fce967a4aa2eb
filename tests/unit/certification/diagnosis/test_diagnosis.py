"""Errors become categories by type and status; words are the last resort."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx2
import openai
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from myia_sdk.certification.diagnosis import ErrorCategory, diagnose
from myia_sdk.certification.diagnosis.categories import (
    CATEGORIES,
    FORCED_FAILURES,
    CategorySeverity,
    most_severe,
)
from myia_sdk.certification.diagnosis.diagnosis import parse_retry_after
from myia_sdk.errors import MissingExtraError, PermanentCertificationError

C = ErrorCategory
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def openai_error(status: int, body: dict | None = None, **headers: str) -> Exception:
    """The error that the openai library itself makes of a response."""
    client = openai.OpenAI(api_key="x", base_url="http://127.0.0.1:9")
    response = httpx2.Response(
        status,
        headers=headers,
        json=body or {"error": {"message": "no"}},
        request=httpx2.Request("POST", "http://127.0.0.1:9/chat/completions"),
    )
    return client._make_status_error_from_response(response)


def aws_error(
    code: str, message: str = "no", status: int = 400, **headers: str
) -> Exception:
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return ClientError(response, "Converse")


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (400, C.CONFIGURATION_ERROR),
        (401, C.AUTHENTICATION_ERROR),
        (402, C.PROVISIONING_REQUIRED),
        (403, C.PERMISSION_ERROR),
        (404, C.UNAVAILABLE),
        (408, C.TIMEOUT),
        (409, C.TEMPORARILY_UNAVAILABLE),
        (418, C.CONFIGURATION_ERROR),
        (422, C.CONFIGURATION_ERROR),
        (429, C.RATE_LIMIT),
        (500, C.TEMPORARILY_UNAVAILABLE),
        (503, C.TEMPORARILY_UNAVAILABLE),
        (504, C.TIMEOUT),
        (529, C.TEMPORARILY_UNAVAILABLE),
    ],
)
def test_an_http_status_decides(status, category):
    assert diagnose(openai_error(status)).category is category


@pytest.mark.parametrize(
    ("code", "message", "status", "category"),
    [
        ("AccessDeniedException", "not authorized", 403, C.PERMISSION_ERROR),
        (
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
            403,
            C.PROVISIONING_REQUIRED,
        ),
        (
            "ValidationException",
            "Invocation with on-demand throughput isn’t supported.",
            400,
            C.PROVISIONING_REQUIRED,
        ),
        (
            "ValidationException",
            "The provided model identifier is invalid.",
            400,
            C.UNAVAILABLE,
        ),
        (
            "ValidationException",
            "temperature: 9 is too high",
            400,
            C.CONFIGURATION_ERROR,
        ),
        ("ResourceNotFoundException", "no", 404, C.UNAVAILABLE),
        ("ExpiredTokenException", "no", 403, C.AUTHENTICATION_ERROR),
        ("UnrecognizedClientException", "no", 403, C.AUTHENTICATION_ERROR),
        ("ThrottlingException", "no", 429, C.RATE_LIMIT),
        ("throttlingException", "in the event stream", 0, C.RATE_LIMIT),
        ("ServiceQuotaExceededException", "no", 400, C.RATE_LIMIT),
        ("ModelNotReadyException", "no", 429, C.TEMPORARILY_UNAVAILABLE),
        ("ModelTimeoutException", "no", 408, C.TIMEOUT),
        ("NeverHeardOfException", "no", 403, C.PERMISSION_ERROR),
    ],
)
def test_an_aws_code_decides_before_the_status(code, message, status, category):
    assert diagnose(aws_error(code, message, status)).category is category


def test_exhausted_credit_is_not_a_rate_limit_to_wait_for():
    body = {"error": {"message": "no", "code": "insufficient_quota"}}
    diagnosis = diagnose(openai_error(429, body))
    assert diagnosis.category is C.PROVISIONING_REQUIRED
    assert not diagnosis.temporary


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (openai.APITimeoutError(httpx2.Request("GET", "http://h")), C.TIMEOUT),
        (
            openai.APIConnectionError(request=httpx2.Request("GET", "http://h")),
            C.NETWORK_ERROR,
        ),
        (httpx2.RemoteProtocolError("peer closed"), C.NETWORK_ERROR),
        (httpx2.ReadTimeout("slow"), C.TIMEOUT),
        (httpx2.ConnectTimeout("slow"), C.NETWORK_ERROR),
        (EndpointConnectionError(endpoint_url="http://h"), C.NETWORK_ERROR),
        (NoCredentialsError(), C.AUTHENTICATION_ERROR),
        (TimeoutError(), C.TIMEOUT),
        (ConnectionRefusedError(), C.NETWORK_ERROR),
        (MissingExtraError("openai", "chat"), C.CONFIGURATION_ERROR),
        (AssertionError("answer is not upper case"), C.QUALITY_ISSUE),
        (ValueError("anything"), C.UNKNOWN_ERROR),
    ],
)
def test_a_type_decides_where_there_is_no_status(error, category):
    assert diagnose(error).category is category


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Connection timed out", C.NETWORK_ERROR),
        ("request id 7403", C.UNKNOWN_ERROR),
        ("answered in 1429 ms", C.UNKNOWN_ERROR),
        ("Incorrect API key provided", C.AUTHENTICATION_ERROR),
        ("ExpiredToken: the token is too old", C.AUTHENTICATION_ERROR),
        ("You don't have access to the model", C.PROVISIONING_REQUIRED),
        ("Internal Server Error", C.TEMPORARILY_UNAVAILABLE),
        ("ServiceUnavailable", C.TEMPORARILY_UNAVAILABLE),
        ("ModelNotReadyException", C.TEMPORARILY_UNAVAILABLE),
        ("the maximum context length is 4096 tokens", C.CONFIGURATION_ERROR),
        ("Test basic-prompt timed out after 30000 ms", C.TIMEOUT),
        ("Too many requests", C.RATE_LIMIT),
        ("Empty response", C.QUALITY_ISSUE),
    ],
)
def test_words_that_the_original_misread(text, category):
    """Defect 4 of the original: regular expressions over whole messages."""
    assert diagnose(RuntimeError(text)).category is category


def test_a_malformed_answer_is_of_unknown_category_but_worth_another_try():
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("<html>")
    diagnosis = diagnose(caught.value)
    assert (diagnosis.category, diagnosis.temporary) == (C.UNKNOWN_ERROR, True)


def test_the_cause_speaks_when_the_error_itself_does_not():
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("the check stopped") from aws_error("ThrottlingException")
    assert diagnose(caught.value).category is C.RATE_LIMIT


def test_an_error_may_state_its_category():
    error = PermanentCertificationError("stopped")
    error.category = "RATE_LIMIT"
    assert diagnose(error).category is C.RATE_LIMIT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "99999999"}, 86_400),
    ],
)
def test_retry_after_is_read_from_either_library(headers, seconds):
    for error in (
        openai_error(429, **headers),
        aws_error("ThrottlingException", status=429, **headers),
    ):
        assert diagnose(error, now=NOW).retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [None, "", "soon", "-3", "nan", "1e400"])
def test_an_unreadable_retry_after_is_none(value):
    assert parse_retry_after(value, NOW) is None


def test_the_most_severe_category_wins_whatever_the_order():
    """Defect 3 of the original: the last failure named the category."""
    found = [C.QUALITY_ISSUE, C.AUTHENTICATION_ERROR, C.TIMEOUT, C.CONFIGURATION_ERROR]
    assert most_severe(found) is C.AUTHENTICATION_ERROR
    assert most_severe(reversed(found)) is C.AUTHENTICATION_ERROR
    assert most_severe([]) is None


def test_every_category_says_what_it_means_and_what_to_do():
    assert set(CATEGORIES) == set(ErrorCategory)
    for category in ErrorCategory:
        facts = category.facts
        assert facts.message.endswith(".")
        assert len(facts.suggestions) >= 3
        assert (facts.max_retries > 0) is facts.temporary
    critical = {c for c in C if c.facts.severity is CategorySeverity.CRITICAL}
    assert critical < FORCED_FAILURES
    assert not any(category.facts.temporary for category in FORCED_FAILURES)
