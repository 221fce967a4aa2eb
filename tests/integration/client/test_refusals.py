"""Bad input at the client's door: a clear error, and nothing enqueued."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

from myia_sdk import Client, JobHandle, ModelRef, Settings
from myia_sdk.errors import (
    BatchNotFoundError,
    ConfigurationError,
    DatasetError,
    InvalidJobError,
    InvalidRequestError,
    JobNotFoundError,
    ModelRejectedError,
    MyiaError,
    PayloadTooLargeError,
    QueueConnectionError,
    SuiteError,
    UnknownModelError,
    UnknownSuiteError,
)

SUITE = "classifier-baseline"
X, y = load_wine(return_X_y=True, as_frame=True)
MODEL = LogisticRegression(max_iter=5000).fit(X / X.max(), y)
DATA = (X / X.max(), y)


@pytest.fixture(scope="module")
def client(redis_server, tmp_path_factory) -> Iterator[Client]:
    settings = Settings(
        redis_url=redis_server.url,
        certification_queue_name="refusals",
        myia_home=tmp_path_factory.mktemp("home"),
    )
    with Client(settings) as opened:
        yield opened


def with_nan() -> pd.Series:
    return y.astype(float).mask(y.index == 3)


CASES = {
    "unfitted": (LogisticRegression(), {}, ModelRejectedError, "fit"),
    "wrong feature count": (
        MODEL,
        {"dataset": (X.iloc[:, :5], y)},
        DatasetError,
        r"lacks 'total_phenols'.* and 3 more",
    ),
    "different lengths": (MODEL, {"dataset": (X, y[:10])}, DatasetError, "10"),
    "NaN in the target": (
        MODEL,
        {"dataset": (X, with_nan())},
        DatasetError,
        "NaN|miss",
    ),
    "no data": (MODEL, {"dataset": None}, DatasetError, "dataset="),
    "unknown suite": (MODEL, {"suite": "clasifier"}, UnknownSuiteError, "clasifier"),
    "no model": (None, {}, ModelRejectedError, "None"),
    "not a model": (object(), {}, MyiaError, "object"),
    "unreadable file": ("missing.skops", {}, ModelRejectedError, "missing.skops"),
    "unknown name": ("nobody", {}, UnknownModelError, "nobody"),
    "negative delay": (MODEL, {"delay": -1}, InvalidJobError, "negative"),
    "delay of text": (MODEL, {"delay": "1"}, InvalidJobError, "seconds"),
    "endless delay": (MODEL, {"delay": float("inf")}, InvalidJobError, "delay"),
    "negative priority": (MODEL, {"priority": -1}, InvalidJobError, "priority"),
    "zero timeout": (MODEL, {"timeout": timedelta(0)}, InvalidJobError, "timeout"),
    "negative retries": (MODEL, {"max_retries": -1}, InvalidJobError, "max_retries"),
    "many retries": (MODEL, {"max_retries": 10**9}, InvalidJobError, "100"),
    "endless timeout": (MODEL, {"timeout": 8 * 86_400}, InvalidJobError, "7 days"),
    "a third part": (MODEL, {"dataset": (X, y, y)}, DatasetError, "X_train"),
    "no name at all": ("", {}, UnknownModelError, "''"),
    "retries as text": (MODEL, {"max_retries": "3"}, InvalidJobError, "'3'"),
    "no tags": (MODEL, {"tags": None}, InvalidJobError, "tags is None"),
    "tags of numbers": (MODEL, {"tags": [1]}, InvalidJobError, "tags"),
    "reserved id": (MODEL, {"job_id": "wait"}, InvalidJobError, "wait"),
    "malformed id": (MODEL, {"job_id": "a:b"}, InvalidJobError, "a:b"),
    "integer id": (MODEL, {"job_id": "12"}, InvalidJobError, "12"),
    "empty id": (MODEL, {"job_id": ""}, InvalidJobError, "id"),
    "tag with comma": (MODEL, {"tags": ["a,b"]}, InvalidJobError, "a,b"),
    "parameter": (MODEL, {"parameters": {"sed": 1}}, InvalidRequestError, "sed"),
    "huge payload": (
        MODEL,
        {"parameters": {"checks": {"performance": {"note": "x" * 2_000_000}}}},
        (PayloadTooLargeError, SuiteError),
        "limit|note",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_with_a_reason_and_nothing_enqueued(client, case):
    model, options, error, match = CASES[case]
    with pytest.raises(error, match=match):
        client.submit(model, **({"suite": SUITE, "dataset": DATA} | options))
    assert sum(client.queue.counts().values()) == 0


def test_pickle_is_refused_and_not_loaded(client, tmp_path):
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (np.save, (str(tmp_path / "sprung"), np.zeros(1)))

    for name in ("model.pkl", "model.skops"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ModelRejectedError, match="pickle"):
            client.submit(str(path), suite=SUITE, dataset=DATA)
    assert not list(tmp_path.glob("sprung*"))
    assert sum(client.queue.counts().values()) == 0


def test_secret_in_a_reference_is_refused_without_showing_it(client):
    with pytest.raises(InvalidRequestError) as caught:
        ModelRef(kind="openai", name="m", model="m", secret="sk-verysecret")
    assert "sk-verysecret" not in str(caught.value)


def test_batch_with_one_bad_model_enqueues_none(client):
    with pytest.raises(ModelRejectedError):
        client.submit_batch([MODEL, LogisticRegression()], suite=SUITE, dataset=DATA)
    with pytest.raises(InvalidRequestError, match="models is empty"):
        client.submit_batch([], suite=SUITE, dataset=DATA)
    for wrong in ("eu-west-1", None, 5, []):
        with pytest.raises(InvalidRequestError, match="list"):
            client.submit_batch([MODEL], suite=SUITE, dataset=DATA, regions=wrong)
    for wrong in (None, 5, MODEL, "model"):
        with pytest.raises(InvalidRequestError, match="mapping"):
            client.submit_batch(wrong, suite=SUITE, dataset=DATA)
    with pytest.raises(InvalidJobError, match="batch"):
        client.submit_batch([MODEL], suite=SUITE, dataset=DATA, batch_id="")
    assert sum(client.queue.counts().values()) == 0


def test_unknown_job_state_and_batch(client):
    with pytest.raises(JobNotFoundError, match="nojob"):
        client.job("nojob")
    with pytest.raises(BatchNotFoundError, match="Batch 'nobatch'"):
        client.batch("nobatch")
    with pytest.raises(JobNotFoundError, match="nojob"):
        client.checks("nojob")
    assert client.checks(["nojob"]).empty
    with pytest.raises(InvalidJobError, match="finished"):
        client.clean("finished")
    with pytest.raises(InvalidJobError, match="negative"):
        client.clean("completed", grace=-1)
    for wrong in (-1, 10**9, float("nan"), "1", None, True):
        with pytest.raises(InvalidJobError, match="workers"):
            Client.local(workers=wrong)


@pytest.mark.parametrize("wrong", [None, 5, float("nan"), b"a", "", [], {}])
def test_what_is_no_id_is_named(client, wrong):
    for ask in (
        client.job,
        client.batch,
        client.logs,
        client.certificate_of,
        client.revoke,
    ):
        with pytest.raises(InvalidJobError, match="not the id of a"):
            ask(wrong)
    with pytest.raises(InvalidJobError, match=r"not the id|no job"):
        client.compare(wrong, wrong)


@pytest.mark.parametrize("wrong", [None, 5, float("nan"), [5], [None]])
def test_what_is_no_job_is_named(client, wrong):
    for ask in (client.checks, client.samples, client.wait, client.plot.scores):
        with pytest.raises(InvalidJobError, match="is no job"):
            ask(wrong)


@pytest.mark.parametrize("wrong", [-1, 0, 1.5, float("nan"), float("inf"), "1", True])
def test_limits_are_whole_numbers(client, wrong):
    for ask in (
        lambda: client.jobs(limit=wrong),
        lambda: client.logs("any", limit=wrong),
        lambda: client.events(limit=wrong),
        lambda: client.set_concurrency(wrong),
        lambda: client.set_rate_limit(wrong),
    ):
        with pytest.raises(ValueError, match=r"whole number|pause it|not possible"):
            ask()


@pytest.mark.parametrize("wrong", [-1, float("nan"), "1", True, [1]])
def test_durations_are_seconds_or_timedeltas(client, wrong):
    handle = JobHandle(client.connection, "any")
    for ask in (
        lambda: handle.wait(wrong),
        lambda: handle.result(wrong),
        lambda: client.wait(["any"], timeout=wrong),
        lambda: client.clean(grace=wrong),
        lambda: client.recertify_expiring(wrong),
        lambda: client.set_rate_limit(1, wrong),
    ):
        with pytest.raises(InvalidJobError, match=r"seconds|negative"):
            ask()


@pytest.mark.parametrize(
    "filters",
    [
        {"state": 5},
        {"state": "failed,completed"},
        {"ids": "abc"},
        {"ids": [None]},
        {"ids": 5},
        {"model": 5},
        {"tag": ["a"]},
        {"text": 5},
        {"verdict": "certifed"},
        {"since": object()},
        {"since": "2026-01-01"},
        {"columns": "id"},
        {"columns": ["nocolumn"]},
    ],
)
def test_filters_that_mean_nothing_are_refused(client, filters):
    with pytest.raises((ConfigurationError, InvalidJobError)):
        client.jobs(**filters)


@pytest.mark.parametrize("name", ["", "  ", 5, "a\x00b", "x" * 201])
def test_what_is_no_name_is_not_registered(client, name):
    with pytest.raises(InvalidRequestError, match="name"):
        client.register(name, MODEL, suite=SUITE, dataset=DATA)
    assert client.models().empty


def test_unknown_regions_of_registered_models_are_named(client):
    client.register("wine", MODEL, regions=["eu"], suite=SUITE, dataset=DATA)
    try:
        with pytest.raises(UnknownModelError, match="mars; there are models in eu"):
            client.certify_all(["mars"])
        with pytest.raises(InvalidJobError, match="list"):
            client.certify_all("eu")
        for wrong in ({"every": "1h"}, {"every": float("nan")}, {"pattern": 5}):
            with pytest.raises(InvalidJobError):
                client.schedule("wine", **wrong)
        with pytest.raises(InvalidJobError, match="registered model"):
            client.schedule(None, every=3_600)
        assert client.schedulers().empty
    finally:
        client.registry.remove("wine")


@pytest.mark.parametrize("wrong", ["redis://localhost", 5, {"redis_host": "db"}])
def test_settings_of_another_kind_are_named(wrong):
    with pytest.raises(ConfigurationError, match="Settings"):
        Client(wrong)


def test_closed_client_says_so(redis_server):
    client = Client(Settings(redis_url=redis_server.url))
    client.close()
    client.close()
    for ask in (client.jobs, client.pause, lambda: client.job("any"), client.models):
        with pytest.raises(QueueConnectionError, match="closed"):
            ask()
    assert "closed" in repr(client)
    assert "closed" in client.describe()


def test_wrong_password_is_named_but_not_shown(redis_server):
    settings = Settings(
        redis_host="127.0.0.1", redis_port=redis_server.port, redis_password="hunter2"
    )
    with pytest.raises(QueueConnectionError) as caught:
        Client(settings)
    assert "password" in str(caught.value).lower()
    assert "hunter2" not in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_panel_of_a_closed_client_ends_in_peace(redis_server):
    client = Client(Settings(redis_url=redis_server.url))
    panel = client.monitor()
    client.close()
    assert client.queue.queue in repr(panel)
    panel.close()


def test_missing_library_is_named_rather_than_the_file():
    code = (
        "import sys; sys.modules['skops'] = sys.modules['skops.io'] = None\n"
        "from myia_sdk.certification.models.files.sklearn import require_trusted\n"
        "require_trusted(b'PK')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "MissingExtraError: The extra [sklearn]" in result.stderr.splitlines()[-1]
