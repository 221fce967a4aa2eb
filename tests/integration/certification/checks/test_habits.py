"""Endpoints of today: what they take otherwise is found out once, and said."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from typing import Any

import pytest

from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import CertificationRequest, ModelRef
from myia_sdk.errors import (
    EndpointAwayError,
    PermanentCertificationError,
    TransientCertificationError,
)
from tests.helpers.habits import Habits, serving_habits, unsupported
from tests.helpers.machine import require


def certify(url: str, *, suite: Any = "chat-baseline", **options: Any):
    reference = ModelRef(
        kind="openai",
        name="m",
        model="m",
        url=url,
        options={"abilities": [], **options.pop("options", {})},
        **options,
    )
    request = CertificationRequest(
        model=reference, suite=suite, parameters={"request_timeout": 20}
    )
    return run_suite(request)


def outcomes(report) -> dict[str, Outcome]:
    return {check.id: check.outcome for check in report.checks}


def said(report) -> str:
    return " ".join(report.reasons)


def refusing(*names: str, status: int = 400):
    """A server that knows none of these fields."""

    def refuse(body, _):
        for name in names:
            if name in body:
                return status, unsupported(name)
        return None

    return refuse


def reasoning(body, _):
    """OpenAI's reasoning models: another limit, one temperature, no stop."""
    if "max_tokens" in body:
        return 400, unsupported("max_tokens", "max_completion_tokens")
    if body.get("temperature", 1) != 1:
        text = (
            "Unsupported value: 'temperature' does not support 0 with this model. "
            "Only the default (1) value is supported."
        )
        error = {"message": text, "param": "temperature", "code": "unsupported_value"}
        return 400, {"error": {**error, "type": "invalid_request_error"}}
    return refusing("stop", "logprobs", "top_p")(body, _)


def test_a_reasoning_model_is_measured_as_it_wants_to_be_asked():
    habits = Habits(refuse=reasoning, thoughts=300)
    with serving_habits(habits) as url:
        report = certify(url)
    found = outcomes(report)
    assert Outcome.ERROR not in found.values()
    assert found["stop"] is found["temperature"] is Outcome.SKIPPED
    assert found["seed-determinism"] is Outcome.SKIPPED
    assert found["max-tokens"] is Outcome.PASSED
    assert found["basic-prompt"] is Outcome.PASSED
    for text in (
        "max_tokens is sent as max_completion_tokens",
        "temperature is not sent",
        "stop is not sent",
        "limits of tokens are raised by 2,048",
    ):
        assert text in said(report)
    assert report.resolved["adaptations"]
    late = habits.requests[8:]
    assert not any("max_tokens" in body or "temperature" in body for body in late)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_the_first_thought_and_the_first_visible_text_are_both_timed(field):
    habits = Habits(thoughts=40, thought_field=field)
    with serving_habits(habits) as url:
        report = certify(url)
    (ttft,) = [check for check in report.checks if check.id == "ttft"]
    assert "Its first thought came after" in ttft.message
    assert 0 <= ttft.details["first_thought_p95"] <= ttft.value


