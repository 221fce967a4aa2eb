"""Graphs of all shapes: what they take, what they give, and what they do not say."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.models.files.onnx import OnnxGraph
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import OnnxModel
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import InvalidRequestError, ModelRejectedError
from tests.helpers.speed import at_any_speed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

IRIS = load_iris(return_X_y=True)


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


def linear(
    kind=TensorProto.FLOAT,
    rows="rows",
    shape=(4,),
    ends=(),
    labels=False,
    outputs=3,
):
    """A graph of plain operators, as networks are exported: logits and their end."""
    X, y = IRIS
    model = LogisticRegression(max_iter=500).fit(X, y)
    weights = model.coef_[:outputs].T
    bias = model.intercept_[:outputs]
    to_numpy = {TensorProto.DOUBLE: np.float64}.get(kind, np.float32)
    floats = kind if kind == TensorProto.DOUBLE else TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["X"], ["numbers"], to=floats),
        helper.make_node("Reshape", ["numbers", "flat"], ["table"]),
        helper.make_node("MatMul", ["table", "w"], ["products"]),
        helper.make_node("Add", ["products", "b"], ["logits"]),
    ]
    name = "logits"
    for end in ends:
        attributes = {"axis": -1} if end == "Softmax" else {}
        nodes.append(helper.make_node(end, [name], [f"{name}_{end}"], **attributes))
        name = f"{name}_{end}"
    outs = [helper.make_tensor_value_info(name, floats, [rows, outputs])]
    if labels:
        nodes.append(
            helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0)
        )
        outs.insert(
            0, helper.make_tensor_value_info("label", TensorProto.INT64, [rows])
        )
        outs = outs[:1] if labels == "only" else outs
    constants = [
        helper.make_tensor(
            "w", floats, weights.shape, weights.astype(to_numpy).ravel()
        ),
        helper.make_tensor("b", floats, bias.shape, bias.astype(to_numpy)),
        helper.make_tensor("flat", TensorProto.INT64, [2], [-1, 4]),
    ]
    inputs = [helper.make_tensor_value_info("X", kind, [rows, *shape])]
    graph = helper.make_graph(nodes, "g", inputs, outs, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    return made.SerializeToString(), model


def certify(model, data, store, suite=None, **options):
    said = []
    request = build_request(
        model,
        suite=suite,
        dataset=data,
        artifacts=store,
        parameters=at_any_speed(),
        tell=said.append,
        **options,
    )
    return run_suite(request, artifacts=store), said


ENDS = {
    "logits": ((), "logits"),
    "probabilities": (("Softmax",), "probabilities"),
    "one against the rest": (("Sigmoid",), "shares"),
}


@pytest.mark.parametrize("case", ENDS)
def test_scores_become_probabilities_whatever_they_are(case, store):
    ends, kind = ENDS[case]
    content, model = linear(ends=ends)
    report, said = certify(OnnxModel(content), IRIS, store)
    assert report.resolved["scores"] == kind
    assert bool(said) is (kind != "probabilities")
    graph = OnnxGraph(content)
    graph.settle(IRIS[0])
    found = graph.predict_proba(IRIS[0])
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert graph.predict(IRIS[0]).tolist() == model.predict(IRIS[0]).tolist()
    if kind != "shares":
        expected = model.predict_proba(IRIS[0])
    else:
        scores = 1 / (1 + np.exp(-model.decision_function(IRIS[0])))
        expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # A logistic regression is calibrated; its logits taken as they are would not be.
    if kind != "shares":
        assert report.check("calibration").value < 0.1


def test_a_baseline_is_read_as_the_model_is(store):
    """Its logits become probabilities too: against itself a model gains nothing."""
    content, model = linear()
    parameters = at_any_speed() | {"baseline": OnnxModel(content)}
    options = {"dataset": IRIS, "artifacts": store, "parameters": parameters}
    request = build_request(model, **options)
    record = run_suite(request, artifacts=store).check("beats-baseline")
    assert record.details["metric"] == "roc_auc"
    assert record.details["baseline"] == pytest.approx(record.details["model"])
    # Scores of one class against the rest rank rows otherwise than their shares do.
    rest, _ = linear(ends=("Sigmoid",))
    parameters["baseline"] = OnnxModel(rest)
    record = run_suite(build_request(model, **options), artifacts=store).check(
        "beats-baseline"
    )
    graph = OnnxGraph(rest)
    graph.settle(IRIS[0])
    assert record.details["baseline"] == pytest.approx(
        roc_auc_score(IRIS[1], graph.predict_proba(IRIS[0]), multi_class="ovr"),
        abs=1e-9,
    )


def test_what_is_given_is_not_told_from_the_answers(store):
    content, _ = linear()
    report, said = certify(OnnxModel(content, scores="logits"), IRIS, store)
    assert (report.resolved["scores"], said) == ("logits", [])
    with pytest.raises(InvalidRequestError, match=r"'odds'.*'logits' or"):
        OnnxModel(content, scores="odds")
    with pytest.raises(InvalidRequestError, match="'clusterer'"):
        OnnxModel(content, family="clusterer")


@pytest.mark.parametrize("outputs", ["both", "only"])
def test_labels_that_are_places_need_no_list(outputs, store):
    """hummingbird's graphs: the place of the greatest score, as a label."""
    content, model = linear(ends=("Softmax",), labels=outputs)
    graph = OnnxGraph(content)
    assert graph.predict(IRIS[0]).tolist() == model.predict(IRIS[0]).tolist()
    assert graph.has_probabilities is (outputs == "both")
    report, _ = certify(OnnxModel(content), IRIS, store)
    assert report.verdict is Verdict.CERTIFIED
    metric = "roc_auc" if outputs == "both" else "balanced_accuracy"
    assert report.check("performance").details["metric"] == metric


