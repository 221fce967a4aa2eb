"""Frames written out: types where the format keeps them, formulas nowhere."""

from __future__ import annotations

import csv
import doctest
from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myia_sdk import colors
from myia_sdk.errors import ConfigurationError
from myia_sdk.frames import arrays as hashes
from myia_sdk.frames import export as exporting
from myia_sdk.frames import jobs, jobs_frame
from myia_sdk.frames.export import (
    defuse_formulas,
    restore_formulas,
    write_csv,
    write_excel,
)
from myia_sdk.plots import scores
from tests.helpers.frame_records import make_job

ATTACKS = [
    "=HYPERLINK(\"http://x\",\"y\")", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1",
    "\n=1", "＝1", "'=1", "''=1", "=",
]  # fmt: skip


def attacked() -> pd.DataFrame:
    return jobs_frame(
        [make_job(f"j{i}", failed_reason=text) for i, text in enumerate(ATTACKS)]
    )


def test_no_cell_of_a_csv_begins_like_a_formula(tmp_path) -> None:
    write_csv(attacked(), tmp_path / "jobs.csv")
    with (tmp_path / "jobs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == list(attacked()["id"])
    assert all(row["reason"].startswith("'") for row in rows)
    read = pd.DataFrame({"reason": [row["reason"] for row in rows]})
    assert list(restore_formulas(read)["reason"]) == ATTACKS


def test_formulas_in_column_names_are_defused_too() -> None:
    assert list(defuse_formulas(pd.DataFrame({"=1+1": [1]}))) == ["'=1+1"]


def test_categories_are_defused() -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["=1", "b"])})
    safe = defuse_formulas(frame)
    assert list(safe["a"]) == ["'=1", "b"]
    pd.testing.assert_frame_equal(restore_formulas(safe), frame)


def test_numbers_times_and_missing_values_are_left_alone() -> None:
    frame = jobs_frame([make_job(failed_reason=None)])
    pd.testing.assert_frame_equal(defuse_formulas(frame), frame)
    assert frame["score"][0] == 92.5


def test_the_frame_itself_is_not_changed() -> None:
    frame = attacked()
    before = frame.copy(deep=True)
    defuse_formulas(frame)
    pd.testing.assert_frame_equal(frame, before)


@given(st.lists(st.text(max_size=8), max_size=5))
@settings(deadline=None)
def test_restoring_is_the_inverse(texts: list[str]) -> None:
    frame = pd.DataFrame({"a": pd.Series(texts, dtype="str")})
    pd.testing.assert_frame_equal(restore_formulas(defuse_formulas(frame)), frame)


def test_parquet_keeps_everything(tmp_path) -> None:
    frame = jobs_frame([make_job(f"j{i}") for i in range(3)], truncated=True)
    frame.to_parquet(tmp_path / "jobs.parquet")
    read = pd.read_parquet(tmp_path / "jobs.parquet")
    pd.testing.assert_frame_equal(read, frame)
    assert read.attrs == frame.attrs


def test_parquet_without_rows_keeps_all_but_the_categories(tmp_path) -> None:
    # Arrow stores the dictionary of a column with its values: no values, no words.
    frame = jobs_frame([])
    frame.to_parquet(tmp_path / "jobs.parquet")
    read = pd.read_parquet(tmp_path / "jobs.parquet").astype(frame.dtypes)
    pd.testing.assert_frame_equal(read, frame)


def test_csv_can_be_read_back_to_the_same_types(tmp_path) -> None:
    frame = jobs_frame([make_job("j1"), make_job("j2", processed_at=None)])
    write_csv(frame, tmp_path / "jobs.csv")
    times = [name for name, dtype in frame.dtypes.items() if "datetime" in str(dtype)]
    spans = [name for name, dtype in frame.dtypes.items() if "timedelta" in str(dtype)]
    others = {
        name: dtype for name, dtype in frame.dtypes.items() if name not in times + spans
    }
    read = pd.read_csv(tmp_path / "jobs.csv", dtype=others)
    for name in times:
        read[name] = pd.to_datetime(read[name], utc=True).astype(frame[name].dtype)
    for name in spans:
        read[name] = pd.to_timedelta(read[name]).astype(frame[name].dtype)
    pd.testing.assert_frame_equal(read, frame)


def test_excel_holds_texts_numbers_and_naive_times(tmp_path) -> None:
    pytest.importorskip("openpyxl")
    frame = jobs_frame([make_job("j1", failed_reason="=1+1")])
    write_excel(frame, tmp_path / "jobs.xlsx")
    row = pd.read_excel(tmp_path / "jobs.xlsx", sheet_name="myia").iloc[0]
    assert row["reason"] == "'=1+1"
    assert row["score"] == 92.5
    assert row["duration_s"] == timedelta(seconds=3).total_seconds()
    assert row["created_at"] == frame["created_at"][0].tz_localize(None)
    assert row["state"] == "completed"


@pytest.mark.parametrize("module", [colors, exporting, hashes, jobs, scores])
def test_examples_in_documentation_run(module) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("wrong", [None, 5, "x", [1]])
def test_what_is_no_frame_is_refused_and_nothing_written(tmp_path, wrong) -> None:
    for write in (write_csv, write_excel):
        with pytest.raises(ConfigurationError, match="no DataFrame"):
            write(wrong, tmp_path / "out")
    assert not list(tmp_path.iterdir())
