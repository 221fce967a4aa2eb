"""Raw hash fields give the same frame as the records made of them."""

from __future__ import annotations

import json

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from myia_sdk.frames import fields_of, jobs_frame
from myia_sdk.queue.jobs import Job, JobState
from myia_sdk.queue.store.hashes import JobTable

COLUMNS = list(jobs_frame([]).columns)
EVERYTHING = [*COLUMNS, "traceback", "parent", "scheduler", "deduplication"]

numbers = st.one_of(
    st.integers(0, 4_000_000_000_000).map(str),
    st.sampled_from(
        ["", "x", "1e3", "12.7", "-5", "nan", "inf", "1e400", str(2**70), " 7", "0x1"]
    ),
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
progress = st.sampled_from(
    ["0", "50", "0.5", "1.0", "true", '"text"', "{", "[]", "null", "NaN", "-3", "900",
     '{"percent": 40}', '{"percent": true}', '{"percent": "x"}', '{"percent": null}']
)  # fmt: skip
options = st.sampled_from(
    ["{}", '{"attempts":3}', '{"attempts":0}', '{"attempts":"many"}', "[]", "no", "7",
     '{"attempts":1e+15}', '{"attempts":-2}', '{"attempts":2.5}']
)  # fmt: skip
hashes = st.fixed_dictionaries(
    {"timestamp": numbers, "name": texts},
    optional={
        "processedOn": numbers, "finishedOn": numbers, "delay": numbers,
        "priority": numbers, "atm": numbers, "stc": numbers, "opts": options,
        "progress": progress, "pb": texts, "failedReason": texts, "parentKey": texts,
        "rjk": texts, "deid": texts, "label:model": texts, "label:tags": texts,
        "label:score": st.one_of(numbers, texts), "label:verdict": st.sampled_from(
            ["certified", "failed", "", "odd"]), "label:rating": st.sampled_from("AFZ"),
        "stacktrace": st.sampled_from(["[]", '["a","b"]', "no", "{}", "7", "[1]"]),
    },
)  # fmt: skip


def table_of(rows: list[dict[str, str]], names: tuple[str, ...]) -> JobTable:
    return JobTable(
        ids=[f"j{i}" for i in range(len(rows))],
        states=[JobState.FAILED] * len(rows),
        fields={name: [row.get(name) for row in rows] for name in names},
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(hashes, max_size=5))
def test_table_and_records_agree(rows: list[dict[str, str]]) -> None:
    names = fields_of(EVERYTHING)
    table = table_of(rows, names)
    records = [
        Job.from_hash(f"j{i}", row, JobState.FAILED) for i, row in enumerate(rows)
    ]
    fast = jobs_frame(table, columns=EVERYTHING)
    slow = jobs_frame(records, columns=EVERYTHING)
    fast.attrs, slow.attrs = {}, {}
    pd.testing.assert_frame_equal(fast, slow)


def test_fields_of_a_listing_leave_payloads_out() -> None:
    assert not {"data", "returnvalue", "stacktrace"} & set(fields_of())
    assert fields_of(["model"]) == ("label:model",)
    assert set(fields_of(["duration"])) == {"processedOn", "finishedOn"}


def test_malformed_rows_are_flagged_and_others_are_not() -> None:
    rows = [{"timestamp": "1", "atm": "two"}, {"timestamp": "1", "opts": "{"}, {}]
    frame = jobs_frame(table_of(rows, fields_of()))
    assert list(frame["malformed"]) == [True, True, False]
    assert list(frame["attempts_made"]) == [0, 0, 0]


def test_payloads_come_as_they_were_written() -> None:
    data = json.dumps({"é": [1, {"b": None}]})
    table = table_of([{"data": data}], fields_of(["data"]))
    assert jobs_frame(table, columns=["data"])["data"][0] == data