KINDS = {
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "float16": TensorProto.FLOAT16,
}


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_every_type(kind):
    content, _ = linear(KINDS[kind])
    graph = OnnxGraph(content)
    whole = np.round(IRIS[0])
    expected = OnnxGraph(linear()[0]).predict(whole)
    assert graph.predict(whole).tolist() == expected.tolist()
    frame = pd.DataFrame(whole).astype("Float64")
    assert graph.predict(frame).tolist() == expected.tolist()
    with pytest.raises(TypeError, match="not the text 'x'"):
        graph.predict(np.array([["x", 1, 2, 3]], dtype=object))


@pytest.mark.parametrize("rows", [1, 4, 64])
def test_a_fixed_number_of_rows_is_filled_up(rows):
    content, model = linear(rows=rows)
    graph = OnnxGraph(content)
    assert graph.n_features == 4
    assert graph.predict(IRIS[0]).tolist() == model.predict(IRIS[0]).tolist()
    assert graph.predict(IRIS[0][:3]).tolist() == model.predict(IRIS[0][:3]).tolist()


def test_a_row_may_be_an_image(store):
    content, model = linear(shape=(1, 2, 2))
    graph = OnnxGraph(content)
    assert graph.n_features == 4
    assert graph.predict(IRIS[0]).tolist() == model.predict(IRIS[0]).tolist()
    report, _ = certify(OnnxModel(content), IRIS, store)
    assert report.verdict is Verdict.CERTIFIED


def test_a_single_score_is_what_the_suite_is_for(store):
    content, _ = linear(outputs=1)
    X, y = IRIS
    model = OnnxModel(content)
    report, _ = certify(model, (X, y == 0), store, "classifier-baseline")
    assert report.check("performance").value > 0.99
    assert report.resolved["scores"] == "logits"
    assert OnnxGraph(content).family == "regressor"
    assert OnnxGraph(content, {"classes": ["no", "yes"]}).family == "classifier"
    report, _ = certify(OnnxModel(content, classes=[False, True]), (X, y == 0), store)
    assert report.suite_id == "classifier-baseline"


def export(model, types):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return to_onnx(model, initial_types=types, options={"zipmap": False})


