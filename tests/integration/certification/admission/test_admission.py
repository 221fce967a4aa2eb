"""Bad submissions: each with its clear error, and nothing stored."""

import io
import pickle
import shutil
import sys
import types
from dataclasses import replace
from functools import partial

import joblib
import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import skops.io
from lightgbm import LGBMClassifier
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.data.datasets import Dataset
from myia_sdk.certification.models import load_model
from myia_sdk.certification.models.files.acceptance import Acceptance
from myia_sdk.certification.models.files.sklearn import load_estimator
from myia_sdk.certification.request import CertificationRequest, ModelRef
from myia_sdk.errors import (
    DatasetError,
    InvalidRequestError,
    ModelRejectedError,
    SubmissionWarning,
    SuiteError,
    UnknownSuiteError,
)

X, Y = load_iris(return_X_y=True)
MODEL = LogisticRegression(max_iter=1000).fit(X, Y)
SUITE = "classifier-baseline"


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def build(store, tmp_path):
    def submit(model=MODEL, *, suite=SUITE, dataset=(X, Y), **options):
        return build_request(
            model, suite=suite, dataset=dataset, artifacts=store, **options
        )

    return submit


def refused(build, tmp_path, error, text, *arguments, **options):
    with pytest.raises(error, match=text) as caught:
        build(*arguments, **options)
    stored = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert not stored
    return str(caught.value)


def test_good_submission(build, store):
    request = build(name="iris", parameters={"seed": 1})
    assert request.suite == SUITE
    assert (request.model.kind, request.model.family) == ("sklearn", "classifier")
    assert request.model.name == "iris"
    assert request.dataset.rows == 150
    assert CertificationRequest.from_record(request.to_record()) == request
    model = load_model(request.model, store)
    np.testing.assert_array_equal(model.predict(X), MODEL.predict(X))
    assert model.describe()["classes"] == [0, 1, 2]


def test_names_of_models(build):
    assert build().model.name == "LogisticRegression"
    piped = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    assert build(piped).model.name == "LogisticRegression"


