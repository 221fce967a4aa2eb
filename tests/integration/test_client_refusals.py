"""Bad input at the client's door: a clear error, and nothing enqueued."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

from myia_sdk import Client, ModelRef, Settings
from myia_sdk.errors import (
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
        "5",
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
    "retries as text": (MODEL, {"max_retries": "3"}, InvalidJobError, "'3'"),
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
    with pytest.raises(InvalidRequestError, match="list"):
        client.submit_batch([MODEL], suite=SUITE, dataset=DATA, regions="eu-west-1")
    assert sum(client.queue.counts().values()) == 0


def test_unknown_job_state_and_batch(client):
    with pytest.raises(JobNotFoundError, match="nojob"):
        client.job("nojob")
    with pytest.raises(JobNotFoundError, match="nobatch"):
        client.batch("nobatch")
    with pytest.raises(InvalidJobError, match="finished"):
        client.clean("finished")
    with pytest.raises(InvalidJobError, match="negative"):
        client.clean("completed", grace=-1)
    with pytest.raises(InvalidJobError, match="workers"):
        Client.local(workers=-1)


def test_wrong_password_is_named_but_not_shown(redis_server):
    settings = Settings(
        redis_host="127.0.0.1", redis_port=redis_server.port, redis_password="hunter2"
    )
    with pytest.raises(QueueConnectionError) as caught:
        Client(settings)
    assert "password" in str(caught.value).lower()
    assert "hunter2" not in str(caught.value)
