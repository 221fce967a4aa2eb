"""ONNX models: exported, foreign, and refused."""

import json
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.models.files.onnx import OnnxGraph
from myia_sdk.certification.models.files.onnx_content import inspect_onnx
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import OnnxModel
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import DatasetError, InvalidRequestError, ModelRejectedError
from tests.helpers.speed import at_any_speed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


def export(model, X, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sample = X[:1].astype(np.float32)
        return to_onnx(model, sample, options=options or None).SerializeToString()


def write(tmp_path, content, name="model.onnx"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_classifier_through_the_whole_suite(store, tmp_path):
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:400], y[:400])
    request = build_request(
        write(tmp_path, export(model, X), "tumour.onnx"),
        suite="classifier-baseline",
        dataset=(X[400:], y[400:]),
        parameters=at_any_speed(),
        artifacts=store,
    )
    assert request.model.to_record() == {
        "kind": "onnx",
        "name": "tumour",
        "family": "classifier",
        "artifact": request.model.artifact,
        "format": "onnx",
    }
    report = run_suite(request, artifacts=store)
    assert report.verdict is Verdict.CERTIFIED
    assert report.resolved["producer"] == "skl2onnx"
    assert report.check("performance").details["metric"] == "roc_auc"
    # The graph answers rows of NaN without a word, where scikit-learn raises.
    assert report.check("schema-errors").outcome is Outcome.PASSED
    assert report.check("unknown-values").outcome is Outcome.WARNED
    assert report.check("missing-values").outcome is Outcome.FAILED


@pytest.mark.parametrize("zipmap", [True, False], ids=["map", "matrix"])
@pytest.mark.parametrize("labels", ["numbers", "texts"])
def test_classifiers_agree_with_their_estimator(zipmap, labels):
    X, y = load_iris(return_X_y=True)
    y = y + 3 if labels == "numbers" else np.array(["s", "ve", "vi"], dtype=object)[y]
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    again = OnnxGraph(export(model, X, zipmap=zipmap))
    assert (again.family, again.n_features) == ("classifier", 4)
    assert again.classes.tolist() == model.classes_.tolist()
    single = X.astype(np.float32)
    assert again.predict(X).tolist() == model.predict(single).tolist()
    np.testing.assert_allclose(
        again.predict_proba(X), model.predict_proba(single), atol=1e-6
    )


def test_labels_looked_up_after_the_operator_are_not_guessed():
    """Their operator carries positions only, so the order of the scores is unknown."""
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(X, y + 3)
    again = OnnxGraph(export(model, X, zipmap=False))
    assert again.predict(X).tolist() == model.predict(X).tolist()
    assert again.has_probabilities == (again._classes is not None)
    if again.has_probabilities:
        assert again.classes.tolist() == [3, 4, 5]
    told = OnnxGraph(export(model, X, zipmap=False), {"classes": [3, 4, 5]})
    np.testing.assert_allclose(told.predict_proba(X), model.predict_proba(X), atol=1e-5)


def test_regressor_through_the_whole_suite(store, tmp_path):
    X, y = load_diabetes(return_X_y=True)
    path = write(tmp_path, export(Ridge(0.1).fit(X[:300], y[:300]), X))
    request = build_request(
        path,
        suite="regressor-baseline",
        dataset=(X[300:], y[300:]),
        parameters=at_any_speed(),
        artifacts=store,
    )
    report = run_suite(request, artifacts=store)
    assert report.verdict is Verdict.CERTIFIED
    with pytest.raises(InvalidRequestError, match="but this one is a regressor"):
        build_request(
            path, suite="classifier-baseline", dataset=(X, y > 100), artifacts=store
        )


