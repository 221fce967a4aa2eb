"""The artifact store: content addressed, atomic, verified, on any filesystem."""

import hashlib
import threading

import numpy as np
import pandas as pd
import pytest

from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.data.datasets import Dataset
from myia_sdk.certification.data.parquet import from_parquet
from myia_sdk.errors import (
    ArtifactCorruptedError,
    ArtifactNotFoundError,
    ConfigurationError,
    DatasetError,
    InvalidRequestError,
)


@pytest.fixture(params=["directory", "memory"])
def store(request, tmp_path):
    if request.param == "directory":
        return ArtifactStore(tmp_path / "artifacts")
    return ArtifactStore(f"memory://{tmp_path.name}", cache=tmp_path / "cache")


def test_bytes_are_named_by_their_digest(store):
    digest = store.put_bytes(b"weights")
    assert digest == "sha256:" + hashlib.sha256(b"weights").hexdigest()
    assert store.put_bytes(b"weights") == digest
    assert store.exists(digest)
    assert store.size(digest) == 7
    assert store.read_bytes(digest) == b"weights"
    path = store.local_path(digest)
    assert path.read_bytes() == b"weights"
    assert store.put_bytes(path.read_bytes()) == digest


def test_missing_artifact_says_what_to_do(store):
    missing = "sha256:" + "0" * 64
    with pytest.raises(ArtifactNotFoundError, match="MYIA_ARTIFACTS"):
        store.read_bytes(missing)
    with pytest.raises(ArtifactNotFoundError):
        store.local_path(missing)


@pytest.mark.parametrize("name", ["sha256:../../etc/passwd", "sha256:AB", "x", None])
def test_only_digests_name_artifacts(store, name):
    with pytest.raises(InvalidRequestError, match="64 lower-case hex digits"):
        store.read_bytes(name)


def test_changed_bytes_are_noticed(tmp_path):
    store = ArtifactStore(tmp_path)
    digest = store.put_bytes(b"weights")
    store.local_path(digest).write_bytes(b"others!")
    with pytest.raises(ArtifactCorruptedError, match="other content"):
        store.read_bytes(digest)
    with pytest.raises(ArtifactCorruptedError, match="submit again"):
        store.local_path(digest)


def test_writers_of_the_same_bytes_leave_one_whole_file(tmp_path):
    store, content = ArtifactStore(tmp_path), b"x" * 2_000_000
    writers = [
        threading.Thread(target=store.put_bytes, args=(content,)) for _ in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert files[0].read_bytes() == content


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    store = ArtifactStore(tmp_path)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        store.put_bytes(b"weights")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_unknown_filesystem_and_credentials_in_its_url():
    with pytest.raises(ConfigurationError, match="MYIA_ARTIFACTS") as caught:
        ArtifactStore("nosuch://me:canary@host/bucket")
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(ArtifactStore("memory://me:canary@host"))


FRAME = pd.DataFrame(
    {
        "age": [1.5, np.nan, 3.0],
        "count": pd.array([1, 2, 3], dtype="int64"),
        "town": ["a", None, "c"],
        "kind": pd.Categorical(["x", "y", "x"]),
        "is_new": [True, False, True],
        "when": pd.to_datetime(["2026-01-01", "2026-01-02", None]),
    }
)


@pytest.mark.parametrize(
    "X",
    [
        np.arange(6.0).reshape(3, 2),
        np.arange(6, dtype=np.float32).reshape(3, 2),
        np.arange(6).reshape(3, 2),
        np.array([[True, False]] * 3),
        FRAME,
    ],
    ids=["float64", "float32", "int", "bool", "frame"],
)
def test_datasets_come_back_as_they_were(store, X):
    given = Dataset.of((X, ["a", "b", "a"]))
    reference = store.put_dataset(given)
    found = store.get_dataset(reference)
    assert (reference.rows, reference.target) == (3, "target")
    assert found.truth.tolist() == ["a", "b", "a"]
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_frame_equal(found.X, X)
    else:
        assert found.X.dtype == X.dtype
        np.testing.assert_array_equal(found.X, X)


def test_texts_groups_and_training_data_come_back(store):
    train = (np.array(["t"]), [1])
    given = Dataset.of(
        {
            "X": pd.Series(["one", "two", "three"]),
            "y": pd.Series([0, 1, 0], name="label"),
            "train": train,
            "sensitive": {"sex": ["f", "m", "f"]},
            "name": "mails",
        }
    )
    reference = store.put_dataset(given)
    found = store.get_dataset(reference)
    assert reference.target == "label"
    assert reference.train is not None
    assert found.X.tolist() == ["one", "two", "three"]
    assert found.sensitive["sex"].tolist() == ["f", "m", "f"]
    assert found.train.X.tolist() == ["t"]
    assert found.name == "mails"


def test_sensitive_feature_is_stored_once(store):
    given = Dataset.of({"X": FRAME, "y": [0, 1, 0], "sensitive": ["kind"]})
    found = store.get_dataset(store.put_dataset(given))
    assert list(found.X.columns) == list(FRAME.columns)
    assert found.sensitive["kind"].tolist() == ["x", "y", "x"]


def test_target_named_like_a_feature_does_not_overwrite_it(store):
    X = pd.DataFrame({"target": [1.0, 2.0]})
    found = store.get_dataset(store.put_dataset(Dataset.of((X, [0, 1]))))
    assert found.X["target"].tolist() == [1.0, 2.0]
    assert found.truth.tolist() == [0, 1]


def test_parquet_of_anybody_else_is_read():
    import io

    buffer = io.BytesIO()
    pd.DataFrame({"a": [1, 2], "b": [3, 4], "y": [0, 1]}).to_parquet(buffer)
    found = from_parquet(buffer.getvalue(), "y", ("a",))
    assert list(found.X.columns) == ["a", "b"]
    assert found.sensitive["a"].tolist() == [1, 2]
    with pytest.raises(DatasetError, match="no column 'z'; it has 3: a, b, y"):
        from_parquet(buffer.getvalue(), "z")
    with pytest.raises(DatasetError, match="not a readable Parquet file"):
        from_parquet(b"PAR1 no", None)


def test_same_data_same_digest(store):
    references = [store.put_dataset(Dataset.of((FRAME, [0, 1, 0]))) for _ in range(2)]
    assert references[0] == references[1]
