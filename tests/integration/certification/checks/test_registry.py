"""Checks and factories of the user, found through the allow-list only."""

import gzip
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from myia_sdk.certification.admission import build_request
from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.data.datasets import Dataset
from myia_sdk.certification.models import load_model
from myia_sdk.certification.models.python import find_factory
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import ModelRef
from myia_sdk.certification.suites import load_suite
from myia_sdk.certification.traffic.budget import BudgetExceededError
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import DatasetError, ModelRejectedError, SuiteError
from tests.helpers.speed import at_any_speed

PLUGIN = "tests.helpers.factories_of_models"
X, Y = load_iris(return_X_y=True)
MINE = {
    "suite": {"id": "mine", "version": "1", "kind": "classifier"},
    "check": [
        {"id": "performance", "severity": "critical"},
        {"id": "few-features", "threshold": {"passed": 4}},
    ],
}


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


def reference(function="make_linear", family="classifier", **options):
    return ModelRef(
        kind="python",
        name="mine",
        family=family,
        factory=f"{PLUGIN}:{function}",
        options=options,
    )


def build(store, model, suite, **options):
    return build_request(
        model,
        suite=suite,
        dataset=(X, Y),
        artifacts=store,
        plugins=(PLUGIN,),
        **options,
    )


def test_check_of_a_user_in_a_suite_of_a_user(store):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    request = build(store, model, MINE)
    report = run_suite(request, artifacts=store, plugins=(PLUGIN,))
    record = report.check("few-features")
    assert (record.outcome, record.value, record.version) == ("passed", 4, "2.1.0")
    assert report.sample_log["samples"] == 1
    content = store.read_bytes(report.sample_log["artifact"])
    assert b'"width": 4' in gzip.decompress(content)


def test_unknown_check_lists_those_there_are():
    wrong = {**MINE, "check": [{"id": "fewer-features"}]}
    with pytest.raises(SuiteError, match=r"check 1 \(fewer-features\).*few-features"):
        load_suite(wrong, (PLUGIN,))


def test_plugin_that_cannot_be_imported():
    with pytest.raises(SuiteError, match=r"MYIA_PLUGINS names the module 'no_such"):
        load_suite(MINE, ("no_such_module",))


@pytest.mark.parametrize("check", ["raises", "says-nothing"])
def test_a_check_that_breaks_is_an_error_not_a_verdict(store, check):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    suite = {**MINE, "check": [*MINE["check"], {"id": check, "severity": "minor"}]}
    lines = []
    report = run_suite(
        build(store, model, suite),
        artifacts=store,
        plugins=(PLUGIN,),
        log=lines.append,
    )
    record = report.check(check)
    assert record.outcome is Outcome.ERROR
    assert record.category == "UNKNOWN_ERROR"
    assert report.verdict is Verdict.CERTIFIED
    assert any("Traceback" in line for line in lines)


def test_checks_at_once_give_the_same_report(store):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    reports = [
        run_suite(
            build(store, model, "classifier-baseline", parameters={"concurrency": n}),
            artifacts=store,
        )
        for n in (1, 4)
    ]
    one, four = [
        {record.id: (record.outcome, record.value) for record in report.checks}
        for report in reports
    ]
    del one["latency"], four["latency"]
    assert list(one) == list(four)
    assert one == four


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_spent_budget_stops_the_run_without_a_verdict(store, concurrency):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    spending = [{"id": f"spend-{n}", "use": "spends"} for n in range(5)]
    suite = {**MINE, "check": [*MINE["check"], *spending]}
    suite["suite"] = {**MINE["suite"], "prices": {"prompt": 1.0}}
    request = build(
        store,
        model,
        suite,
        parameters={"max_cost": 1.5, "concurrency": concurrency},
    )
    progress = []
    with pytest.raises(
        BudgetExceededError, match=r"more than its limit of 1.5"
    ) as caught:
        run_suite(request, artifacts=store, plugins=(PLUGIN,), progress=progress.append)
    assert caught.value.unrecoverable
    assert caught.value.category == "CONFIGURATION_ERROR"
    assert progress[-1]["done"] < 7
    rich = build(store, model, suite, parameters={"max_cost": 50.0})
    report = run_suite(rich, artifacts=store, plugins=(PLUGIN,))
    assert report.usage["cost"] == 5.0


