from __future__ import annotations

import threading
import types

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from myia_sdk.panels.board import BoardPanel
from myia_sdk.panels.clean import CleanPanel
from myia_sdk.panels.controllers.form import BASELINE
from myia_sdk.panels.controllers.submit import SubmitController
from myia_sdk.panels.submit import SubmitPanel
from myia_sdk.queue.jobs import JobState
from tests.helpers.panel_probe import *  # noqa: F403
from tests.helpers.panel_probe import at_once, browser_clicks, browser_sets
from tests.helpers.suites import OWN_SUITE


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


@pytest.fixture
def namespace(data):
    X, y = data
    model = LogisticRegression().fit(X[:80], y[:80])
    frame = pd.DataFrame(X[80:], columns=list("abcd")).assign(label=y[80:])
    return {
        "model": model,
        "unfitted": LogisticRegression(),
        "LogisticRegression": LogisticRegression,
        "X_train": X[:80],
        "y_train": y[:80],
        "X_test": X[80:],
        "y_test": y[80:],
        "frame": frame,
        "wide": np.zeros((40, 9)),
        "_private": model,
        "np": np,
        "text": "hello",
        "module": types.ModuleType("x"),
    }


@pytest.fixture
def form(client, comms, namespace):
    return SubmitPanel(client.connection, namespace=lambda: namespace, runner=at_once)


def options(form, name) -> list[str]:
    return [value for _, value in form.fields[name].control.options]


def choose(form, name, value):
    index = options(form, name).index(value)
    browser_sets(form.fields[name].control, index=index)


def error(form, name) -> str:
    return form.fields[name].error.value


def test_fitted_estimators_and_fitting_data_are_offered(form):
    assert options(form, "model") == ["model"]
    assert form.fields["model"].control.value == "model"
    assert form.fields["features"].control.value == "X_test"
    assert form.fields["target"].control.value == "y_test"
    assert set(options(form, "features")) == {"X_test", "X_train", "frame", "wide"}


#: Fields of the form that nothing else depends on.
FIELDS = ("priority", "delay", "retries", "timeout", "tags")


def test_what_is_typed_while_variables_are_looked_for_is_kept(client, namespace):
    looks: list[threading.Thread] = []

    def looked_at():
        number = len(looks)
        typist = threading.Thread(target=form.change, args=(FIELDS[number], "7"))
        looks.append(typist)
        typist.start()
        # Nearly always long enough to be overtaken, were that possible.
        typist.join(timeout=0.2)
        return namespace

    form = SubmitController(client.connection, namespace=looked_at)
    form.look()
    typists = tuple(looks)
    for typist in typists:
        typist.join(timeout=120)
    typed = form.body()["values"]
    assert len(typists) > 1
    assert [typed[name] for name in FIELDS[: len(typists)]] == ["7"] * len(typists)
    assert typed["model"] == "model"


def test_targets_fit_the_chosen_table(form):
    browser_sets(
        form.fields["features"].control,
        index=options(form, "features").index("X_train"),
    )
    assert options(form, "target") == ["y_train"]
    browser_sets(
        form.fields["features"].control, index=options(form, "features").index("frame")
    )
    assert "column:label" in options(form, "target")


def test_the_suite_is_shown_with_its_checks_and_thresholds(form):
    assert "<table>" in form.suite_table.value
    assert "≥" in form.suite_table.value
    assert "critical" in form.suite_table.value


def test_a_click_submits_one_job_and_says_its_id(form, client):
    browser_sets(form.fields["tags"].control, value="nightly, demo")
    browser_sets(form.fields["retries"].control, value="1")
    browser_sets(form.fields["timeout"].control, value="30")
    browser_clicks(form.submit_button)
    (job,) = client.queue.page(JobState.WAITING)
    assert job.id in form.message.value
    assert job.labels["model"] == "model"
    assert job.labels["tags"] == "nightly,demo"
    assert job.max_attempts == 2
    assert job.fields == {} or job.fields.get("timeout") == "30000"


def test_a_column_of_the_table_can_be_the_target(form, client):
    browser_sets(
        form.fields["features"].control, index=options(form, "features").index("frame")
    )
    browser_sets(
        form.fields["target"].control,
        index=options(form, "target").index("column:label"),
    )
    browser_clicks(form.submit_button)
    (job,) = client.queue.page(JobState.WAITING)
    assert client.queue.job(job.id).data["dataset"]["rows"] == 40