FIELDS = {
    "seed": ("seed-determinism",),
    "stop": ("stop",),
    "temperature": ("temperature", "sampling-parameters", "seed-determinism"),
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("status", [400, 422])
def test_a_field_that_is_unknown_skips_what_is_about_it_only(name, status):
    with serving_habits(Habits(refuse=refusing(name, status=status))) as url:
        report = certify(url)
    found = outcomes(report)
    skipped = {check for check, outcome in found.items() if outcome is Outcome.SKIPPED}
    assert set(FIELDS[name]) & set(found) <= skipped
    assert Outcome.ERROR not in found.values()
    assert f"{name} is not sent" in said(report)


RULES = {
    "not declared": ([], "seed", "seed-determinism", Outcome.SKIPPED),
    "declared": (["seed"], "seed", "seed-determinism", Outcome.FAILED),
    "another is missing": (
        ["seed"],
        "temperature",
        "seed-determinism",
        Outcome.SKIPPED,
    ),
    "no forms": ([], "response_format", "json-schema", Outcome.SKIPPED),
    "forms declared": (
        ["json_schema"],
        "response_format",
        "json-schema",
        Outcome.FAILED,
    ),
    "no tools": ([], "tools", "tool-call", Outcome.SKIPPED),
    "tools declared": (["tools"], "tools", "tool-call", Outcome.FAILED),
}


@pytest.mark.parametrize("case", RULES)
def test_what_is_not_offered_has_failed_only_where_it_was_declared(case):
    declared, name, check, outcome = RULES[case]
    suite = {
        "suite": {"id": "one", "version": "1", "kind": "chat"},
        "check": [{"id": check}, {"id": "basic-prompt"}],
    }
    with serving_habits(Habits(refuse=refusing(name))) as url:
        report = certify(url, suite=suite, options={"abilities": declared})
    found = outcomes(report)
    assert found == {check: outcome, "basic-prompt": Outcome.PASSED}
    if outcome is Outcome.FAILED:
        assert f"It declares {declared[0]!r}" in report.check(check).message


def test_streams_without_options_are_counted_by_whole_answers():
    with serving_habits(Habits(refuse=refusing("stream_options"))) as url:
        report = certify(url)
    (usage,) = [check for check in report.checks if check.id == "usage"]
    assert usage.outcome is Outcome.PASSED
    assert usage.sample_size == 1
    assert "stream_options is not sent" in said(report)


ROLES = {
    "developer": ({"developer", "user", "assistant"}, "in the role 'developer'"),
    "none": ({"user", "assistant"}, "within the user's first message"),
}


@pytest.mark.parametrize("case", ROLES)
def test_instructions_are_given_in_the_role_that_is_taken(case):
    roles, text = ROLES[case]

    def refuse(body, _):
        wrong = [m["role"] for m in body["messages"] if m["role"] not in roles]
        if wrong:
            said = (
                f"Unsupported value: 'messages[0].role' does not support '{wrong[0]}'"
            )
            return 400, {"error": {"message": said, "param": "messages[0].role"}}
        return None

    habits = Habits(refuse=refuse)
    with serving_habits(habits) as url:
        report = certify(url)
    assert text in said(report)
    assert Outcome.ERROR not in outcomes(report).values()
    last = habits.requests[-1]["messages"]
    assert all(message["role"] in roles for message in last)


def test_fields_that_a_refusal_does_not_name_are_found_by_trial():
    """Gateways say "Bad Request" and no more."""

    def refuse(body, _):
        if {"seed", "stop"} & set(body):
            return 400, {"error": {"message": "Bad Request"}}
        return None

    with serving_habits(Habits(refuse=refuse)) as url:
        report = certify(url)
    assert "seed is not sent" in said(report)
    assert "stop is not sent" in said(report)
    assert "temperature is not sent" not in said(report)
    assert Outcome.ERROR not in outcomes(report).values()


def test_nothing_is_said_of_an_endpoint_that_takes_everything():
    with serving_habits(Habits()) as url:
        report = certify(f"{url}/")
    assert "Adapted" not in said(report)
    assert "adaptations" not in report.resolved


def test_azure_is_asked_by_its_header_version_and_path():
    habits = Habits()
    options = {"api_version": "2024-10-21", "auth_header": "api-key"}
    with serving_habits(habits) as url:
        base = url.replace("/v1", "/openai/deployments/gpt")
        reference = {"secret": "env:AZURE_KEY", "options": options}
        request = CertificationRequest(
            model=ModelRef(kind="openai", name="m", model="m", url=base, **reference),
            suite="chat-baseline",
        )
        run_suite(request, secrets={"env:AZURE_KEY": "k-123"})
    expected = "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    assert set(habits.paths) == {expected}
    assert all(headers["api-key"] == "k-123" for headers in habits.headers)
    assert not any("authorization" in headers for headers in habits.headers)


def test_headers_and_fields_of_a_gateway_are_sent_with_every_request():
    habits = Habits()
    options = {
        "default_headers": {"X-Project": "blue"},
        "extra_body": {"provider": {"order": ["a"]}},
    }
    with serving_habits(habits) as url:
        certify(url, options=options)
    assert all(headers["x-project"] == "blue" for headers in habits.headers)
    assert all(body["provider"] == {"order": ["a"]} for body in habits.requests)


ONE_CHECK = {
    "suite": {"id": "one", "version": "1", "kind": "chat"},
    "check": [{"id": "basic-prompt"}],
}


def test_an_authority_of_the_endpoint_s_own_is_trusted_when_it_is_named(tmp_path):
    require(shutil.which("openssl"), "openssl")
    path = tmp_path / "server.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-keyout", str(path), "-out", str(tmp_path / "ca.pem"), *subject),
        ],
        check=True,
        capture_output=True,
    )
    authority = tmp_path / "ca.pem"
    path.write_text(path.read_text() + authority.read_text())
    habits = Habits()
    with serving_habits(habits, path) as url:
        trusting = certify(url, suite=ONE_CHECK, options={"ca_file": str(authority)})
        assert outcomes(trusting) == {"basic-prompt": Outcome.PASSED}
        count = len(habits.requests)
        with pytest.raises(EndpointAwayError, match="NETWORK_ERROR"):
            certify(url, suite=ONE_CHECK)
    assert len(habits.requests) == count


