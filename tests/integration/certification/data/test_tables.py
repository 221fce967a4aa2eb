"""Files larger than memory would like: the same as read at once, in batches."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.data import ArtifactStore, parquet, tables
from myia_sdk.certification.data.datasets import Dataset
from myia_sdk.certification.data.features import Features
from myia_sdk.certification.data.tables import read_file
from myia_sdk.certification.report import run_suite
from myia_sdk.errors import DatasetError
from tests.helpers.speed import at_any_speed

ROWS = 3_000


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def on_disk(monkeypatch):
    """Let tables stay on disk that are smaller than memory, in many batches."""
    monkeypatch.setattr(tables, "SMALL_BYTES", 0)
    monkeypatch.setattr(parquet, "SMALL_BYTES", 0)
    monkeypatch.setattr(parquet, "_MAPPED_FROM", 0)
    monkeypatch.setattr(tables, "BATCH_ROWS", 700)
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 4_096)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "size": rng.normal(size=ROWS),
            "rooms": rng.integers(1, 9, ROWS),
            "town": rng.choice(["Ourém", "Faro", "Évora"], ROWS),
            "kind": pd.Categorical(rng.choice(["house", "flat"], ROWS)),
            "built": pd.Timestamp("2001-01-01", tz="Europe/Lisbon")
            + pd.to_timedelta(rng.integers(0, 9_000, ROWS), unit="D"),
            "garden": rng.random(ROWS) < 0.5,
            "floors": pd.array(rng.integers(0, 5, ROWS), dtype="Int64"),
        }
    )
    made.loc[rng.choice(ROWS, 50, replace=False), "size"] = np.nan
    made.loc[rng.choice(ROWS, 50, replace=False), "floors"] = pd.NA
    made.loc[rng.choice(ROWS, 50, replace=False), "town"] = None
    made["label"] = np.where(made["rooms"] + 3 * made["garden"] > 6, "dear", "cheap")
    return made


@pytest.mark.usefixtures("on_disk")
def test_a_parquet_file_is_the_frame_that_was_written(frame, tmp_path):
    path = tmp_path / "houses.parquet"
    frame.set_index(np.arange(ROWS) + 7).to_parquet(path, row_group_size=999)
    table = read_file(path)
    expected = frame
    pd.testing.assert_frame_equal(table.frame(), expected)
    parts = list(table.frames())
    assert [len(part) for part in parts] == [700, 700, 700, 700, 200]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), expected)
    rows = np.array([2_999, 0, 5, 5])
    pd.testing.assert_frame_equal(
        table.take(rows), expected.iloc[rows].reset_index(drop=True)
    )
    mask = np.asarray(expected["rooms"] == 3)
    pd.testing.assert_frame_equal(
        table.take(mask), expected[mask].reset_index(drop=True)
    )
    features = Features(table)
    in_memory = Features(expected)
    assert features.names == in_memory.names
    assert features.numeric == in_memory.numeric
    assert (features.rows, features.width) == (ROWS, 8)
    for place in range(8):
        one, other = features.column(place), in_memory.column(place)
        pd.testing.assert_series_equal(
            pd.Series(one, dtype=object), pd.Series(other, dtype=object)
        )


@pytest.mark.usefixtures("on_disk")
def test_a_gap_makes_all_parts_of_a_column_alike(tmp_path):
    """Written by others than pandas: whole numbers with a gap in the last part."""
    path = tmp_path / "others.parquet"
    numbers = [*range(ROWS - 1), None]
    truths = [True, False] * (ROWS // 2 - 1) + [True, None]
    pq.write_table(pa.table({"n": numbers, "t": truths, "whole": range(ROWS)}), path)
    table = read_file(path)
    expected = pd.read_parquet(path)
    assert table.dtypes.tolist() == expected.dtypes.tolist()
    for part in table.frames():
        assert part.dtypes.tolist() == expected.dtypes.tolist()
    assert table.take(np.array([0])).dtypes.tolist() == expected.dtypes.tolist()
    assert table.select([2, 0]).frame()["n"].equals(expected["n"])
    # As read_csv has it: a gap among truth values is NaN.
    assert np.isnan(table.column(1)[-1])


#: As the documentation of ``pandas.read_csv`` lists them.
WORDS_FOR_NOTHING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan"),
    *("1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None"),
    *("n/a", "nan", "null"),
)
CSV = {
    "late fractions": "a,b\n" + "1,x\n" * 3_000 + "1.5,y\n",
    "late texts": "a,b\n" + "1,2\n" * 3_000 + "two,3\n",
    "late numbers": "a,b\n" + ",1\n" * 3_000 + "7,1\n",
    "nothing": "a,b\n" + ",1\n" * 3_000,
    "gaps": "a,b\n" + "1,x\n,\nNA,None\n" * 900,
    "all words for nothing": "a,b\n"
    + "".join(f"{word},1\n" for word in (*WORDS_FOR_NOTHING, "x")) * 90,
    "numbers among them": "a,b\n"
    + "".join(f"{word},1\n" for word in (*WORDS_FOR_NOTHING, "2")) * 90,
    "truths": "a,b\n" + "True,1\nFalse,2\n" * 900,
    "truths with gaps": "a,b\n" + "True,1\n,2\n" * 900,
    "days": "a,b\n" + "2024-01-31,1\n" * 900,
    "an index": ",b\n" + "".join(f"{at},1\n" for at in range(900)),
    "quotes": 'a,b\n"x, y",1\n"say ""no""",2\n' * 1,
    "zeros": "a,b\n" + "007,1\n" * 900,
}


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("case", CSV)
def test_a_text_file_is_what_pandas_reads(case, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(CSV[case], "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pd.read_csv(io.StringIO(CSV[case]), low_memory=False)
    table = read_file(path)
    pd.testing.assert_frame_equal(table.frame(), expected)
    parts = pd.concat(table.frames(), ignore_index=True)
    pd.testing.assert_frame_equal(parts, expected)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "cannot be read"),
        (b"a,b\n1,2\n1\n", "cannot be read.*Expected 2 columns"),
        (b"a\n" + b"x\n" * 9 + b"\xff\xfe\n", "cannot be read"),
    ],
    ids=["empty", "ragged", "bytes"],
)
def test_a_broken_text_file_is_named(tmp_path, content, text):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=text):
        Dataset.of((path, "a"))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"must be a .parquet or a .csv"):
        Dataset.of((tmp_path / "data.xlsx", "a"))
    with pytest.raises(DatasetError, match="cannot be read"):
        Dataset.of((tmp_path / "none.csv", "a"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DatasetError, match="cannot be read"):
        Dataset.of((tmp_path / "broken.parquet", "a"))
    assert not list(tmp_path.parent.rglob("myia-table-*"))


def model_of(frame):
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["town", "kind"]),
            ("passthrough", ["rooms", "garden"]),
        ),
        LogisticRegression(max_iter=500),
    ).fit(frame.drop(columns="label"), frame["label"])


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_on_disk_is_certified_as_one_in_memory(frame, store, tmp_path, suffix):
    columns = ["garden", "town", "kind", "rooms", "label"]
    # In another order than the model was fitted with, and without what it ignores.
    model = model_of(frame[["rooms", "kind", "town", "garden", "label"]])
    path = tmp_path / f"houses.{suffix}"
    given = frame[columns]
    if suffix == "csv":
        given.to_csv(path, index=False)
        given = pd.read_csv(path)
    else:
        given.to_parquet(path)
    said = []
    data = {"X": path, "y": "label", "sensitive": ["garden"], "train": (path, "label")}
    options = {"artifacts": store, "parameters": at_any_speed(), "tell": said.append}
    request = build_request(model, dataset=data, **options)
    assert any("order of the model" in note for note in said)
    assert store.get_dataset(request.dataset).features.is_mapped
    report = run_suite(request, artifacts=store)

    def in_memory(frame):
        return frame.drop(columns="label"), frame["label"]

    whole = {
        "X": in_memory(given)[0],
        "y": in_memory(given)[1],
        "sensitive": ["garden"],
        "train": in_memory(given),
    }
    other = run_suite(build_request(model, dataset=whole, **options), artifacts=store)
    for record in report.checks:
        twin = other.check(record.id)
        assert (record.outcome, record.sample_size) == (
            twin.outcome,
            twin.sample_size,
        ), record.id
        if record.id != "latency" and record.value is not None:
            assert record.value == pytest.approx(twin.value), record.id
    assert report.check("leakage").value == 1.0