def test_more_data_and_a_baseline_go_with_the_job(form, client, namespace):
    namespace["older"] = namespace["model"]
    browser_clicks(form.look_button)
    assert options(form, "train") == ["", "X_train", "frame", "wide"]
    assert options(form, "baseline") == ["", "older"]
    assert form.fields["train_target"].layout.display == "none"
    choose(form, "train", "X_train")
    assert form.fields["train_target"].layout.display is None
    assert form.fields["train_target"].control.value == "y_train"
    choose(form, "baseline", "older")
    browser_clicks(form.submit_button)
    (waiting,) = client.queue.page(JobState.WAITING)
    job = client.queue.job(waiting.id)
    assert job.data["dataset"]["train"]["rows"] == len(namespace["X_train"])
    baseline = job.data["parameters"]["baseline"]
    assert (baseline["kind"], baseline["family"]) == ("sklearn", "classifier")


def test_groups_are_columns_of_the_test_data(form, client, namespace):
    choose(form, "features", "frame")
    choose(form, "target", "column:label")
    column = str(namespace["frame"].columns[0])
    browser_sets(form.fields["sensitive"].control, value=f" {column}, {column}")
    assert error(form, "sensitive") == ""
    browser_clicks(form.submit_button)
    (waiting,) = client.queue.page(JobState.WAITING)
    job = client.queue.job(waiting.id)
    assert job.data["dataset"]["sensitive"] == [column]


def test_groups_that_are_no_columns_are_told(form, client):
    browser_sets(form.fields["sensitive"].control, value="no such column")
    assert "no column no such column" in error(form, "sensitive")
    browser_clicks(form.submit_button)
    assert client.queue.page(JobState.WAITING) == []


def test_training_data_need_a_target_of_their_length(form, namespace):
    del namespace["y_train"]
    choose(form, "train", "X_train")
    assert options(form, "train_target") == [""]
    assert error(form, "train_target") == ""
    browser_clicks(form.submit_button)
    assert "Choose the target." in error(form, "train_target")


def test_more_data_are_asked_for_where_a_suite_measures_on_data(form):
    assert form.more_box.layout.display is None
    choose(form, "source", "endpoint")
    assert form.more_box.layout.display == "none"


def test_several_regions_make_a_batch(form, client):
    browser_sets(form.fields["regions"].control, index=[0, 2])
    browser_sets(form.fields["more_regions"].control, value="sa-east-1, us-east-1")
    browser_clicks(form.submit_button)
    jobs = client.queue.page(JobState.WAITING)
    regions = [job.labels["region"] for job in jobs]
    assert sorted(regions) == ["eu-west-1", "sa-east-1", "us-east-1"]
    assert len({job.labels["batch"] for job in jobs}) == 1
    assert all(job.id in form.message.value for job in jobs)


CHAT = """
[suite]
id = "mine"
version = "1"
kind = "chat"
{prices}
[[check]]
id = "availability"
params = {{ requests = 3 }}
"""


@pytest.mark.parametrize(
    ("prices", "text"),
    [
        ("prices = { prompt = 1000.0, completion = 2000.0 }", "0.6560"),
        ("", "unknown"),
    ],
)
def test_the_cost_is_estimated_for_each_region(form, tmp_path, prices, text):
    suite = tmp_path / "mine.toml"
    suite.write_text(CHAT.format(prices=prices))
    form.controller.change("suite", str(suite))
    browser_sets(form.fields["regions"].control, index=[0, 1])
    assert "requests to the model: 8" in form.suite_table.value
    assert text in form.suite_table.value


def test_prices_of_a_registered_model_come_before_those_of_the_suite(form, client):
    from datetime import UTC, datetime

    from myia_sdk.client import Entry

    model = {"kind": "openai", "name": "m", "options": {"prices": {"prompt": 0.0}}}
    entry = Entry(
        name="m", model=model, suite="chat-baseline", registered_at=datetime.now(UTC)
    )
    client.registry.put(entry)
    browser_clicks(form.look_button)
    choose(form, "source", "registered")
    assert form.fields["suite"].control.value == "chat-baseline"
    assert form.controller.estimate().cost == 0.0
    form.controller.change("source", "endpoint")
    assert form.controller.estimate().cost is None


@pytest.fixture
def endpoint(form):
    """The form with an endpoint that could be submitted."""
    choose(form, "source", "endpoint")
    browser_sets(form.fields["model_id"].control, value="tiny")
    browser_sets(form.fields["url"].control, value="http://127.0.0.1:9/v1")
    return form


