from __future__ import annotations

import json
from datetime import timedelta

import pytest

from myia_sdk.certification.certificate import Certificate
from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.verdict import Verdict
from myia_sdk.panels.controllers.certificates import CertificatesController
from myia_sdk.panels.controllers.monitor import MonitorController
from myia_sdk.panels.live import Changes, ControllerOptions
from myia_sdk.panels.permissions import ActionRefusedError, Permissions
from myia_sdk.queue.jobs import JobState
from tests.helpers.panel_probe import *  # noqa: F403
from tests.helpers.reports import make_check


@pytest.fixture
def certify(jobs):
    """Complete a job with a report and a certificate, as a worker does."""
    return jobs.certified


@pytest.fixture
def controller(client):
    return CertificatesController(client.connection)


def test_the_matrix_has_models_and_regions(controller, certify):
    certify("iris", "eu")
    certify("iris", "us", verdict=Verdict.FAILED, score=12.0, rating="F")
    certify("digits")
    controller.load()
    state = controller.snapshot()
    assert state["models"] == ["digits", "iris"]
    assert state["regions"] == ["", "eu", "us"]
    cell = state["cells"]['["iris","us"]']
    assert (cell["verdict"], cell["score"], cell["rating"]) == ("failed", 12.0, "F")
    assert cell["expires_at"] - cell["issued_at"] == 7 * 86_400_000
    assert '["digits","eu"]' not in state["cells"]


def test_the_latest_certificate_counts(controller, certify):
    certify("iris", age=timedelta(days=3), score=20.0, verdict=Verdict.FAILED)
    latest = certify("iris", age=timedelta(hours=1))
    controller.load()
    (cell,) = controller.snapshot()["cells"].values()
    assert cell["job_id"] == latest


def test_the_filter_looks_at_model_region_and_verdict(controller, certify):
    certify("iris", "eu")
    certify("digits", "us", verdict=Verdict.QUALITY_WARNING)
    controller.load()
    for query, models in [
        ("iris", ["iris"]),
        ("us", ["digits"]),
        ("quality warning", ["digits"]),
        ("nothing", []),
        ("", ["digits", "iris"]),
    ]:
        controller.handle({"event": "search", "query": query})
        assert controller.snapshot()["models"] == models


def test_a_genuine_certificate_verifies_and_says_its_verdict(controller, certify):
    job_id = certify("iris", verdict=Verdict.QUALITY_WARNING)
    controller.load()
    controller.handle({"event": "verify", "ids": [job_id]})
    found = controller.snapshot()["chosen"]["verification"]
    assert found["is_valid"] is True
    assert "quality warning" in found["text"]


def test_an_expired_certificate_does_not_verify(controller, certify):
    job_id = certify("iris", age=timedelta(days=8))
    controller.load()
    controller.handle({"event": "verify", "ids": [job_id]})
    found = controller.snapshot()["chosen"]["verification"]
    assert found["is_valid"] is False
    assert "expired" in found["text"]


def test_a_certificate_of_an_unknown_key_does_not_verify(
    client, controller, certify, tmp_path
):
    job_id = certify("iris")
    home = tmp_path / "elsewhere"
    client.connection.settings = client.settings.model_copy(update={"myia_home": home})
    controller.load()
    controller.handle({"event": "verify", "ids": [job_id]})
    assert controller.snapshot()["chosen"]["verification"]["is_valid"] is False


def test_a_revoked_certificate_is_shown_so_and_does_not_verify(
    client, controller, certify
):
    job_id = certify("iris")
    controller.load()
    (cell,) = controller.snapshot()["cells"].values()
    assert cell["is_revoked"] is False
    client.certificate_store.revoke(cell["id"], "the data were wrong")
    controller.load()
    (cell,) = controller.snapshot()["cells"].values()
    assert cell["is_revoked"] is True
    controller.handle({"event": "verify", "ids": [job_id]})
    found = controller.snapshot()["chosen"]["verification"]
    assert (found["is_valid"], "revoked" in found["text"]) == (False, True)


def test_the_download_is_the_certificate_itself(controller, certify, client):
    job_id = certify("iris")
    controller.load()
    controller.handle({"event": "download", "ids": [job_id]})
    (download,) = controller.take_downloads()
    certificate = Certificate.from_json(download["text"])
    assert certificate.job_id == job_id
    assert download["mime"] == "application/json"


def test_two_certificates_are_compared_check_by_check(controller, certify):
    first = certify(
        "iris", "eu", age=timedelta(hours=3), checks=(make_check(value=0.9),)
    )
    second = certify(
        "iris",
        "us",
        checks=(make_check(value=0.7, outcome=Outcome.FAILED),),
        score=40.0,
    )
    controller.load()
    controller.handle({"event": "compare", "ids": [first, second]})
    comparison = controller.snapshot()["comparison"]
    (row,) = comparison["rows"]
    assert (row["first"], row["change"]) == ("0.9 (passed)", "worsened")
    assert json.dumps(comparison)
    controller.handle({"event": "compare", "ids": []})
    assert controller.snapshot()["comparison"] is None
    with pytest.raises(ActionRefusedError, match="two certificates"):
        controller.handle({"event": "compare", "ids": [first]})


def test_certifying_again_submits_the_same_request(controller, certify, client):
    job_id = certify("iris")
    controller.load()
    controller.handle({"event": "rerun", "ids": [job_id]})
    (again,) = client.queue.page(JobState.WAITING)
    assert again.labels["model"] == "iris"


def test_cleaned_jobs_keep_their_certificates(controller, certify, client):
    job_id = certify("iris")
    client.administration.remove(job_id)
    controller.load()
    assert controller.snapshot()["models"] == ["iris"]
    with pytest.raises(ActionRefusedError, match="cleaned"):
        controller.handle({"event": "rerun", "ids": [job_id]})


def test_a_read_only_panel_does_not_certify_again(client, certify):
    job_id = certify("iris")
    options = ControllerOptions(permissions=Permissions(is_read_only=True))
    controller = CertificatesController(client.connection, options)
    controller.load()
    with pytest.raises(ActionRefusedError, match="read-only"):
        controller.handle({"event": "rerun", "ids": [job_id]})
    controller.handle({"event": "verify", "ids": [job_id]})


def test_unknown_jobs_are_refused(controller):
    for event in ("verify", "download", "rerun"):
        with pytest.raises(ActionRefusedError, match="No certificate"):
            controller.handle({"event": event, "ids": ["nobody"]})


def test_progress_alone_loads_nothing(controller, certify):
    certify("iris")
    controller.apply(Changes(progress={"1": ["5"]}))
    assert controller.snapshot()["models"] == []
    controller.apply(Changes(moved={"1"}))
    assert controller.snapshot()["models"] == ["iris"]


def test_the_details_of_a_job_show_verify_and_download_its_certificate(client, certify):
    job_id = certify("iris")
    monitor = MonitorController(client.connection)
    monitor.load()
    monitor.handle({"event": "open", "id": job_id})
    certificate = monitor.snapshot()["detail"]["certificate"]
    assert certificate["subject"].startswith("iris")
    assert certificate["expires_at"] > certificate["issued_at"]
    monitor.handle({"event": "verify", "ids": [job_id]})
    assert monitor.snapshot()["detail"]["certificate"]["verification"]["is_valid"]
    monitor.handle({"event": "download", "ids": [job_id]})
    assert monitor.take_downloads()[0]["name"] == f"certificate-{job_id}.json"
    assert len(monitor.snapshot()["detail"]["checks"]) == 5