@pytest.mark.usefixtures("on_disk")
def test_categories_stay_the_same_in_all_parts(frame, store, tmp_path):
    columns = ["kind", "rooms", "floors", "label"]
    path = tmp_path / "houses.parquet"
    # Sorted, so that parts lack a category.
    given = frame[columns].sort_values("kind", ignore_index=True)
    given.to_parquet(path, row_group_size=500)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype").fit(
        given.drop(columns="label"), given["label"]
    )
    request = build_request(
        model, dataset=(path, "label"), artifacts=store, parameters=at_any_speed()
    )
    report = run_suite(request, artifacts=store)
    expected = (model.predict(given.drop(columns="label")) == given["label"]).mean()
    assert report.check("performance").details["accuracy"] == pytest.approx(expected)


@pytest.mark.usefixtures("on_disk")
def test_a_refused_value_is_named_in_a_file_too(frame, store, tmp_path):
    path = tmp_path / "houses.csv"
    given = frame[["size", "rooms", "label"]].fillna({"size": 0.0})
    model = LogisticRegression().fit(given[["size", "rooms"]], given["label"])
    given.loc[2_345, "size"] = np.nan
    given.to_csv(path, index=False)
    with pytest.raises(DatasetError, match=r"row 2345 of X, column 'size'"):
        build_request(model, dataset=(path, "label"), artifacts=store)
    with pytest.raises(DatasetError, match=r"no column 'price'.*size, rooms, label"):
        build_request(model, dataset=(path, "price"), artifacts=store)
    assert not list((tmp_path / "artifacts").rglob("sha256/*/*"))


