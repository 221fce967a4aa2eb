"""Importing stays light, and a missing extra is named."""

import doctest
import subprocess
import sys

import numpy as np
import pytest

from myia_sdk import certification
from myia_sdk.certification.admission import build_request
from myia_sdk.certification.checks import registry
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.errors import MissingExtraError

ROOMS = (
    *("request", "data", "diagnosis", "models", "traffic", "checks", "suites"),
    *("admission", "run", "run.preparation", "verdict", "report", "certificate"),
)
HEAVY = ["numpy", "pandas", "scipy", "sklearn", "skops", "onnxruntime", "pyarrow"]

#: What authors of plug-ins and notebooks import; see the package's docstring.
SURFACE = [
    "ArtifactStore",
    "Certificate",
    "CertificationRequest",
    "CheckContext",
    "CheckRecord",
    "Dataset",
    "DatasetRef",
    "FORMATS",
    "Measurement",
    "ModelRef",
    "Outcome",
    "Policy",
    "Report",
    "Severity",
    "Subject",
    "Suite",
    "Threshold",
    "Verdict",
    "build_request",
    "check",
    "compare",
    "drift_notice",
    "judge",
    "list_suites",
    "load_suite",
    "render",
    "run_suite",
    "sends",
    "trusted_keys",
]


def test_the_surface_for_authors_of_plugins_is_this_and_described():
    assert sorted(certification.__all__) == sorted(certification._HOMES) == SURFACE
    described = {
        line.split(maxsplit=1)[0] for line in certification.__doc__.split("\n    ")
    }
    for name in SURFACE:
        assert getattr(certification, name) is not None
        assert name in described
    assert set(SURFACE) <= set(dir(certification))
    assert not hasattr(certification, "chekc")


def test_the_example_of_a_plugin_works(monkeypatch):
    registry.load_checks()
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))
    result = doctest.testmod(certification)
    assert result.attempted == 5
    assert result.failed == 0


def test_names_are_exported_without_heavy_libraries():
    c = "myia_sdk.certification"
    program = (
        "import sys, myia_sdk.certification as c\n"
        "c.CertificationRequest, c.Report, c.ArtifactStore, c.judge, c.load_suite\n"
        f"import {', '.join(f'{c}.{room}' for room in ROOMS)}\n"
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

    from myia_sdk.certification.models.files.onnx import OnnxGraph

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
        OnnxGraph(helper.make_model(graph).SerializeToString())
