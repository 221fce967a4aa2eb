"""Importing stays light, and a missing extra is named."""

import subprocess
import sys

import numpy as np
import pytest

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.data.artifacts import ArtifactStore
from myia_sdk.errors import MissingExtraError

HEAVY = ["numpy", "pandas", "scipy", "sklearn", "skops", "onnxruntime", "pyarrow"]


def test_names_are_exported_without_heavy_libraries():
    program = (
        "import sys, myia_sdk.certification as c\n"
        "c.CertificationRequest, c.Report, c.ArtifactStore, c.judge, c.load_suite\n"
        "import myia_sdk.certification.models.protocols\n"
        "import myia_sdk.certification.report.runner\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
        "print(all(hasattr(c, name) for name in c.__all__))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert found.stdout.splitlines() == ["[]", "True"]


def test_missing_skops_is_named(monkeypatch, tmp_path):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(MissingExtraError, match=r"myia-sdk\[sklearn\]"):
        build_request(
            model,
            suite="classifier-baseline",
            dataset=(np.array([[0.0], [1.0]]), [0, 1]),
            artifacts=ArtifactStore(tmp_path),
        )


def test_missing_onnxruntime_is_named(monkeypatch):
    from onnx import TensorProto, helper

    from myia_sdk.certification.models.onnx import OnnxModel

    node = helper.make_node("Identity", ["x"], ["y"])
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "g",
        [value("x", TensorProto.FLOAT, [None, 1])],
        [value("y", TensorProto.FLOAT, [None, 1])],
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"myia-sdk\[onnx\]"):
        OnnxModel(helper.make_model(graph).SerializeToString())
