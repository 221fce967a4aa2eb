"""Requests: strict records of references, never secrets or code."""

import json

import pytest

from myia_sdk.certification.request import CertificationRequest, DatasetRef, ModelRef
from myia_sdk.errors import InvalidRequestError

DIGEST = "sha256:" + "a" * 64


def request_record(**changes):
    return {
        "model": {"kind": "sklearn", "name": "m", "artifact": DIGEST},
        "suite": "classifier-baseline",
        "dataset": {"artifact": DIGEST, "rows": 10, "target": "y"},
        "region": None,
        "parameters": {},
        **changes,
    }


def test_round_trip_through_json():
    request = CertificationRequest(
        model=ModelRef(
            kind="openai",
            name="small",
            model="gpt",
            url="http://127.0.0.1:8080/v1",
            secret="env:OPENAI_API_KEY",
            options={"prices": {"prompt": 1.5}},
        ),
        suite="chat-baseline",
        region="eu-west-1",
        parameters={"seed": 3},
    )
    text = json.dumps(request.to_record())
    assert CertificationRequest.from_record(json.loads(text)) == request


def test_dataset_with_training_data_round_trip():
    reference = DatasetRef(
        artifact=DIGEST,
        rows=10,
        target="y",
        sensitive=("sex",),
        train=DatasetRef(artifact=DIGEST, rows=5, target="y"),
    )
    assert DatasetRef.from_record(reference.to_record()) == reference


def test_minimal_record_of_a_foreign_client():
    request = CertificationRequest.from_record(
        {"model": {"kind": "openai", "model": "gpt"}, "suite": "chat-baseline"}
    )
    assert (request.model.name, request.model.family) == ("gpt", "chat")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"modle": 1}, "unknown keys: 'modle'"),
        ({"model": "gpt"}, "The model must be an object"),
        ({"model": {"kind": "pickle", "name": "x"}}, "'kind' is 'pickle'"),
        ({"model": {"kind": "sklearn", "name": "x"}}, "needs the key 'artifact'"),
        (
            {"model": {"kind": "sklearn", "name": "x", "artifact": "../../etc"}},
            "64 lower-case hex digits",
        ),
        (
            {"model": {"kind": "python", "name": "x", "factory": "os.system"}},
            "'package.module:function'",
        ),
        (
            {"model": {"kind": "openai", "model": "m", "url": "ftp://x"}},
            "http:// or https://",
        ),
        ({"model": {"kind": "openai", "model": "m", "family": "bird"}}, "'family'"),
        ({"dataset": {"artifact": DIGEST, "rows": 0}}, "at least one row"),
        ({"dataset": {"artifact": DIGEST, "format": "pickle"}}, "'format' is 'pickle'"),
        ({"suite": 7}, "'suite' must be a name or a suite's object"),
        ({"region": 7}, "'region' is 7"),
        ({"parameters": []}, "'parameters' is"),
        ({"parameters": {"sede": 1}}, "Unknown parameter 'sede'"),
        ({"parameters": {"request_timeout": -5}}, "must be more than 0"),
    ],
)
def test_bad_records_name_what_is_wrong(change, text):
    with pytest.raises(InvalidRequestError, match=text):
        CertificationRequest.from_record(request_record(**change))


@pytest.mark.parametrize("secret", ["sk-canary-123", "env:BAD NAME", "file:/etc/x"])
def test_a_secret_itself_is_refused_and_not_repeated(secret):
    with pytest.raises(InvalidRequestError) as caught:
        ModelRef(kind="openai", name="m", model="m", secret=secret)
    assert secret not in str(caught.value)


def test_credentials_in_a_url_are_refused_and_not_repeated():
    with pytest.raises(InvalidRequestError, match="contains credentials") as caught:
        ModelRef(kind="openai", name="m", model="m", url="https://me:canary@host/v1")
    assert "canary" not in str(caught.value)