@pytest.mark.parametrize("zipmap", [True, False])
def test_inputs_named_like_columns_take_them_by_name(store, tmp_path, zipmap):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=200),
            "rooms": rng.integers(1, 5, 200),
            "town": rng.choice(["a", "b", "c"], 200),
        }
    )
    y = np.where(frame["size"] + (frame["town"] == "a") > 0, "dear", "cheap")
    model = make_pipeline(
        ColumnTransformer(
            [
                ("n", StandardScaler(), ["size", "rooms"]),
                ("c", OneHotEncoder(), ["town"]),
            ]
        ),
        LogisticRegression(),
    ).fit(frame, y)
    types = [
        ("size", FloatTensorType([None, 1])),
        ("rooms", Int64TensorType([None, 1])),
        ("town", StringTensorType([None, 1])),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = to_onnx(model, initial_types=types, options={"zipmap": zipmap})
    path = tmp_path / "dear.onnx"
    path.write_bytes(made.SerializeToString())
    report, _ = certify(path, (frame[["town", "size", "rooms"]], y), store)
    assert report.verdict is Verdict.CERTIFIED
    # The labels are carried beside scores whose order is confirmed by the data.
    assert report.check("performance").details["metric"] == "roc_auc"
    graph = OnnxGraph(path.read_bytes())
    graph.settle(frame)
    np.testing.assert_allclose(
        graph.predict_proba(frame[["rooms", "town", "size"]]),
        model.predict_proba(frame),
        atol=1e-5,
    )


@pytest.mark.parametrize("container", ["array", "frame of other names"])
def test_inputs_of_several_columns_take_them_in_order(container):
    X, y = IRIS
    model = ColumnTransformer(
        [("one", StandardScaler(), [0, 1]), ("two", StandardScaler(), [2])]
    )
    made = make_pipeline(model, LogisticRegression()).fit(X[:, :3], y)
    types = [
        ("first", FloatTensorType([None, 2])),
        ("second", FloatTensorType([None, 1])),
    ]
    graph = OnnxGraph(export(made, types).SerializeToString())
    assert graph.n_features == 3
    rows = X[:, :3] if container == "array" else pd.DataFrame(X[:, :3])
    assert graph.predict(rows).tolist() == made.predict(X[:, :3]).tolist()
    with pytest.raises(ValueError, match="takes 3 columns, not 2"):
        graph.predict(X[:, :2])


def test_doubles_stay_doubles():
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    made = export(model, [("X", DoubleTensorType([None, 30]))])
    graph = OnnxGraph(made.SerializeToString())
    np.testing.assert_allclose(
        graph.predict_proba(X), model.predict_proba(X), atol=1e-6
    )


def test_a_sparse_matrix_is_filled_for_a_graph(store):
    from scipy.sparse import csr_matrix

    X, y = load_digits(return_X_y=True)
    model = OneVsRestClassifier(LogisticRegression(max_iter=50)).fit(X / 16, y)
    made = export(model, [("X", FloatTensorType([None, 64]))])
    content = made.SerializeToString()
    report, _ = certify(OnnxModel(content), (csr_matrix(X / 16), y), store)
    assert report.check("performance").value > 0.95


def silero():
    found = importlib.util.find_spec("silero_vad")
    if found is None or found.origin is None:
        pytest.skip("silero-vad is not installed (python -m tests.install)")
    return Path(found.origin).parent / "data" / "silero_vad.onnx"


def sounds(count=60, length=576, rate=16_000):
    """Voiced sounds, sums of overtones, and a room's quiet noise."""
    rng = np.random.default_rng(0)
    times = np.arange(length) / rate
    pitch = rng.uniform(90, 220, count)[:, None]
    voices = sum(np.sin(2 * np.pi * pitch * k * times) / k for k in range(1, 20))
    voices = voices * rng.uniform(0.05, 0.3, count)[:, None]
    quiet = rng.normal(0, 0.005, (count, length))
    return np.vstack([voices, quiet]).astype(np.float32), np.repeat([1, 0], count)


def test_inputs_that_are_no_columns_are_fixed(store):
    """silero-vad finds speech: beside the sound it takes a rate and its own state."""
    path, (X, y) = silero(), sounds()
    with pytest.raises(ModelRejectedError, match=r"'state'.*fixed=\{'state': 0\}"):
        certify(path, (X, y), store, "classifier-baseline")
    with pytest.raises(ModelRejectedError, match=r"'sr'.*fixed=\{'sr': 0\}"):
        certify(OnnxModel(path, fixed={"state": 0}, family="classifier"), (X, y), store)
    with pytest.raises(InvalidRequestError, match=r"'rate'.*There are: input"):
        certify(OnnxModel(path, fixed={"rate": 16_000}), (X, y), store)
    model = OnnxModel(path, fixed={"sr": 16_000, "state": 0}, classes=[0, 1])
    report, _ = certify(model, (X, y), store)
    assert report.model["name"] == "silero_vad"
    assert report.check("performance").value > 0.95
    assert report.check("batch-invariance").outcome is Outcome.PASSED

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options)
    feed = {
        "input": X,
        "sr": np.array(16_000),
        "state": np.zeros((2, len(X), 128), np.float32),
    }
    expected = session.run(["output"], feed)[0]
    graph = OnnxGraph(path.read_bytes(), model.options)
    np.testing.assert_allclose(graph.predict_proba(X)[:, [1]], expected, atol=1e-6)


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelRejectedError, match="pickle"):
        build_request(OnnxModel(path), dataset=IRIS, artifacts=ArtifactStore(tmp_path))
    with pytest.raises(ModelRejectedError, match="cannot be read"):
        build_request(
            OnnxModel(tmp_path / "none.onnx"),
            dataset=IRIS,
            artifacts=ArtifactStore(tmp_path),
        )