def test_prices_typed_give_the_cost_and_go_with_the_job(endpoint, client):
    form = endpoint
    assert form.fields["price_prompt"].layout.display is None
    assert "unknown" in form.suite_table.value
    browser_sets(form.fields["max_cost"].control, value="0.5")
    assert "needs prices" in error(form, "max_cost")
    browser_sets(form.fields["price_prompt"].control, value="-1")
    assert "amount" in error(form, "price_prompt")
    browser_sets(form.fields["price_prompt"].control, value="1000")
    browser_sets(form.fields["price_completion"].control, value="2000")
    assert "Estimated cost:" in form.suite_table.value
    assert "unknown" not in form.suite_table.value
    assert error(form, "max_cost") == ""
    browser_clicks(form.submit_button)
    (row,) = client.queue.page(JobState.WAITING)
    data = client.queue.job(row.id).data
    prices = data["model"]["options"]["prices"]
    assert prices == {"prompt": 1000.0, "completion": 2000.0}
    assert data["parameters"] == {"max_cost": 0.5}


def test_prices_typed_replace_those_of_a_registered_model(form, client):
    model = {
        "kind": "openai",
        "name": "m",
        "model": "m",
        "options": {"context_window": 9},
    }
    client.register("m", model, suite="chat-baseline")
    browser_clicks(form.look_button)
    choose(form, "source", "registered")
    browser_sets(form.fields["price_prompt"].control, value="3")
    browser_clicks(form.submit_button)
    (row,) = client.queue.page(JobState.WAITING)
    data = client.queue.job(row.id).data
    assert data["model"]["options"] == {
        "context_window": 9,
        "prices": {"prompt": 3.0},
    }


def test_no_prices_are_asked_for_a_model_that_costs_nothing(form):
    assert form.fields["max_cost"].layout.display == "none"
    form.controller.change("price_prompt", "x")
    assert form.controller.errors() == {}


def test_the_suite_follows_what_the_model_does(form, namespace):
    choose(form, "source", "endpoint")
    assert form.fields["suite"].control.value == "chat-baseline"
    choose(form, "kind", "openai-embedding")
    assert form.fields["suite"].control.value == "embedding-baseline"
    choose(form, "source", "variable")
    assert form.fields["suite"].control.value == "classifier-baseline"
    choose(form, "suite", "chat-baseline")
    assert "is for models of kind chat" in error(form, "suite")
    browser_clicks(form.submit_button)
    assert "Correct the marked" in form.message.value


def test_a_file_gets_the_baseline_of_what_it_turns_out_to_be(
    form, namespace, client, tmp_path
):
    import skops.io
    from sklearn.linear_model import Ridge

    rows = np.random.default_rng(0).normal(size=(40, 3))
    path = tmp_path / "ridge.skops"
    path.write_bytes(skops.io.dumps(Ridge().fit(rows, rows[:, 0])))
    namespace |= {"rows": rows, "truth": rows[:, 0]}
    browser_clicks(form.look_button)
    choose(form, "source", "file")
    assert form.fields["suite"].control.value == BASELINE
    assert form.suite_table.value == ""
    browser_sets(form.fields["file"].control, value=str(path))
    choose(form, "features", "rows")
    choose(form, "target", "truth")
    browser_clicks(form.submit_button)
    (row,) = client.queue.page(JobState.WAITING)
    assert client.queue.job(row.id).data["suite"] == "regressor-baseline"
    assert any("regressor-baseline" in note for note in form.controller.notes)
    choose(form, "source", "endpoint")
    assert form.controller.suite().id == "chat-baseline"
    choose(form, "suite", "file:")
    choose(form, "source", "file")
    assert form.fields["suite"].control.value == "file:"


def test_a_suite_of_ones_own_is_shown_told_of_and_submitted(form, client, tmp_path):
    field = form.fields["suite_file"]
    assert field.layout.display == "none"
    choose(form, "suite", "file:")
    assert field.layout.display is None
    browser_clicks(form.submit_button)
    assert "Give the path of a .toml file." in error(form, "suite_file")
    path = tmp_path / "mine.toml"
    path.write_text(OWN_SUITE.replace("critical", "terrible"))
    browser_sets(field.control, value=str(path))
    assert "mine.toml" in error(form, "suite_file")
    assert "terrible" in error(form, "suite_file")
    path.write_text(OWN_SUITE)
    browser_clicks(form.look_button)
    assert error(form, "suite_file") == ""
    assert "Checks of mine" in form.suite_table.value
    browser_clicks(form.submit_button)
    (job_id,) = form.controller.submitted
    assert client.job(job_id).job.data["suite"]["suite"]["id"] == "mine"


