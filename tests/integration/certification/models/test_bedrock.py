"""Bedrock's wire protocol with a real model's words, and its errors by botocore."""

from __future__ import annotations

from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber

from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.diagnosis import ErrorCategory, diagnose
from myia_sdk.certification.models.bedrock import BedrockChat, converse_request
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import CertificationRequest, ModelRef
from myia_sdk.errors import ConfigurationError, InvalidRequestError

MODEL_ID = "amazon.nova-lite-v1:0"
SECRETS = {"env:AWS_KEYS": "AKIAEXAMPLE:secret-example"}
C = ErrorCategory


@pytest.fixture
def reference(bedrock_server):
    return ModelRef(
        kind="bedrock",
        name="nova",
        model=MODEL_ID,
        url=bedrock_server,
        secret="env:AWS_KEYS",
        vendor="amazon",
    )


@pytest.mark.chat
@pytest.mark.parametrize("stream", [True, False])
def test_converse_gives_real_text_usage_and_an_end(reference, open_model, stream):
    model = open_model(reference, secrets=SECRETS, region="us-east-1")
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Say hello."},
    ]
    events = list(model.chat(messages, {"max_tokens": 12}, stream=stream, timeout=120))
    text = "".join(event.text for event in events)
    assert text
    assert not text.startswith("[ministack mock")
    assert events[-1].usage or events[-2].usage
    reasons = [event.finish_reason for event in events if event.finish_reason]
    assert len(reasons) == 1
    assert reasons[0] in {"stop", "length"}
    assert (len(events) > 2) is stream
    assert model.describe()["aws_region"] == "us-east-1"


@pytest.mark.chat
def test_each_region_has_its_own_address(reference, open_model, bedrock_server):
    away = "http://127.0.0.1:9"
    urls = {"us-east-1": bedrock_server, "eu-west-1": away}
    many = replace(reference, url=None, options={"region_urls": urls})
    hello = [{"role": "user", "content": "Say hello."}]
    near = open_model(many, secrets=SECRETS, region="us-east-1")
    assert list(near.chat(hello, {"max_tokens": 4}, stream=False, timeout=120))
    far = open_model(many, secrets=SECRETS, region="eu-west-1")
    with pytest.raises(EndpointConnectionError, match=away):
        list(far.chat(hello, {"max_tokens": 4}, stream=False, timeout=5))
    with pytest.raises(InvalidRequestError, match="no endpoint in region 'sa-east-1'"):
        open_model(many, secrets=SECRETS, region="sa-east-1")


@pytest.mark.chat
def test_a_suite_skips_what_the_protocol_has_no_field_for(reference):
    suite = {
        "suite": {"id": "bedrock", "version": "1", "kind": "chat"},
        "check": [
            {"id": "basic-prompt", "threshold": {"passed": 600}},
            # The protocol has no seed: how much this small model writes is luck.
            {"id": "amazon-text-generation", "threshold": {"passed": 0}},
            {"id": "seed-determinism"},
            {"id": "json-schema"},
            {"id": "openai-models-list"},
        ],
    }
    report = run_suite(
        CertificationRequest(
            model=reference,
            suite=suite,
            region="us-east-1",
            parameters={"request_timeout": 240},
        ),
        secrets=SECRETS,
    )
    outcomes = [record.outcome for record in report.checks]
    assert outcomes[:2] == [Outcome.PASSED, Outcome.PASSED]
    assert outcomes[2:] == [Outcome.SKIPPED] * 3
    assert "no parameter seed" in report.check("seed-determinism").message
    assert report.region == "us-east-1"
    assert "secret-example" not in str(report.to_record())


@pytest.mark.parametrize(
    ("code", "message", "status", "category", "temporary"),
    [
        ("ThrottlingException", "Too many requests", 429, C.RATE_LIMIT, True),
        ("AccessDeniedException", "not authorized", 403, C.PERMISSION_ERROR, False),
        (
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
            403,
            C.PROVISIONING_REQUIRED,
            False,
        ),
        ("ResourceNotFoundException", "no such model", 404, C.UNAVAILABLE, False),
        ("ModelTimeoutException", "too slow", 408, C.TIMEOUT, True),
        ("ServiceUnavailableException", "", 503, C.TEMPORARILY_UNAVAILABLE, True),
        ("ExpiredTokenException", "old", 403, C.AUTHENTICATION_ERROR, False),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_bedrock_s_errors_have_their_categories(
    code, message, status, category, temporary, stream
):
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
    )
    model = BedrockChat(lambda _: client, MODEL_ID, "us-east-1")
    with Stubber(client) as stubber:
        stubber.add_client_error(
            "converse_stream" if stream else "converse", code, message, status
        )
        with pytest.raises(ClientError) as caught:
            list(model.chat([{"role": "user", "content": "Hi"}], stream=stream))
    diagnosis = diagnose(caught.value)
    assert (diagnosis.category, diagnosis.temporary) == (category, temporary)
    assert diagnosis.code == code


def test_a_request_is_translated_word_for_word():
    tool = {
        "type": "function",
        "function": {"name": "add", "parameters": {"type": "object"}},
    }
    request = converse_request(
        MODEL_ID,
        [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
        ],
        {
            "max_tokens": 5,
            "temperature": 0,
            "top_p": 0.9,
            "stop": "END",
            "seed": 1,
            "tools": [tool],
            "tool_choice": "required",
        },
    )
    assert request == {
        "modelId": MODEL_ID,
        "system": [{"text": "Be short."}],
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "assistant", "content": [{"text": "Hello"}]},
        ],
        "inferenceConfig": {
            "maxTokens": 5,
            "temperature": 0,
            "topP": 0.9,
            "stopSequences": ["END"],
        },
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "add",
                        "description": "add",
                        "inputSchema": {"json": {"type": "object"}},
                    }
                }
            ],
            "toolChoice": {"any": {}},
        },
    }


@pytest.mark.parametrize(
    ("secrets", "region", "message"),
    [
        (SECRETS, None, "needs a region"),
        ({}, "us-east-1", "not set or not of the form"),
        ({"env:AWS_KEYS": "only-one"}, "us-east-1", "not set or not of the form"),
    ],
)
def test_what_is_missing_is_said_without_saying_the_secret(
    open_model, secrets, region, message
):
    reference = ModelRef(
        kind="bedrock", name="nova", model=MODEL_ID, secret="env:AWS_KEYS"
    )
    with pytest.raises(ConfigurationError, match=message) as caught:
        open_model(reference, secrets=secrets, region=region)
    assert "only-one" not in str(caught.value)