def test_one_input_per_column():
    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "colour": list("abab")})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough"),
        LogisticRegression(),
    ).fit(frame, [0, 1, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = to_onnx(
            model,
            initial_types=[
                ("size", FloatTensorType([None, 1])),
                ("colour", StringTensorType([None, 1])),
            ],
        ).SerializeToString()
    again = OnnxGraph(content)
    assert again.n_features == 2
    swapped = frame[["colour", "size"]]
    assert again.predict(swapped).tolist() == model.predict(frame).tolist()
    with pytest.raises(ValueError, match="takes 2 columns, not 1"):
        again.predict(frame[["size"]])


def graph(*, external=None, domain="", initializer=True):
    """A model that adds one to its input, as a valid ONNX file."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    if external is not None:
        one.ClearField("float_data")
        one.data_location = TensorProto.EXTERNAL
        one.external_data.add(key="location", value=external)
    node = helper.make_node("Add", ["x", "one"], ["y"], domain=domain)
    built = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [one] if initializer else [],
    )
    opsets = [helper.make_opsetid("", 18)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(built, opset_imports=opsets, ir_version=9)


def test_plain_graph_is_accepted():
    model = OnnxGraph(graph().SerializeToString())
    assert model.family == "regressor"
    assert model.predict(np.array([[1.0], [2.0]])).tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../../secret.bin", "weights.bin", ""]
)
def test_weights_in_other_files_are_refused(store, tmp_path, location):
    (tmp_path / "weights.bin").write_bytes(np.float32(1).tobytes())
    path = write(tmp_path, graph(external=location).SerializeToString())
    with pytest.raises(ModelRejectedError, match="weights in other files") as caught:
        build_request(path, suite="regressor-baseline", dataset=None, artifacts=store)
    assert "save_as_external_data=False" in str(caught.value)


def test_external_weights_hidden_in_a_subgraph_are_found():
    inner = graph(external="/etc/passwd").graph
    outer = graph()
    outer.graph.node.append(
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    )
    facts = inspect_onnx(outer.SerializeToString())
    assert facts.external == ["/etc/passwd"] * 2


def test_operators_of_other_libraries_are_refused():
    with pytest.raises(ModelRejectedError, match=r"domains com\.evil"):
        OnnxGraph(graph(domain="com.evil").SerializeToString())


@pytest.mark.parametrize(
    "content",
    [b"\x00\x01\x02", b"not a model at all", b"", graph().SerializeToString()[:-7]],
    ids=["bytes", "text", "nothing", "cut"],
)
def test_what_is_no_onnx_file(content):
    with pytest.raises(ModelRejectedError):
        OnnxGraph(content)


def test_random_bytes_never_crash_the_reader():
    rng = np.random.default_rng(0)
    content = bytearray(graph().SerializeToString())
    for _ in range(300):
        broken = bytearray(content)
        for place in rng.integers(0, len(broken), 3):
            broken[place] = rng.integers(0, 256)
        try:
            inspect_onnx(bytes(broken))
        except ModelRejectedError:
            continue


def test_width_is_compared_with_the_model(store, tmp_path):
    X, y = load_iris(return_X_y=True)
    path = write(tmp_path, export(LogisticRegression(max_iter=500).fit(X, y), X))
    with pytest.raises(DatasetError, match=r"3 features.*fitted with 4"):
        build_request(
            path, suite="classifier-baseline", dataset=(X[:, :3], y), artifacts=store
        )


def magika_directory():
    magika = pytest.importorskip("magika", reason="the foreign model is not installed")
    return Path(magika.__file__).parent / "models" / "standard_v3_3"


def magika_features(content, config):
    """Bytes of the beginning and the end, as that model wants them."""
    size, pad = config["beg_size"], config["padding_token"]
    text = content.strip()
    first, last = list(text[:size]), list(text[-config["end_size"] :])
    return [
        *first,
        *[pad] * (size - len(first)),
        *[pad] * (config["end_size"] - len(last)),
        *last,
    ]


def test_a_foreign_model_with_scores_only(store):
    """magika tells the kind of a file from its bytes, 214 kinds and no label output."""
    directory = magika_directory()
    config = json.loads((directory / "config.min.json").read_text())
    rows, kinds = [], []
    for module, suffix, kind in [
        (pd, "py", "python"),
        (matplotlib, "png", "png"),
        (matplotlib, "svg", "svg"),
        (matplotlib, "pdf", "pdf"),
    ]:
        files = sorted(Path(module.__file__).parent.rglob(f"*.{suffix}"))
        files = [each for each in files if each.stat().st_size > 500][:6]
        rows += [magika_features(each.read_bytes(), config) for each in files]
        kinds += [kind] * len(files)
    model = OnnxModel(
        directory / "model.onnx", classes=config["target_labels_space"], name="magika"
    )
    one = {
        "suite": {"id": "files", "version": "1", "kind": "classifier"},
        "check": [
            {"id": "performance", "params": {"metric": "accuracy"}},
            {"id": "determinism", "params": {"rows": 5}},
        ],
    }
    said: list[str] = []
    request = build_request(
        model,
        suite=one,
        dataset=(np.array(rows, dtype=np.int32), kinds),
        artifacts=store,
        tell=said.append,
    )
    (note,) = said
    assert "The data have no rows of '3gp'" in note
    report = run_suite(request, artifacts=store)
    assert report.check("performance").value > 0.9
    assert report.verdict is Verdict.CERTIFIED


def test_onnx_checker_agrees_that_our_graphs_are_valid():
    onnx.checker.check_model(graph())