def test_a_suite_of_ones_own_for_other_models_is_told_and_kept(form, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        OWN_SUITE.replace("classifier", "chat").replace("beats-dummy", "usage")
    )
    choose(form, "suite", "file:")
    browser_sets(form.fields["suite_file"].control, value=f" {path}")
    assert "mine is for models of kind chat" in error(form, "suite_file")
    assert form.fields["suite"].control.value == "file:"


def test_a_model_that_no_suite_measures_is_told(client, comms, data):
    from sklearn.cluster import KMeans

    groups = KMeans(2, n_init=1).fit(data[0])
    namespace = {"groups": groups, "X": data[0], "y": data[1]}
    form = SubmitPanel(client.connection, namespace=lambda: namespace, runner=at_once)
    browser_clicks(form.submit_button)
    assert "neither a classifier nor a regressor" in error(form, "model")
    assert sum(client.queue.counts().values()) == 0


def test_a_registered_model_without_data_asks_for_them(form, client, namespace):
    from dataclasses import replace

    X, y = namespace["X_test"], namespace["y_test"]
    client.register("tree", namespace["model"], dataset=(X, y))
    client.registry.put(replace(client.registry.get("tree"), dataset=None))
    browser_clicks(form.look_button)
    choose(form, "source", "registered")
    assert form.fields["features"].layout.display is None
    browser_clicks(form.submit_button)
    (row,) = client.queue.page(JobState.WAITING)
    assert client.queue.job(row.id).data["dataset"]["rows"] == len(X)


WRONG = [
    ("priority", "-1", "whole number"),
    ("priority", "1.5", "whole number"),
    ("priority", "2097152", "whole number"),
    ("priority", "x", "whole number"),
    ("delay", "-5", "Seconds"),
    ("delay", "soon", "Seconds"),
    ("delay", "nan", "Seconds"),
    ("delay", "1e99", "Seconds"),
    ("timeout", "0", "Seconds"),
    ("retries", "101", "whole number"),
    ("more_regions", "eu west", "region"),
    ("more_regions", "<b>x</b>", "region"),
    ("tags", "x" * 65, "tag"),
]


@pytest.mark.parametrize(("name", "value", "text"), WRONG)
def test_wrong_values_are_told_beside_the_field_and_not_submitted(
    form, client, name, value, text
):
    browser_sets(form.fields[name].control, value=value)
    assert text in error(form, name)
    assert "<b>x" not in error(form, name)
    browser_clicks(form.submit_button)
    assert sum(client.queue.counts().values()) == 0
    assert "Correct the marked fields" in form.message.value
    browser_sets(form.fields[name].control, value="")
    assert error(form, name) == ""


def test_data_of_the_wrong_width_are_told(form):
    browser_sets(
        form.fields["features"].control, index=options(form, "features").index("wide")
    )
    assert "4 features" in error(form, "features") or "4 features" in str(
        form.controller.errors()
    )


def test_missing_targets_are_told(form, namespace):
    namespace["y_test"] = np.where(np.arange(40) < 3, np.nan, 1.0)
    assert "3 target values" in form.controller.errors()["target"]


def test_pickle_files_are_refused_with_the_reason(form, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"x")
    browser_sets(form.fields["source"].control, index=2)
    browser_sets(form.fields["file"].control, value=str(path))
    assert "Pickle" in error(form, "file")
    browser_sets(form.fields["file"].control, value=str(tmp_path / "none.skops"))
    assert "No file" in error(form, "file")


def test_a_registered_model_is_submitted_by_name(form, client, namespace):
    client.register(
        "digits",
        namespace["model"],
        dataset=(namespace["X_test"], namespace["y_test"]),
    )
    browser_clicks(form.look_button)
    browser_sets(form.fields["source"].control, index=1)
    assert options(form, "model") == ["digits"]
    browser_clicks(form.submit_button)
    (job,) = client.queue.page(JobState.WAITING)
    assert job.labels["model"] == "digits"