@pytest.mark.usefixtures("on_disk")
def test_groups_that_are_called_like_a_column_are_those_that_were_given(
    frame, store, tmp_path
):
    path = tmp_path / "houses.parquet"
    frame.to_parquet(path)
    other = np.array(["even", "odd"])[np.arange(ROWS) % 2]
    data = Dataset.of(
        {"X": path, "y": "label", "sensitive": {"town": other, "label": other}}
    )
    found = store.get_dataset(store.put_dataset(data))
    assert found.sensitive["town"].tolist() == other.tolist()
    assert found.sensitive["label"].tolist() == other.tolist()
    assert found.truth.tolist() == frame["label"].tolist()
    assert list(found.X.columns) == list(frame.columns[:-1])
    same = Dataset.of({"X": path, "y": "label", "sensitive": ["town"]})
    found = store.get_dataset(store.put_dataset(same))
    assert pd.Series(found.sensitive["town"]).equals(
        pd.Series(frame["town"].to_numpy())
    )


def test_small_files_are_frames(frame, tmp_path):
    path = tmp_path / "houses.parquet"
    frame.to_parquet(path)
    data = Dataset.of((path, "label"))
    assert isinstance(data.X, pd.DataFrame)
    assert list(data.X.columns) == list(frame.columns[:-1])


@pytest.mark.usefixtures("on_disk")
def test_a_large_artifact_in_a_remote_store(frame, tmp_path):
    store = ArtifactStore("memory://tables", cache=tmp_path / "cache")
    path = tmp_path / "houses.parquet"
    frame.to_parquet(path)
    reference = store.put_dataset(Dataset.of((path, "label")))
    found = store.get_dataset(reference)
    assert found.features.is_mapped
    pd.testing.assert_frame_equal(found.X.frame(), frame.drop(columns="label"))
    assert found.truth.tolist() == frame["label"].tolist()
