"""Models by classes of their own: what becomes of them, and what they refuse."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest

import myia_sdk
from myia_sdk import (
    AnthropicModel,
    BedrockModel,
    ChatModel,
    EmbeddingModel,
    ModelRef,
    OnnxModel,
)
from myia_sdk.errors import InvalidRequestError

KINDS = {
    ChatModel: "openai",
    AnthropicModel: "anthropic",
    BedrockModel: "bedrock",
    EmbeddingModel: "openai-embedding",
}
#: A value for every field that any of them has.
VALUES = {
    "model": "m",
    "url": "https://models.example/v1",
    "secret": "env:KEY",
    "name": "mine",
    "region": "eu",
    "vendor": "cohere",
    "region_urls": {"eu": "https://eu.example"},
    "prices": {"prompt": 1.0, "completion": 2.0},
    "abilities": ["tools"],
    "context_window": 8000,
    "parameters": {"top_p": 0.9},
    "default_headers": {"x-team": "a"},
    "default_query": {"v": "1"},
    "extra_body": {"thinking": {"type": "enabled"}},
    "auth_header": "api-key",
    "api_version": "2024-10-21",
    "ca_file": "/etc/ca.pem",
    "proxy": "http://proxy:3128",
    "dimensions": 384,
    "unit_norm": True,
}


@pytest.mark.parametrize("form", KINDS, ids=lambda form: form.__name__)
def test_every_field_travels(form):
    given = {item.name: VALUES[item.name] for item in fields(form)}
    reference = form(**given).to_ref()
    assert reference.kind == KINDS[form]
    record = reference.to_record()
    flat = {**record, **record["options"]}
    assert {name: flat[name] for name in given} == given
    assert ModelRef.from_record(record) == reference


@pytest.mark.parametrize("form", KINDS, ids=lambda form: form.__name__)
def test_little_is_enough(form):
    reference = form(model="m").to_ref()
    assert reference.name == reference.model == "m"
    assert not reference.options
    assert reference.family in {"chat", "embedding"}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"secret": "sk-123"}, "never be in a request"),
        ({"url": "models.example"}, "http://"),
        ({"url": "https://a:b@models.example"}, "contains credentials"),
        ({"url": "https://a@models.example"}, "contains credentials"),
        ({"default_headers": {"Authorization": "x"}}, "looks like a credential"),
        ({"default_query": {"api_key": "x"}}, "looks like a credential"),
        ({"proxy": "http://me:pw@proxy"}, "'proxy' contains credentials"),
        ({"model": ""}, "'name' is empty"),
        ({"region_urls": {"eu": "ftp://x"}}, "http://"),
        ({"region_urls": ["eu"]}, "'region_urls' is .* an object"),
        ({"url": "http://["}, "http://"),
        ({"model": 5}, "'name' is a int; it must be a text"),
        ({"secret": 5}, "'secret' is a int"),
        ({"prices": {"input": 1}}, "give {'prompt': ..., 'completion': ...}"),
        ({"prices": {"prompt": -1}}, "0 or more"),
        ({"prices": {"prompt": "1"}}, "'prompt' is '1'; it must be a number"),
        ({"prices": [1]}, "'prices' is .* an object"),
        ({"context_window": "8000"}, "'8000'; it must be an integer"),
        ({"context_window": 0}, "is 0; it must be more than 0"),
        ({"abilities": "tools"}, "a list of texts"),
        ({"parameters": [1]}, "'parameters' is .* an object"),
        ({"extra_body": "x"}, "'extra_body' is 'x'"),
        ({"api_version": 5}, "'api_version' is 5; it must be a text"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_written(wrong, text):
    with pytest.raises(InvalidRequestError, match=text) as caught:
        ChatModel(**{"model": "m", **wrong})
    assert "sk-123" not in str(caught.value)
    assert "pw@" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("base_url", "url"),
        ("modell", "model"),
        ("secrets", "secret"),
        ("model_name", "model"),
        ("options_", "options"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(key, near):
    record = {"kind": "openai", "model": "m", key: "x"}
    with pytest.raises(InvalidRequestError) as caught:
        ModelRef.from_record(record)
    said = str(caught.value)
    assert f"unknown keys: {key!r} (did you mean {near!r}?)" in said
    assert "There are: kind, " in said
    assert "secret" in said


def test_an_unknown_option_is_answered_with_those_of_its_kind():
    with pytest.raises(InvalidRequestError) as caught:
        ModelRef(kind="openai", name="m", model="m", options={"version": "1"})
    said = str(caught.value)
    assert "'options' of a model of kind 'openai' has unknown keys" in said
    assert "(did you mean 'api_version'?)" in said
    with pytest.raises(InvalidRequestError, match=r"'top_p'.*There are: classes"):
        ModelRef(
            kind="onnx", name="m", artifact="sha256:" + "a" * 64, options={"top_p": 1}
        )
    # A factory takes whatever it has parameters for.
    assert ModelRef(
        kind="python", name="m", family="chat", factory="a:b", options={"x": 1}
    ).options


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"classes": 5}, "'classes' is 5; it must be a list"),
        ({"fixed": {"rate": "x"}}, "'rate' is 'x'; it must be a number"),
        ({"scores": "odds"}, "'odds'; it must be 'logits' or"),
        ({"family": "chat"}, "'chat'; it must be 'classifier' or"),
    ],
)
def test_a_wrong_option_of_a_graph_is_refused_where_it_is_written(wrong, text):
    with pytest.raises(InvalidRequestError, match=text):
        OnnxModel("model.onnx", **wrong)


def test_what_checks_read_is_checked_for_factories_too():
    with pytest.raises(InvalidRequestError, match="'prices' is"):
        ModelRef(
            kind="python",
            name="m",
            family="chat",
            factory="a:b",
            options={"prices": {"input": 1.0}},
        )


def test_a_form_is_a_value():
    one = ChatModel(model="m", url="http://localhost/v1")
    assert one == ChatModel(model="m", url="http://localhost/v1")
    assert replace(one, model="n").to_ref().name == "n"
    assert "secret" not in repr(ChatModel(model="m")).replace("secret=None", "")


def test_the_least_of_each_option_is_taken():
    least = {"context_window": 1, "prices": {"prompt": 0, "completion": 0.0}}
    assert ChatModel(model="m", **least).to_ref().options == least


def test_an_onnx_file_says_what_its_graph_does_not():
    model = OnnxModel("m.onnx", classes=("a", "b"), fixed={"rate": 1})
    assert model.options == {"classes": ["a", "b"], "fixed": {"rate": 1}}
    assert OnnxModel(b"").options == {}


@pytest.mark.parametrize(
    "name",
    [
        *("AnthropicModel", "BedrockModel", "ChatModel", "EmbeddingModel"),
        *("OnnxModel", "Predictions", "export_onnx"),
    ],
)
def test_they_are_public_and_described(name):
    assert name in dir(myia_sdk)
    found = getattr(myia_sdk, name)
    for item in fields(found) if is_dataclass(found) else ():
        assert item.name in found.__doc__ or "**others" in found.__doc__
