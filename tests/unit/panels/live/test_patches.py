from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from myia_sdk.panels.live.patches import apply, diff

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
states = st.dictionaries(st.text(), values, max_size=5)


@given(states, states)
@settings(deadline=None)
def test_applying_the_difference_gives_the_new_state(old, new):
    assert apply(old, diff(old, new)) == new


@given(states)
@settings(deadline=None)
def test_equal_states_have_no_difference(state):
    assert diff(state, state) == []


def test_a_log_that_grew_sends_only_the_new_lines():
    old = {"log": {"lines": ["a", "b"]}}
    new = {"log": {"lines": ["a", "b", "c"]}}
    assert diff(old, new) == [["add", ["log", "lines"], ["c"]]]


def test_one_changed_cell_sends_one_operation():
    old = {"rows": {"1": {"progress": 1, "name": "x"}, "2": {"progress": 5}}}
    new = {"rows": {"1": {"progress": 2, "name": "x"}, "2": {"progress": 5}}}
    assert diff(old, new) == [["set", ["rows", "1", "progress"], 2]]


def test_true_and_one_are_different():
    assert diff({"a": 1}, {"a": True}) == [["set", ["a"], True]]