def test_request_of_a_foreign_client_is_checked_by_the_worker(store):
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    good = build(store, model, "classifier-baseline")
    narrow = store.put_dataset(Dataset.of((X[:, :2], Y)))
    with pytest.raises(DatasetError, match="has 2 features"):
        run_suite(replace(good, dataset=narrow), artifacts=store)
    with pytest.raises(DatasetError, match="measures on data"):
        run_suite(replace(good, dataset=None), artifacts=store)
    blind = store.put_dataset(Dataset.of({"X": X}))
    with pytest.raises(DatasetError, match="no target"):
        run_suite(replace(good, dataset=blind), artifacts=store)


def test_entry_points_bring_checks(tmp_path):
    """A distribution that declares the group is found without any setting."""
    (tmp_path / "mychecks.py").write_text(
        "from myia_sdk.certification.checks import Measurement, check\n"
        "@check('from-entry-point', version='1', title='t', kinds=['regressor'])\n"
        "def found(context):\n"
        "    return Measurement(value=1.0)\n"
    )
    metadata = tmp_path / "mychecks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: mychecks\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text("[myia_sdk.checks]\nmine = mychecks\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from myia_sdk.certification.checks.registry import find_check\n"
        "assert find_check('from-entry-point', 'regressor').title == 't'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)


def test_factory_makes_an_estimator(store):
    model = load_model(reference(strength=0.5), plugins=(PLUGIN,))
    assert model.predict(X).shape == (150,)
    assert model.describe()["type"] == "LogisticRegression"
    report = run_suite(
        build(store, reference(), "classifier-baseline", parameters=at_any_speed()),
        artifacts=store,
        plugins=(PLUGIN,),
    )
    assert report.verdict is Verdict.CERTIFIED


def test_factory_makes_a_function(store):
    request = build(
        store, reference("make_rule", classes=[0, 1, 2]), "classifier-baseline"
    )
    report = run_suite(request, artifacts=store, plugins=(PLUGIN,))
    assert report.check("performance").details["metric"] == "balanced_accuracy"
    assert report.check("performance").value > 0.9
    skipped = [record.id for record in report.with_outcome(Outcome.SKIPPED)]
    assert "calibration" in skipped


def test_factory_makes_a_chat_function_that_streams():
    model = load_model(reference("make_parrot", "chat"), plugins=(PLUGIN,))
    messages = [{"role": "user", "content": "one two three"}]
    events = list(model.chat(messages))
    assert [event.text for event in events] == ["one ", "two ", "three ", ""]
    assert events[-1].finish_reason == "stop"
    whole = list(model.chat(messages, stream=False))
    assert [event.text for event in whole] == ["one two three ", ""]


@pytest.mark.parametrize(
    ("path", "plugins", "text"),
    [
        ("os:system", (PLUGIN,), "not allowed.*'os' to MYIA_PLUGINS"),
        (f"{PLUGIN}:system", (PLUGIN,), "defines no public function 'system'"),
        (f"{PLUGIN}:_make_private", (PLUGIN,), "no public function '_make_private'"),
        (f"{PLUGIN}:CALLS", (PLUGIN,), "no public function 'CALLS'"),
        (f"{PLUGIN}:nothing", (PLUGIN,), "no public function 'nothing'"),
        (f"{PLUGIN}:make_linear", (), "not allowed on this worker"),
        (f"{PLUGIN}:make_linear", ("tests",), "not allowed on this worker"),
        ("gone.away:make", ("gone.away",), "cannot be imported"),
    ],
)
def test_only_allowed_factories_are_used(path, plugins, text):
    with pytest.raises(ModelRejectedError, match=text):
        find_factory(path, plugins)


def test_a_module_that_is_not_allowed_is_not_even_imported(tmp_path, monkeypatch):
    (tmp_path / "bomb_module.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelRejectedError):
        find_factory("bomb_module:make", (PLUGIN,))
    assert "bomb_module" not in sys.modules


def test_single_factory_may_be_allowed():
    path = f"{PLUGIN}:_make_private"
    assert find_factory(path, (path,))().predict(X).shape == (150,)


def test_plugins_may_name_single_factories_beside_checks(store):
    plugins = (f"{PLUGIN}:make_linear",)
    assert load_suite(MINE, plugins).spec("few-features").version == "2.1.0"
    assert load_model(reference(), plugins=plugins).predict(X).shape == (150,)


def test_factory_that_makes_no_model():
    with pytest.raises(ModelRejectedError, match="returned a int, which is no"):
        load_model(reference("make_nothing"), plugins=(PLUGIN,))


def test_function_without_classes_is_told_to_give_them():
    model = load_model(reference("make_rule"), plugins=(PLUGIN,))
    with pytest.raises(ModelRejectedError, match=r"\{'classes': \[...\]\}"):
        _ = model.classes
    assert np.unique(model.predict(X)).tolist() == [0, 1, 2]
