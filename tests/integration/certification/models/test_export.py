"""Networks exported to ONNX; with the frameworks where they are installed."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression

from myia_sdk import export_onnx
from myia_sdk.certification.admission import build_request
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.models.files.onnx import OnnxGraph
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import MissingExtraError, ModelRejectedError


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def keras(torch):
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras", reason="Keras is not installed")


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32), y


def network(torch, X, y, outputs=2):
    torch.manual_seed(0)
    made = torch.nn.Sequential(
        torch.nn.Linear(30, 16),
        torch.nn.BatchNorm1d(16),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.2),
        torch.nn.Linear(16, outputs),
    )
    steps = torch.optim.Adam(made.parameters(), 1e-2)
    for _ in range(150):
        steps.zero_grad()
        scores = made(torch.tensor(X[:300]))
        truth = torch.tensor(y[:300])
        loss = (
            torch.nn.functional.cross_entropy(scores, truth)
            if outputs > 1
            else torch.nn.functional.binary_cross_entropy_with_logits(
                scores[:, 0], truth.float()
            )
        )
        loss.backward()
        steps.step()
    return made


def certify(model, data, store, **options):
    request = build_request(model, dataset=data, artifacts=store, tell=print, **options)
    return run_suite(request, artifacts=store)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_network_of_pytorch_is_certified(torch, cancer, store, outputs, tmp_path):
    X, y = cancer
    made = network(torch, X, y, outputs)
    path = tmp_path / "network.onnx"
    model = export_onnx(made, X[:1], path, classes=["malignant", "benign"])
    assert path.read_bytes() == model.path
    assert made.training
    names = np.array(["malignant", "benign"])
    report = certify(model, (X[300:], names[y[300:]]), store)
    assert report.verdict is Verdict.CERTIFIED
    assert report.model["name"] == "Sequential"
    assert report.resolved["scores"] == "logits"
    graph = OnnxGraph(model.path, model.options)
    graph.settle(X)
    with torch.no_grad():
        scores = made.eval()(torch.tensor(X[300:]))
    expected = (
        torch.softmax(scores, 1) if outputs > 1 else torch.sigmoid(scores)
    ).numpy()
    np.testing.assert_allclose(
        graph.predict_proba(X[300:])[:, -1], expected[:, -1], atol=1e-5
    )


def test_a_network_of_keras_is_certified(keras, store):
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8, 1).astype("float32") / 16
    made = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    made.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    made.fit(images[:1200], y[:1200], epochs=15, verbose=0)
    report = certify(export_onnx(made, images[:1]), (X[1200:] / 16, y[1200:]), store)
    assert report.verdict is Verdict.CERTIFIED
    assert report.resolved["scores"] == "probabilities"


def test_the_extra_is_named(torch, cancer, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match=r"myia-sdk\[onnx-export\]"):
        export_onnx(torch.nn.Linear(30, 2), cancer[0][:1])


def test_what_cannot_be_exported_says_why(torch, cancer):
    class Odd(torch.nn.Module):
        def forward(self, X):
            return X if float(X.sum()) > 0 else -X

    with pytest.raises(ModelRejectedError, match="Odd cannot be exported"):
        export_onnx(Odd(), cancer[0][:1])
    with pytest.raises(ModelRejectedError, match=r"shape \(0, 30\)"):
        export_onnx(torch.nn.Linear(30, 2), cancer[0][:0])


def test_estimators_need_no_export(cancer):
    X, y = cancer
    with pytest.raises(ModelRejectedError, match="submitted as they are"):
        export_onnx(LogisticRegression().fit(X, y), X[:1])
