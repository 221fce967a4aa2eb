"""Frames and plots as a client offers them, on jobs that a test finishes by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("Agg")

from matplotlib import pyplot as plt

from myia_sdk import Client, Settings
from myia_sdk.certification.data.samples import SampleLog
from myia_sdk.client import Plots
from myia_sdk.errors import ArtifactNotFoundError
from myia_sdk.queue.jobs import NewJob
from tests.conftest import RedisServer
from tests.helpers.frame_records import make_check, make_report


@pytest.fixture
def client(
    redis_server: RedisServer, queue_name: str, tmp_path: Path
) -> Iterator[Client]:
    settings = Settings(
        redis_host="127.0.0.1",
        redis_port=redis_server.port,
        redis_password=redis_server.password,
        certification_queue_name=queue_name,
        myia_home=tmp_path,
    )
    with Client(settings) as found:
        yield found


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    plt.close("all")
    yield
    plt.close("all")


def certified(client: Client, **over) -> str:
    bins = [{"low": 0.9, "high": 1.0, "count": 9, "confidence": 0.95, "accuracy": 0.9}]
    checks = (make_check(), make_check("calibration", details={"bins": bins}))
    report = make_report(*checks, **over)
    labels = {"model": "forest", "suite": report.suite_id, "region": "eu-west-1"}
    job_id = client.queue.add(NewJob(name="certify", labels=labels))
    client.queue.claim("t", timedelta(hours=1), "w1")
    ended = {"verdict": "certified", "score": "92.5", "rating": "A"}
    client.queue.complete(job_id, "t", report.to_record(), labels=ended)
    return job_id


def test_report_becomes_rows_of_checks_and_bins(client: Client) -> None:
    job_id = certified(client)
    assert list(client.checks(job_id)["check"]) == ["performance", "calibration"]
    assert list(client.checks([client.job(job_id), "gone"])["job_id"]) == [job_id] * 2
    assert list(client.calibration(job_id)["count"]) == [9]


def test_jobs_without_a_report_give_no_rows(client: Client) -> None:
    job_id = client.queue.add(NewJob(name="other"))
    for frame in (
        client.checks(job_id),
        client.calibration(job_id),
        client.samples([]),
    ):
        assert frame.empty


def test_samples_come_from_the_log_in_the_artifact_store(client: Client) -> None:
    log = SampleLog()
    log.append("ttft", {"first_text_ms": 90, "elapsed_ms": 400, "answer": "private"})
    job_id = certified(client, sample_log=log.store(client.artifacts))
    frame = client.samples(job_id)
    assert frame["first_token"][0] == timedelta(milliseconds=90)
    assert "private" not in frame.to_csv()
    ax = client.plot.latency(job_id)
    assert "n = 1" in ax.get_legend().get_texts()[0].get_text()


def test_a_sample_log_that_is_gone_is_told(client: Client) -> None:
    missing = {"artifact": "sha256:" + "0" * 64, "samples": 1}
    job_id = certified(client, sample_log=missing)
    with pytest.raises(ArtifactNotFoundError):
        client.samples(job_id)


def test_every_plot_of_a_client_reads_what_it_needs(client: Client) -> None:
    first, second = certified(client), certified(client)
    of_reports = {"scores": (first,), "calibration": (first,), "latency": (first,)}
    of_reports["comparison"] = (first, second)
    names = {name for name in vars(Plots) if not name.startswith("_")}
    for name in sorted(names):
        ax = getattr(client.plot, name)(*of_reports.get(name, ()))
        assert ax.get_xlabel(), name
        if name not in {"latency", "failures"}:
            assert not any(text.get_text().startswith("no ") for text in ax.texts), name


def test_plots_take_frames_and_axes(client: Client) -> None:
    certified(client)
    jobs = client.jobs(model="forest")
    _, ax = plt.subplots()
    assert client.plot.throughput(jobs, period="1min", ax=ax) is ax
    assert ax.get_ylabel() == "jobs per 1 min"
    assert client.plot.failures(jobs.iloc[:0]).texts[0].get_text().startswith("no ")


def test_plots_have_a_short_repr_that_lists_them(client: Client) -> None:
    assert "throughput" in repr(client.plot)
    assert "_jobs" not in repr(client.plot)


def test_searches_reach_jobs_through_the_client(client: Client) -> None:
    job_id = certified(client)
    client.queue.add(NewJob(name="certify", labels={"model": "tree", "tags": "a,b"}))
    assert list(client.jobs(verdict="certified")["id"]) == [job_id]
    assert list(client.jobs("waiting", tag="b")["model"]) == ["tree"]
    assert client.jobs(since="2100-01-01T00:00Z").empty
    assert len(client.jobs(ids=[job_id, "gone"], columns=["score"])) == 1