def test_an_endpoint_is_submitted_with_a_reference_to_its_secret(form, client):
    browser_sets(form.fields["source"].control, index=3)
    assert "Estimated requests" in form.suite_table.value
    browser_clicks(form.submit_button)
    assert error(form, "model_id") or error(form, "url")
    browser_sets(form.fields["model_id"].control, value="tiny")
    browser_sets(form.fields["url"].control, value="ftp://x")
    assert "http" in error(form, "url")
    browser_sets(form.fields["url"].control, value="http://127.0.0.1:9/v1")
    browser_sets(form.fields["secret"].control, value="sk-real-secret")
    assert "env:OPENAI_API_KEY" in error(form, "secret")
    assert "sk-real" not in error(form, "secret")
    browser_sets(form.fields["secret"].control, value="env:CHAT_KEY")
    browser_clicks(form.submit_button)
    (job,) = client.queue.page(JobState.WAITING)
    model = client.queue.job(job.id).data["model"]
    assert (model["model"], model["secret"]) == ("tiny", "env:CHAT_KEY")


def test_an_empty_notebook_says_what_is_missing(client, comms):
    form = SubmitPanel(client.connection, namespace=dict, runner=at_once)
    browser_clicks(form.submit_button)
    assert "Choose a model" in error(form, "model")
    assert "Choose the test data" in error(form, "features")


def test_a_variable_deleted_meanwhile_is_told(form, client, namespace):
    del namespace["model"]
    browser_clicks(form.submit_button)
    assert "no variable" in form.message.value
    assert sum(client.queue.counts().values()) == 0


def test_a_disabled_submit_button_is_refused_in_python(client, comms, namespace):
    form = SubmitPanel(
        client, namespace=lambda: namespace, runner=at_once, is_read_only=True
    )
    assert form.submit_button.disabled
    browser_clicks(form.submit_button)
    assert "read-only" in form.message.value
    assert sum(client.queue.counts().values()) == 0


def test_watch_opens_a_monitor_below_with_the_jobs_of_the_batch(form):
    browser_sets(form.fields["regions"].control, index=[0, 1])
    browser_clicks(form.submit_button)
    browser_clicks(form.watch_button)
    assert form.monitor in form.place.children
    form.monitor.wait_for_data(60)
    controller = form.monitor.controller
    listed = {job.id for job in controller.jobs}
    assert listed == set(form.controller.submitted)
    assert controller.snapshot()["detail"]["row"]["id"] in listed


def test_portuguese_labels(client, comms, namespace):
    client.connection.settings = client.settings.model_copy(update={"myia_lang": "pt"})
    form = SubmitPanel(client.connection, namespace=lambda: namespace, runner=at_once)
    assert form.submit_button.description == "Enviar"


@pytest.fixture
def clean(client, comms):
    return CleanPanel(client.connection, runner=at_once)


def fill_clean(clean, state: str, grace: str, limit: str = "0") -> None:
    states = [value for _, value in clean.state.control.options]
    browser_sets(clean.state.control, index=states.index(state))
    browser_sets(clean.grace.control, value=grace)
    browser_sets(clean.unit.control, index=0)
    browser_sets(clean.limit.control, value=limit)


def test_clean_previews_confirms_and_says_what_went(clean, client, jobs):
    for _ in range(4):
        jobs.completed()
    other = jobs.failed()
    fill_clean(clean, "completed", "0", "3")
    browser_clicks(clean.preview_button)
    assert "3 job(s) would be removed" in clean.question.value
    assert client.queue.counts()[JobState.COMPLETED] == 4
    assert not clean.confirm_button.disabled
    browser_clicks(clean.confirm_button)
    assert client.queue.counts()[JobState.COMPLETED] == 1
    assert "3 job(s) cleaned" in clean.message.value
    assert client.queue.state(other) is JobState.FAILED


def test_young_jobs_stay(clean, client, jobs):
    jobs.completed()
    fill_clean(clean, "completed", "3600")
    browser_clicks(clean.preview_button)
    assert "Nothing to clean" in clean.question.value
    assert clean.confirm_button.disabled
    browser_clicks(clean.confirm_button)
    assert client.queue.counts()[JobState.COMPLETED] == 1


def test_a_confirm_without_preview_is_refused_in_python(clean, client, jobs):
    jobs.completed()
    browser_clicks(clean.confirm_button)
    assert "nothing to confirm" in clean.message.value
    assert client.queue.counts()[JobState.COMPLETED] == 1


def test_a_changed_field_drops_the_preview(clean, client, jobs):
    jobs.completed()
    fill_clean(clean, "completed", "0")
    browser_clicks(clean.preview_button)
    browser_sets(clean.limit.control, value="1")
    assert clean.controller.dialog is None
    browser_clicks(clean.confirm_button)
    assert client.queue.counts()[JobState.COMPLETED] == 1


