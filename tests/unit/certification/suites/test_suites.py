"""Suites: data with ids, versions, thresholds; errors that name file and key."""

import tomllib

import pytest

from myia_sdk.certification.suites import Suite, list_suites, load_suite
from myia_sdk.errors import SuiteError, UnknownSuiteError

MINIMAL = """
[suite]
id = "mine"
version = "1.0.0"
kind = "classifier"

[[check]]
id = "performance"
severity = "critical"
params = { metric = "f1_macro" }
threshold = { comparator = ">=", passed = 0.9, rule = "bound" }
"""


@pytest.mark.parametrize("name", list_suites())
def test_built_in_suites_are_valid_and_round_trip(name):
    suite = load_suite(name)
    assert suite.id == name
    again = Suite.from_record(suite.to_record())
    assert again.digest == suite.digest
    assert again == suite
    if suite.kind in {"classifier", "regressor"}:
        assert all(spec.source for spec in suite.checks)


def test_classifier_baseline_has_every_check():
    assert [spec.id for spec in load_suite("classifier-baseline").checks] == [
        "schema-errors",
        "unknown-values",
        "beats-dummy",
        "performance",
        "per-class",
        "copies",
        "calibration",
        "train-test-gap",
        "noise-robustness",
        "missing-values",
        "slices",
        "fairness",
        "determinism",
        "batch-invariance",
        "latency",
        "leakage",
        "single-feature-dominance",
        "confidence",
        "beats-baseline",
    ]


def test_suite_of_a_user(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    suite = load_suite(path)
    spec = suite.spec("performance")
    assert spec.params == {"metric": "f1_macro"}
    assert (spec.threshold.passed, spec.threshold.rule) == (0.9, "bound")
    assert load_suite(str(path)) == suite == load_suite(tomllib.loads(MINIMAL))


def test_same_check_twice_under_two_ids():
    record = tomllib.loads(MINIMAL)
    record["check"].append({"id": "accuracy", "use": "performance"})
    assert [spec.check.id for spec in load_suite(record).checks] == ["performance"] * 2


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('kind = "classifier"', 'kind = "oracle"', r"\[suite\]: 'kind' is 'oracle'"),
        ('kind = "classifier"', "", r"\[suite\] lacks the key 'kind'"),
        ('id = "performance"', 'id = "perfromance"', "no check 'perfromance'.*latency"),
        ("metric =", "metrik =", r"\(performance\): params: unknown 'metrik'"),
        ('"f1_macro"', "5", r"params: 'metric' is 5; it must be a str"),
        ('"critical"', '"huge"', "'severity' is 'huge'"),
        ("passed =", "pased =", "threshold has unknown keys: 'pased'"),
        ("0.9", '"0.9"', "threshold: 'passed' is '0.9'; it must be a number"),
        ('">="', '"=>"', "'comparator' is '=>'"),
        ("[[check]]", "[[chekc]]", "has no checks"),
        ('version = "1.0.0"', "version = 1", "'version' is 1; it must be a text"),
        ("[suite]", "[suite", "is not valid TOML"),
        ('severity = "critical"', 'version = "0"', "installed check has version"),
    ],
)
def test_errors_name_file_and_key(tmp_path, old, new, text):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL.replace(old, new))
    with pytest.raises(SuiteError, match=text) as caught:
        load_suite(path)
    assert "mine.toml" in str(caught.value)


def test_unknown_suites(tmp_path):
    with pytest.raises(UnknownSuiteError, match=r"'classifer'.*classifier-baseline"):
        load_suite("classifer")
    with pytest.raises(UnknownSuiteError, match="cannot be read"):
        load_suite(tmp_path / "none.toml")
    with pytest.raises(SuiteError, match="The suite is a int"):
        load_suite(7)


def test_digest_changes_with_what_is_measured_and_not_with_words():
    base = load_suite(tomllib.loads(MINIMAL))
    titled = tomllib.loads(MINIMAL)
    titled["suite"]["title"] = "Other words"
    assert load_suite(titled).digest == base.digest
    for old, new in [("0.9", "0.8"), ("f1_macro", "accuracy"), ("critical", "minor")]:
        changed = load_suite(tomllib.loads(MINIMAL.replace(old, new)))
        assert changed.digest != base.digest


def test_overrides_of_a_request():
    suite = load_suite("classifier-baseline")
    changed = suite.with_overrides(
        {
            "performance": {
                "params": {"metric": "accuracy"},
                "threshold": {"passed": 0.9},
            }
        }
    )
    spec = changed.spec("performance")
    assert spec.params["metric"] == "accuracy"
    assert (spec.threshold.passed, spec.threshold.rule) == (0.9, "bound")
    assert changed.digest != suite.digest
    with pytest.raises(SuiteError, match="no check 'speed'"):
        suite.with_overrides({"speed": {}})
    with pytest.raises(SuiteError, match="performance has unknown keys: 'limit'"):
        suite.with_overrides({"performance": {"limit": 1}})
