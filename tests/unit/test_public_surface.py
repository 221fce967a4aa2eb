from __future__ import annotations

import json
import subprocess
import sys

import myia_sdk

HEAVY = ("pandas", "matplotlib", "ipywidgets", "anywidget", "sklearn", "huey", "redis")


def test_all_names_can_be_imported_and_are_all_there_is():
    assert sorted(myia_sdk.__all__) == sorted({*myia_sdk._HOMES, "__version__"})
    for name in myia_sdk.__all__:
        assert getattr(myia_sdk, name) is not None
    assert set(myia_sdk.__all__) <= set(dir(myia_sdk))


def test_import_is_light():
    code = "import json, sys, myia_sdk; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(output.stdout))
    assert "myia_sdk" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_client_class_is_imported_without_data_science_libraries():
    code = (
        "import json, sys\nfrom myia_sdk import Client\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"pandas", "matplotlib", "ipywidgets", "sklearn", "huey"}
    assert heavy.isdisjoint(json.loads(output.stdout))


def test_unknown_name_is_an_attribute_error():
    assert not hasattr(myia_sdk, "Clinet")