def test_a_field_changed_while_the_server_is_asked_drops_the_preview(
    client, comms, jobs
):
    jobs.completed()
    asked = []
    clean = CleanPanel(client.connection, runner=asked.append)
    fill_clean(clean, "completed", "0")
    for change in (lambda: None, lambda: browser_sets(clean.limit.control, value="1")):
        browser_clicks(clean.preview_button)
        change()
        asked.pop()()
        is_shown = clean.confirm_box.layout.display is None
        assert is_shown == (clean.controller.dialog is not None)
        assert is_shown == (clean.limit.control.value == "0")


@pytest.mark.parametrize("value", ["", "-1", "x", "1e99", "nan"])
def test_a_wrong_grace_is_told_beside_the_field(clean, value):
    fill_clean(clean, "completed", "1")
    browser_sets(clean.grace.control, value=value)
    assert "Seconds from 0" in clean.grace.error.value
    browser_clicks(clean.preview_button)
    assert clean.controller.dialog is None


def test_a_read_only_clean_panel_refuses(client, comms, jobs):
    jobs.completed()
    clean = CleanPanel(client.connection, runner=at_once, is_read_only=True)
    assert clean.preview_button.disabled
    fill_clean(clean, "completed", "0")
    browser_clicks(clean.preview_button)
    assert "read-only" in clean.message.value


def test_obliterate_waits_for_the_typed_name(clean, client, jobs, queue_name):
    from myia_sdk.panels.permissions import Action

    jobs.waiting()
    browser_clicks(clean.more_buttons[Action.OBLITERATE])
    assert clean.confirm_button.disabled
    browser_sets(clean.typed.control, value="wrong")
    browser_clicks(clean.confirm_button)
    assert client.queue.counts()[JobState.WAITING] == 1
    browser_sets(clean.typed.control, value=queue_name)
    assert not clean.confirm_button.disabled
    browser_clicks(clean.confirm_button)
    assert client.queue.counts()[JobState.WAITING] == 0


def test_obliterate_tells_of_running_jobs_and_then_drops_them(
    clean, client, jobs, queue_name
):
    from myia_sdk.panels.permissions import Action

    jobs.active()
    browser_clicks(clean.more_buttons[Action.OBLITERATE])
    assert "1 job(s) run now" in clean.question.value
    browser_sets(clean.typed.control, value=queue_name)
    browser_clicks(clean.confirm_button)
    assert sum(client.queue.counts().values()) == 0


def test_a_job_that_starts_after_the_question_stops_an_obliterate(
    clean, client, jobs, queue_name
):
    from myia_sdk.panels.permissions import Action

    jobs.waiting()
    browser_clicks(clean.more_buttons[Action.OBLITERATE])
    jobs.claim()
    browser_sets(clean.typed.control, value=queue_name)
    browser_clicks(clean.confirm_button)
    assert "running jobs" in clean.message.value
    assert client.queue.counts()[JobState.ACTIVE] == 1


def test_certificates_outlive_clean_and_obliterate(clean, client, jobs, queue_name):
    from myia_sdk.panels.permissions import Action

    ids = [jobs.certified("iris"), jobs.certified("wine")]
    fill_clean(clean, "completed", "0", "1")
    browser_clicks(clean.preview_button)
    browser_clicks(clean.confirm_button)
    assert f"state Completed: {ids[0]}" in clean.message.value
    browser_clicks(clean.more_buttons[Action.OBLITERATE])
    browser_sets(clean.typed.control, value=queue_name)
    browser_clicks(clean.confirm_button)
    assert client.queue.job(ids[1]) is None
    found = [client.certificate_of(job_id).subjects[0].name for job_id in ids]
    assert len(client.certificates()) == len(found) == 2


def test_a_large_clean_tells_its_progress(clean, client, jobs, monkeypatch):
    monkeypatch.setattr("myia_sdk.panels.controllers.clean.STEP", 2)
    seen = []
    clean.message.observe(lambda change: seen.append(change["new"]), "value")
    for _ in range(5):
        jobs.completed()
    fill_clean(clean, "completed", "0")
    browser_clicks(clean.preview_button)
    browser_clicks(clean.confirm_button)
    assert any("2 of 5 job(s) cleaned so far" in text for text in seen)
    assert client.queue.counts()[JobState.COMPLETED] == 0


def test_a_board_has_all_panels_and_closes_them_all(client, comms, namespace):
    before = len(ipywidgets.widgets.widget._instances)
    board = BoardPanel(client.connection)
    assert len(board.tabs.children) == 4
    assert "BoardPanel" in repr(board)
    board.close()
    assert len(ipywidgets.widgets.widget._instances) == before