def test_a_proxy_is_asked_in_place_of_the_host():
    habits = Habits()
    with serving_habits(habits) as url:
        proxy = url.removesuffix("/v1")
        certify("http://far.invalid/v1", suite=ONE_CHECK, options={"proxy": proxy})
    assert set(habits.paths) == {"http://far.invalid/v1/chat/completions"}


OUTAGES: dict[str, tuple[Any, str, str, bool]] = {
    "502 pages": (
        lambda body, headers: (502, "<html>Bad Gateway</html>"),
        "TEMPORARILY_UNAVAILABLE",
        "status page",
        False,
    ),
    "503": (
        lambda body, headers: (503, {"error": {"message": "overloaded"}}),
        "TEMPORARILY_UNAVAILABLE",
        "status page",
        False,
    ),
    "401": (
        lambda body, headers: (401, {"error": {"message": "Incorrect API key"}}),
        "AUTHENTICATION_ERROR",
        "secret named in the request",
        True,
    ),
    "403": (
        lambda body, headers: (403, {"error": {"message": "Forbidden"}}),
        "PERMISSION_ERROR",
        "credentials are known",
        True,
    ),
    "404": (
        lambda body, headers: (404, {"error": {"message": "The model does not exist"}}),
        "UNAVAILABLE",
        "letter by letter",
        True,
    ),
    "quota": (
        lambda body, headers: (
            429,
            {
                "error": {
                    "message": "You exceeded your current quota, check your billing.",
                    "code": "insufficient_quota",
                }
            },
        ),
        "",
        "",
        True,
    ),
}


@pytest.mark.parametrize("case", OUTAGES)
def test_an_endpoint_that_is_away_is_noticed_within_a_minute(case):
    refuse, category, cure, is_final = OUTAGES[case]
    started = time.monotonic()
    with (
        serving_habits(Habits(refuse=refuse)) as url,
        pytest.raises(EndpointAwayError) as caught,
    ):
        certify(url)
    assert time.monotonic() - started < 60
    assert re.match(
        rf"Not measured\. {category}.*: {url} answers no request", str(caught.value)
    )
    assert cure in str(caught.value)
    assert isinstance(caught.value, PermanentCertificationError) is is_final
    assert isinstance(caught.value, TransientCertificationError) is not is_final


def test_a_host_that_nobody_answers_at_is_noticed_too():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(EndpointAwayError, match=r"NETWORK_ERROR.*base URL"):
            certify(url)


def test_an_outage_in_the_middle_ends_the_run_and_a_short_one_does_not():
    def failing_between(first: int, last: int):
        def refuse(body, _):
            count = len(habits.requests)
            return (502, "<html>") if first <= count < last else None

        return refuse

    habits = Habits(refuse=failing_between(20, 10_000))
    with serving_habits(habits) as url, pytest.raises(EndpointAwayError):
        certify(url)
    assert len(habits.requests) < 60
    habits = Habits(refuse=failing_between(20, 25))
    with serving_habits(habits) as url:
        report = certify(url)
    assert report.verdict is not None


def test_statuses_that_are_measured_are_no_outage():
    """What is senseless may be answered with 500; the check says so."""

    def refuse(body, _):
        is_bad = body.get("temperature") in {"hot", -5} or not body["messages"]
        return (500, {"error": "x"}) if is_bad or body["model"] != "m" else None

    with serving_habits(Habits(refuse=refuse)) as url:
        report = certify(url)
    assert outcomes(report)["invalid-request"] is Outcome.FAILED


def test_secrets_are_not_taken_as_headers():
    options = {"default_headers": {"X-Api-Key": "sk-123"}}
    with pytest.raises(ValueError, match=r"X-Api-Key.*auth_header") as caught:
        ModelRef(kind="openai", name="m", model="m", url="http://a/v1", options=options)
    assert "sk-123" not in str(caught.value)
