"""What may travel as JSON: equal after the round trip, or refused by path."""

from __future__ import annotations

import json
import math
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myia_sdk.errors import InvalidJobError, PayloadTooLargeError
from myia_sdk.queue.jobs.payload import encode_json, printable


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


def nested(depth):
    value = "core"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), "$ is nan"),
        ({"a": [1, float("inf")]}, "$.a[1] is inf"),
        ({"a": {"b": b"x"}}, "$.a.b is bytes"),
        ({"when": datetime(2026, 1, 1)}, "$.when is datetime"),  # noqa: DTZ001
        ([Decimal(1)], "$[0] is Decimal"),
        ([np.int64(3)], "$[0] is int64"),
        ([np.zeros(3)], "$[0] is ndarray"),
        ({"a": {1, 2}}, "$.a is set"),
        ({1: "x"}, "key 1"),
        ({"\ud800": "x"}, "key"),
        ({"text": "\udfff"}, "$.text holds half of a surrogate pair"),
        (10**400, "$ is too large a number"),
        (nested(10_000), "nest deeper than 200"),
    ],
)
def test_value_that_is_not_json_is_refused_by_path(value, path):
    with pytest.raises(InvalidJobError) as caught:
        encode_json(value)
    assert path in str(caught.value)


def test_value_whose_repr_fails_is_still_refused_clearly():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no")

    with pytest.raises(InvalidJobError, match="whose repr fails"):
        encode_json([Broken()])


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -0.0, 1e308, 5e-324, 2**53 + 1, -(2**200), "", "\x00", "é🎉",
        "\u202eltr", Colour.RED, Level.HIGH, np.float64(0.1), nested(199), {"": []},
    ],
)  # fmt: skip
def test_odd_but_valid_values_come_back_equal(value):
    text = encode_json(value)
    back = json.loads(text)
    assert back == value
    if isinstance(value, float):
        assert math.copysign(1, back) == math.copysign(1, value)


def test_limit_counts_bytes_not_characters():
    assert encode_json("é" * 4, limit=10)
    with pytest.raises(PayloadTooLargeError) as caught:
        encode_json("é" * 5, limit=10)
    assert (caught.value.size, caught.value.limit) == (12, 10)


def test_tuples_come_back_as_lists():
    assert json.loads(encode_json({"a": (1, (2,))})) == {"a": [1, [2]]}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs"]), max_size=2),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=500, deadline=None)
@given(anything)
def test_any_value_comes_back_equal_or_is_refused(value):
    try:
        text = encode_json(value)
    except InvalidJobError:
        return
    assert json.loads(text) == value
    text.encode()


def test_printable_text_always_fits_utf8():
    assert printable("a\ud800b") == "a?b"
    assert printable("é") == "é"