BAD_MODELS = {
    "unfitted": (LogisticRegression(), "LogisticRegression is not fitted; call fit"),
    "unfitted pipeline": (make_pipeline(StandardScaler()), "not fitted"),
    "class": (LogisticRegression, "the class LogisticRegression, not an instance"),
    "none": (None, "The model is None"),
    "number": (3.5, "float is not a scikit-learn estimator"),
    "function": (len, "is not a scikit-learn estimator"),
    "clusters": (KMeans(2, n_init=1).fit(X), "groups rows without a truth"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_models(build, tmp_path, case):
    model, text = BAD_MODELS[case]
    refused(build, tmp_path, ModelRejectedError, text, model)


def with_nan(values):
    values = values.astype(float).copy()
    values[3] = np.nan
    return values


BAD_DATA = {
    "none": (None, "measures on data; give dataset"),
    "width": ((X[:, :3], Y), "3 features, but the model was fitted with 4"),
    "length": ((X, Y[:-1]), "150 rows, but y has 149 values"),
    "nan target": ((X, with_nan(Y)), "y of the dataset has 1 missing values"),
    "none target": ((X, [None, *Y[1:]]), "1 missing values"),
    "empty": ((X[:0], Y[:0]), "shape \\(0, 4\\)"),
    "one class": ((X[:50], Y[:50]), "single class"),
    "fractions": ((X, X[:, 0]), "holds fractions such as"),
    "other classes": ((X, Y.astype(str)), "None of the classes in y"),
    "strings": ((np.full((150, 4), "a"), Y), "cannot predict the first rows"),
    "flat": ((X[:, 0], Y), "1 dimensions"),
    "cube": ((X[:, :, None], Y), "3 dimensions"),
    "two targets": ((X, np.column_stack([Y, Y])), "one value per row"),
    "triple": ((X, Y, Y, Y), "The dataset is a tuple"),
    "text": ("data.csv", "The dataset is a str"),
    "keys": ({"X": X, "z": Y}, "keys \\['X', 'z'\\]"),
    "no y": ({"X": X}, "has no target"),
    "no frame": ((X, "species"), "X must be a DataFrame"),
    "train width": ((X, Y, (X[:, :2], Y)), "X of the training data has 2 features"),
    "train length": ((X, Y, (X, Y[1:])), "training data has 150 rows"),
    "sensitive name": (
        {"X": X, "y": Y, "sensitive": ["sex"]},
        "'sex' is not a column of X",
    ),
    "sensitive length": (
        {"X": X, "y": Y, "sensitive": {"sex": ["f"]}},
        "has 1 values for 150 rows",
    ),
    "missing file": (("nowhere.parquet", "y"), "cannot be read"),
    "odd file": (("data.xlsx", "y"), r"must be a .parquet or a .csv file"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(build, tmp_path, case):
    dataset, text = BAD_DATA[case]
    refused(build, tmp_path, DatasetError, text, dataset=dataset)


SPARSE = {
    "csr": scipy.sparse.csr_array(X),
    "csc matrix": scipy.sparse.csc_matrix(X),
    "coo, whole numbers": scipy.sparse.coo_array(X.astype(int)),
}


@pytest.mark.parametrize("kind", SPARSE)
def test_sparse_data_come_back_as_they_were(build, store, kind):
    given = SPARSE[kind]
    request = build(LogisticRegression(max_iter=1000).fit(given, Y), dataset=(given, Y))
    found = store.get_dataset(request.dataset)
    assert scipy.sparse.issparse(found.X)
    assert isinstance(found.X, scipy.sparse.sparray) == isinstance(
        given, scipy.sparse.sparray
    )
    assert (given.tocsr() != found.X).nnz == 0
    assert found.X.dtype == given.dtype
    np.testing.assert_array_equal(found.truth, Y)


def test_a_wide_sparse_matrix_is_stored_without_filling_it(build, store):
    wide = scipy.sparse.random(60, 200_000, density=1e-5, format="csr", rng=0)
    model = LogisticRegression(max_iter=10).fit(wide, Y[20:80])
    reference = build(model, dataset=(wide, Y[20:80])).dataset
    assert store.size(reference.artifact) < 20_000
    assert store.get_dataset(reference).features.width == 200_000


def test_a_forged_sparse_matrix_is_refused(store):
    reference = store.put_dataset(Dataset.of((SPARSE["csr"], Y)))
    table = pq.read_table(io.BytesIO(store.read_bytes(reference.artifact)))
    beyond = pa.array([[99]] * 150, pa.large_list(pa.int32()))
    values = pa.array([[1.0]] * 150, pa.large_list(pa.float64()))
    for name, column in (("myia:indices", beyond), ("myia:values", values)):
        table = table.set_column(table.column_names.index(name), name, column)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    forged = replace(reference, artifact=store.put_bytes(buffer.getvalue()))
    with pytest.raises(DatasetError, match="sparse matrix is not whole"):
        store.get_dataset(forged)


def test_columns_are_compared_by_name(build, tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = LogisticRegression(max_iter=1000).fit(frame, Y)
    assert build(model, dataset=(frame, Y)).dataset.rows == 150
    assert build(model, dataset=(frame.assign(kind=Y), "kind")).dataset.target == "kind"
    with pytest.raises(DatasetError, match=r"lacks 'a'.*has 'z', which the model"):
        build(model, dataset=(frame.rename(columns={"a": "z"}), Y))
    with pytest.raises(DatasetError, match=r"lacks 'b', 'c', which the model"):
        build(model, dataset=(frame[["a", "d"]], Y))


def test_columns_in_another_order_are_put_in_order_and_it_is_said(build, store):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = LogisticRegression(max_iter=1000).fit(frame, Y)
    train = (frame[list("dcba")], Y)
    with pytest.warns(SubmissionWarning, match="put into the order of the") as told:
        request = build(model, dataset=(frame[list("bacd")], Y, train))
    assert len(told) == 2
    found = store.get_dataset(request.dataset)
    pd.testing.assert_frame_equal(found.X, frame)
    pd.testing.assert_frame_equal(found.train.X, frame)


def test_lightgbm_writes_names_without_blanks(build, store):
    frame = pd.DataFrame(X, columns=["a b", "c d", "e", "f"])
    model = LGBMClassifier(n_estimators=3, verbose=-1).fit(frame, Y)
    assert store.get_dataset(build(model, dataset=(frame, Y)).dataset).rows == 150
    with pytest.warns(SubmissionWarning, match="order of the model"):
        request = build(model, dataset=(frame[["e", "a b", "f", "c d"]], Y))
    pd.testing.assert_frame_equal(store.get_dataset(request.dataset).X, frame)


def test_one_column_of_texts_is_given_as_texts(build, store):
    texts, truth = pd.Series(["good film", "bad film"] * 30, name="review"), [1, 0] * 30
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, truth)
    with pytest.warns(SubmissionWarning, match=r"'review'.*as a list of texts"):
        request = build(model, dataset=(texts.to_frame(), truth))
    assert store.get_dataset(request.dataset).features.is_text


def test_classes_of_only_one_side_are_said(build):
    with pytest.warns(SubmissionWarning, match="have no rows of '2'"):
        build(dataset=(X[:100], Y[:100]))
    with pytest.warns(SubmissionWarning) as told:
        build(dataset=(X, np.where(Y == 2, 7, Y)))
    assert [str(one.message).partition(":")[0] for one in told] == [
        "The data have no rows of '2'",
        "The model does not know '7'",
    ]


@pytest.mark.parametrize(
    ("row", "column", "value"), [(7, 2, np.nan), (29_999, 0, np.inf), (0, 3, np.nan)]
)
@pytest.mark.parametrize("is_frame", [False, True])
def test_the_row_and_column_that_the_model_refuses_are_named(
    build, tmp_path, row, column, value, is_frame
):
    data, names, model = np.tile(X, (200, 1)), ["0", "1", "2", "3"], MODEL
    data[row, column] = value
    if is_frame:
        names = ["aa", "bb", "cc", "dd"]
        data = pd.DataFrame(data, columns=names)
        model = LogisticRegression(max_iter=1000).fit(pd.DataFrame(X, columns=names), Y)
    text = rf"predict row {row} of X, column '{names[column]}' \({value}\): ValueError"
    refused(build, tmp_path, DatasetError, text, model, dataset=(data, np.tile(Y, 200)))


def test_the_column_is_the_one_that_the_model_does_not_stand(build, tmp_path):
    """A missing value that is handled is not blamed for one that is not."""
    frame = pd.DataFrame(X, columns=list("abcd"))
    filled = make_column_transformer((SimpleImputer(), ["a"]), remainder="passthrough")
    model = make_pipeline(filled, LogisticRegression(max_iter=1000)).fit(frame, Y)
    frame.loc[90, "a"] = np.nan
    assert build(model, dataset=(frame, Y))
    frame.loc[90, "c"] = np.nan
    shutil.rmtree(tmp_path / "artifacts")
    text = r"row 90 of X, column 'c' \(nan\)"
    refused(build, tmp_path, DatasetError, text, model, dataset=(frame, Y))


def test_a_copy_that_predicts_otherwise_is_refused(build, tmp_path, monkeypatch):
    package = types.ModuleType("forgetful")
    exec(
        "from sklearn.linear_model import Ridge\n"
        "class Forgetful(Ridge):\n"
        "    def __getstate__(self):\n"
        "        return {**super().__getstate__(), 'intercept_': 0.0}\n",
        package.__dict__,
    )
    monkeypatch.setitem(sys.modules, "forgetful", package)
    text = "copy of Forgetful predicts otherwise than the model itself for 100 of 100"
    refused(
        partial(build, accepted=lambda: Acceptance(packages=("forgetful",))),
        tmp_path,
        ModelRejectedError,
        text,
        package.Forgetful().fit(X, Y),
        suite="regressor-baseline",
        dataset=(X, Y + X[:, 0]),
    )


FRAMES = {
    "nullable": lambda frame: frame.convert_dtypes(),
    "arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "float32": lambda frame: frame.astype("float32"),
    "sparse columns": lambda frame: frame.astype(pd.SparseDtype("float", 0.0)),
    "polars": polars.from_pandas,
    "arrow table": pa.Table.from_pandas,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_other_makes(build, store, kind):
    frame = pd.DataFrame(X, columns=list("abcd"))
    given = FRAMES[kind](frame)
    target = FRAMES[kind](pd.DataFrame({"y": Y}))["y"]
    model = LogisticRegression(max_iter=1000).fit(frame, Y)
    found = store.get_dataset(build(model, dataset=(given, target)).dataset)
    np.testing.assert_array_equal(model.predict(found.X), model.predict(frame))
    np.testing.assert_array_equal(found.truth, Y)
    assert found.truth.dtype.kind in "if"


def test_dates_and_zones_come_back(build, store):
    when = pd.date_range("2024-01-01", periods=150, tz="America/Lima")
    frame = pd.DataFrame({"a": X[:, 0], "when": when, "day": when.tz_localize(None)})
    step = make_column_transformer((StandardScaler(), ["a"]), remainder="drop")
    model = make_pipeline(step, LogisticRegression()).fit(frame, Y)
    found = store.get_dataset(build(model, dataset=(frame, Y)).dataset)
    pd.testing.assert_frame_equal(found.X, frame, check_freq=False)


@pytest.mark.parametrize("target", [[5.0] * 150, np.full(150, 3)])
def test_a_target_that_does_not_vary_is_refused(build, tmp_path, target):
    text = "has the single value [35]; a regressor is measured on a target that varies"
    options = {"suite": "regressor-baseline", "dataset": (X, target)}
    model = LinearRegression().fit(X, Y)
    refused(build, tmp_path, DatasetError, text, model, **options)


def test_too_few_rows_are_refused(build, tmp_path):
    text = "has 9 rows; give at least 10"
    refused(build, tmp_path, DatasetError, text, dataset=(X[48:57], Y[48:57]))


OTHER_KINDS = {
    "clusters": (KMeans(2, n_init=1).fit(X), "groups rows without a truth"),
    "outliers": (IsolationForest(n_estimators=5).fit(X), "finds outliers"),
    "transformer": (StandardScaler().fit(X), "neither a classifier nor a regressor"),
    "several outputs": (
        LinearRegression().fit(X, np.c_[Y, Y]),
        "output by output: submit one model",
    ),
    "several labels": (
        MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(X, np.c_[Y, Y]),
        "output by output: submit one model",
    ),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_models_of_another_kind_are_refused_with_what_to_do(build, tmp_path, kind):
    model, text = OTHER_KINDS[kind]
    suite = "regressor-baseline" if kind == "several outputs" else SUITE
    errors = (ModelRejectedError, DatasetError)
    refused(build, tmp_path, errors, text, model, suite=suite, dataset=(X, Y))


def test_without_a_suite_the_baseline_of_the_kind_is_taken(build):
    assert build(suite=None).suite == "classifier-baseline"
    regressor = LinearRegression().fit(X, Y)
    request = build(regressor, suite=None, dataset=(X, Y + 0.5))
    assert request.suite == "regressor-baseline"
    with pytest.raises(InvalidRequestError, match="give suite="):
        build({"kind": "python", "factory": "a:b"}, suite=None)


BAD_OPTIONS = {
    "unknown suite": ({"suite": "classifer"}, UnknownSuiteError, "no suite|No suite"),
    "suite type": ({"suite": 3}, SuiteError, "The suite is a int"),
    "region": ({"region": 3}, InvalidRequestError, "The region is 3"),
    "name": ({"name": ""}, InvalidRequestError, "The name is ''"),
    "parameter": (
        {"parameters": {"sede": 1}},
        InvalidRequestError,
        "Unknown parameter 'sede'; there are: seed",
    ),
    "parameter type": (
        {"parameters": {"seed": "one"}},
        InvalidRequestError,
        "'seed' is 'one', a str",
    ),
    "parameter range": (
        {"parameters": {"concurrency": 0}},
        InvalidRequestError,
        "'concurrency' is 0; it must be more than 0",
    ),
    "override": (
        {"parameters": {"checks": {"speed": {}}}},
        SuiteError,
        "no check 'speed'",
    ),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options(build, tmp_path, case):
    options, error, text = BAD_OPTIONS[case]
    refused(build, tmp_path, error, text, **options)


def test_suite_of_another_kind(build, tmp_path):
    model = LinearRegression().fit(X, X[:, 0])
    text = "for models of kind 'classifier', but this one is a regressor"
    refused(build, tmp_path, InvalidRequestError, text, model, dataset=(X, X[:, 0]))


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".pt"])
def test_pickles_by_their_suffix(build, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    text = "never opened. Submit the fitted estimator"
    refused(build, tmp_path, ModelRejectedError, text, path)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("import sys; sys.bomb_went_off = True",))


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("suffix", [".skops", ".onnx", ".bin"])
def test_pickles_by_their_content_whatever_their_name(
    build, tmp_path, protocol, suffix
):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Bomb(), protocol=protocol))
    with pytest.raises(ModelRejectedError):
        build(path)
    assert not hasattr(sys, "bomb_went_off")


@pytest.mark.parametrize("compress", [0, 3, ("bz2", 3), ("xz", 3), ("gzip", 3)])
def test_joblib_files_by_their_content(build, tmp_path, compress):
    path = tmp_path / "model.skops"
    joblib.dump(MODEL, path, compress=compress)
    text = "is a pickle or joblib file: loading one runs whatever code it contains"
    refused(build, tmp_path, ModelRejectedError, text, path)


BAD_FILES = {
    "missing.skops": (None, "cannot be read: No such file"),
    "empty.skops": (b"", "is empty"),
    "noise.skops": (b"\x00\x01noise", "not a readable skops file"),
    "cut.skops": (skops.io.dumps(MODEL)[:500], "not a readable skops file"),
    "model.h5": (b"HDF", "has the suffix '.h5'; it must be one of .skops"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(build, tmp_path, name):
    content, text = BAD_FILES[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    refused(build, tmp_path, ModelRejectedError, text, path)


def test_directory_is_no_model(build, tmp_path):
    path = tmp_path / "model.skops"
    path.mkdir()
    refused(build, tmp_path, ModelRejectedError, "cannot be read", str(path))


def test_skops_file(build, tmp_path):
    path = tmp_path / "flowers.skops"
    skops.io.dump(MODEL, path)
    by_path, by_text = build(path), build(str(path))
    assert by_path == by_text
    assert by_path.model.name == "flowers"
    with pytest.raises(DatasetError, match="3 features"):
        build(path, dataset=(X[:, :3], Y))


def test_estimator_of_a_notebook_is_refused_with_the_way_out(build, tmp_path):
    main = types.ModuleType("__main__")
    exec(
        "from sklearn.base import BaseEstimator, ClassifierMixin\n"
        "class Mine(ClassifierMixin, BaseEstimator):\n"
        "    def fit(self, X, y):\n"
        "        self.classes_ = [0, 1]\n"
        "        return self\n"
        "    def predict(self, X):\n"
        "        return X[:, 0] > 0\n",
        main.__dict__,
    )
    # skops names a class by its module: the notebook's is __main__.
    real_main = sys.modules["__main__"]
    sys.modules["__main__"] = main
    try:
        model = main.Mine().fit(X, Y)
        text = (
            r"Mine is defined in this notebook.*_TRUSTED_PACKAGES.*MYIA_PLUGINS.*ONNX"
        )
        refused(build, tmp_path, ModelRejectedError, text, model)
    finally:
        sys.modules["__main__"] = real_main


def test_function_of_the_system_in_a_file_is_refused(build, tmp_path):
    import os

    path = tmp_path / "evil.skops"
    path.write_bytes(skops.io.dumps(make_pipeline(FunctionTransformer(os.system))))
    text = "posix.system is not among those that only hold or compute values"
    refused(build, tmp_path, ModelRejectedError, text, path)


def test_functions_of_sklearn_are_not_accepted_wholesale():
    from sklearn.datasets import load_files

    content = skops.io.dumps(FunctionTransformer(load_files))
    with pytest.raises(ModelRejectedError, match="load_files"):
        load_estimator(content)


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
        make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(max_iter=500)),
    ],
    ids=["forest", "boosting", "ufunc"],
)
def test_trees_and_functions_of_numpy_are_accepted(build, store, model):
    model.fit(X, Y)
    request = build(model)
    again = load_model(request.model, store)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_dictionary_of_a_reference(build):
    record = {
        "kind": "python",
        "name": "mine",
        "family": "classifier",
        "factory": "pkg.mod:make",
    }
    request = build(record)
    assert request.model == ModelRef.from_record(record)
    without = {key: record[key] for key in ("kind", "factory")}
    with pytest.raises(InvalidRequestError, match="'family' is not given"):
        build(without)
