"""``myia`` as its user runs it: exit codes, output, one-line errors."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from myia_sdk import Client, Predictions, Settings
from myia_sdk.certification import ArtifactStore, Certificate, build_request, run_suite
from myia_sdk.certification.certificate.signing import Signer
from myia_sdk.cli.__main__ import app
from myia_sdk.cli.app import console
from tests.conftest import free_port
from tests.helpers.suites import OWN_SUITE

SUITE = "classifier-baseline"


class Outcome(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def myia(*arguments: str, environment: dict[str, str]) -> Outcome:
    """Run a command in this process, which has imported what it needs."""
    shown = {"COLUMNS": "200", "NO_COLOR": "1"}
    result = CliRunner().invoke(
        app, list(arguments), env=shown | environment, catch_exceptions=False
    )
    return Outcome(result.exit_code, result.stdout, result.stderr)


def run(
    *arguments: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "myia_sdk.cli", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=120,
        check=False,
        cwd=environment["MYIA_HOME"],
    )


@pytest.fixture
def environment(redis_server, queue_name, tmp_path, monkeypatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "width", 200)
    return {
        **redis_server.environment,
        "CERTIFICATION_QUEUE_NAME": queue_name,
        "CERTIFICATION_MAX_RETRIES": "0",
        "MYIA_HOME": str(tmp_path),
    }


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    import skops.io

    X, y = load_wine(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    skops.io.dump(model, tmp_path / "wine.skops")
    X.assign(grape=y).to_csv(tmp_path / "wine.csv", index=False)
    return tmp_path / "wine.skops", tmp_path / "wine.csv"


def test_submit_work_report_verify(environment, files, tmp_path):
    model, data = files
    options = ("--suite", SUITE, "--data", str(data), "--target", "grape")
    submitted = myia("submit", str(model), *options, environment=environment)
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()
    assert "waiting" in myia("jobs", environment=environment).stdout
    assert "workers: 0" in myia("status", environment=environment).stdout

    worker = subprocess.Popen(
        [sys.executable, "-m", "myia_sdk.cli", "worker", "-w", "1"],
        env=os.environ | environment | {"WORKER_HEALTH_PORT": "0"},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    try:
        names = {key.lower(): value for key, value in environment.items()}
        with Client(Settings(**names)) as client:
            client.job(job).wait(200)
    finally:
        worker.terminate()
        code = worker.wait(60)
    assert code == 0

    waited = myia("wait", job, environment=environment)
    assert (waited.returncode, waited.stdout) == (0, "certified\n")
    found = myia("jobs", "--verdict", "certified", environment=environment)
    assert job in found.stdout
    other = myia("jobs", "--model", "other", environment=environment)
    assert job not in other.stdout
    shown = myia("report", job, environment=environment)
    assert shown.returncode == 0
    assert "certified" in shown.stdout
    saved = tmp_path / "report.json"
    myia("report", job, "--format", "json", "-o", str(saved), environment=environment)
    record = json.loads(saved.read_text())
    for form, sign in (("html", "<html"), ("md", "|"), ("junit", "<testsuite")):
        assert (
            sign
            in myia(
                "report", str(saved), "--format", form, environment=environment
            ).stdout
        )

    record["verdict"] = "failed"
    saved.write_text(json.dumps(record))
    assert myia("report", str(saved), environment=environment).returncode == 100

    certificate = tmp_path / "certificate.json"
    certificate.write_text(json.dumps(record["certificate"]))
    verified = myia("verify", str(certificate), environment=environment)
    assert verified.returncode == 0, verified.stderr
    assert "Valid: certified" in verified.stdout
    certificate.write_text(
        certificate.read_text().replace('payload": "ey', 'payload": "eX')
    )
    tampered = myia("verify", str(certificate), environment=environment)
    assert tampered.returncode == 1
    assert tampered.stderr.startswith("myia: ")

    exported = tmp_path / "exported.json"
    subject = tmp_path / "subject.skops"
    about = ("--subject-output", str(subject))
    myia("certificate", job, "-o", str(exported), *about, environment=environment)
    checked = ("verify", str(exported), "--subject", str(subject))
    assert "not checked" not in myia(*checked, environment=environment).stdout
    subject.write_bytes(b"another model")
    assert "about" in myia(*checked, environment=environment).stderr
    assert "certified" in myia("certificates", environment=environment).stdout
    assert myia("revoke", job, environment=environment).returncode == 0
    revoked = myia("verify", str(exported), environment=environment)
    assert revoked.returncode == 1
    assert "revoked" in revoked.stderr
    assert "same" in myia("compare", job, job, environment=environment).stdout

    assert (
        "1 jobs deleted" in myia("clean", "completed", environment=environment).stdout
    )


def test_what_is_measured_with_and_by_whose_rules(environment, files, tmp_path):
    """Every input of level 3, and a worker that signs official rules alone."""
    import pandas as pd
    import skops.io

    model, data = files
    frame = pd.read_csv(data).assign(
        cask=["oak", "oak", "steel", "steel"] * 44 + ["oak"] * 2
    )
    columns = frame.columns.drop(["grape", "cask"])
    weak = DummyClassifier()
    numbers = frame[columns].assign(cask=frame["cask"] == "oak", grape=frame["grape"])
    train, test = numbers[::2], numbers[1::2]
    train.to_csv(tmp_path / "train.csv", index=False)
    test.to_csv(tmp_path / "test.csv", index=False)
    whole = make_pipeline(StandardScaler(), LogisticRegression())
    both = [*columns, "cask"]
    for name, made in (("wine", whole), ("weak", weak)):
        skops.io.dump(made.fit(train[both], train["grape"]), tmp_path / f"{name}.skops")
    options = ("--data", "test.csv", "--target", "grape")
    named = ("register", "older", "weak.skops", "--suite", SUITE, *options)
    registered = myia(*named, environment=environment)
    assert registered.returncode == 0, registered.stderr
    missing = myia("submit", str(model), "--train", "x.csv", environment=environment)
    assert "There are no test data; give --data FILE." in missing.stderr
    more = ("--train", "train.csv", "--sensitive", "cask", "--baseline", "older")
    full = myia("submit", "wine.skops", *options, *more, environment=environment)
    assert full.returncode == 0, full.stderr
    easy = tmp_path / "easy.toml"
    easy.write_text(OWN_SUITE)
    own = myia(
        "submit", "wine.skops", *options, "--suite", str(easy), environment=environment
    )
    shown = myia("suite", "show", SUITE, environment=environment).stdout.splitlines()
    allowed = f"{SUITE}@2.0.0={shown[1].strip()}"
    worker = subprocess.Popen(
        [sys.executable, "-m", "myia_sdk.cli", "worker", "-w", "1"],
        env=os.environ
        | environment
        | {"WORKER_HEALTH_PORT": "0", "MYIA_SUITES": allowed},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    job, refused = full.stdout.strip(), own.stdout.strip()
    try:
        names = {key.lower(): value for key, value in environment.items()}
        with Client(Settings(**names)) as client:
            client.wait([job, refused], timeout=200, progress=False)
            reason = client.job(refused).job.failed_reason
            certificates = client.certificates()
    finally:
        worker.terminate()
        assert worker.wait(60) == 0
    assert "This worker does not certify by mine@1=sha256:" in str(reason)
    assert f"MYIA_SUITES allows {SUITE}@2.0.0" in str(reason)
    (row,) = certificates.to_dict("records")
    assert (row["job_id"], row["level"], row["suite_origin"]) == (job, 3, "official")
    report = myia("report", job, environment=environment).stdout
    assert report.startswith("wine: certified"), report
    assert "assurance level 3 of 3" in report
    exported = tmp_path / "exported.json"
    myia("certificate", job, "-o", str(exported), environment=environment)
    demands = ("--suite", f"{SUITE}@2.0.0", "--min-level", "3")
    verified = myia("verify", str(exported), *demands, environment=environment)
    assert verified.returncode == 0, verified.stderr
    assert f"By {SUITE}@2.0.0: the official rules." in verified.stdout
    assert "assurance level 3 of 3" in verified.stdout
    assert "Submitted by" in verified.stdout
    other = ("--suite", f"{SUITE}@1.0.0")
    unlike = myia("verify", str(exported), *other, environment=environment)
    assert unlike.returncode == 1
    assert f"not by {SUITE}@1.0.0" in unlike.stderr


def test_a_certificate_by_the_old_rules_is_verified_and_said_to_be(
    environment, tmp_path
):
    old = Path(__file__).parents[1] / "helpers" / "old_rules"
    options = ("--key", str(old / "signing.pub.pem"))
    found = myia(
        "verify", str(old / "certificate.json"), *options, environment=environment
    )
    # Genuine, and expired since.
    assert found.returncode == 1
    assert "expired at 2026-11-08" in found.stderr
    report = myia("report", str(old / "report.json"), environment=environment)
    assert "those of before 2.0.0, which certified by the score" in report.stdout


def test_registered_model_is_certified_on_a_timetable(environment, files):
    model, data = files
    options = ("--suite", SUITE, "--data", str(data), "--target", "grape")
    made = myia("register", "wine", str(model), *options, environment=environment)
    assert made.returncode == 0, made.stderr
    assert "wine" in myia("models", environment=environment).stdout
    assert "1 jobs" in myia("certify-all", environment=environment).stdout
    assert "0 jobs" in myia("recertify", environment=environment).stdout
    added = myia(
        "schedule", "add", "wine", "--cron", "0 3 * * *", environment=environment
    )
    assert added.stdout.strip() == "certify-wine"
    listed = myia("schedule", "list", environment=environment)
    assert "certify-wine" in listed.stdout
    for code in (0, 1):
        gone = myia("schedule", "remove", "certify-wine", environment=environment)
        assert gone.returncode == code
    wrong = myia("schedule", "add", "wine", environment=environment)
    assert wrong.returncode == 2


def test_errors_are_one_line_without_traceback(environment, tmp_path):
    broken = environment | {"REDIS_PORT": "99999"}
    cases = {
        ("jobs",): (broken, "REDIS_PORT"),
        ("cancel", "nojob"): (environment, "nojob"),
        ("suite", "show", "nosuite"): (environment, "nosuite"),
        ("submit", "missing.skops", "--suite", SUITE): (environment, "missing.skops"),
        ("submit", "m.skops", "--suite", SUITE, "--data", "x.txt"): (
            environment,
            "x.txt",
        ),
        ("clean", "done"): (environment, "done"),
        ("wait", "nojob"): (environment, "nojob"),
        ("jobs", "--verdict", "good"): (environment, "quality_warning"),
        ("jobs", "--state", "done"): (environment, "done"),
        ("retry",): (environment, "--failed"),
        ("keys", "new"): (environment | {"MYIA_HOME": "/dev/null/home"}, "/dev/null"),
    }
    for arguments, (given, word) in cases.items():
        result = myia(*arguments, environment=given)
        assert result.returncode == 1, (arguments, result.stdout)
        assert result.stderr.startswith("myia: "), result.stderr
        assert word in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stderr.count("\n") == 1
        assert environment["REDIS_PASSWORD"] not in result.stderr


def test_process_ends_with_the_exit_code_and_the_line(environment):
    result = run("logs", "nojob", environment=environment)
    assert result.returncode == 1
    assert result.stderr.startswith("myia: Job 'nojob' does not exist")
    assert result.stderr.count("\n") == 1


def test_board_says_that_its_port_is_taken(environment):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        result = run("board", environment=environment | {"BULL_BOARD_PORT": port})
    assert result.returncode == 1
    assert "BULL_BOARD_PORT" in result.stderr
    assert port in result.stderr
    assert result.stderr.startswith("myia: ")


def test_board_warns_who_can_reach_it_and_stops_on_sigterm(environment):
    port = str(free_port())
    open_to_all = {"BULL_BOARD_PORT": port, "BULL_BOARD_HOST": "0.0.0.0"}
    board = subprocess.Popen(
        [sys.executable, "-m", "myia_sdk.cli", "board"],
        env=os.environ | environment | open_to_all,
        cwd=environment["MYIA_HOME"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = ""
        while port not in said or "default password" not in said:
            line = board.stderr.readline()
            assert line, f"the board ended: {said}"
            said += line
        assert "0.0.0.0" in said
    finally:
        board.terminate()
        code = board.wait(60)
        board.stderr.close()
    assert code == 0


def test_scripts_read_json(environment):
    status = json.loads(myia("status", "--json", environment=environment).stdout)
    assert status["counts"]["waiting"] == 0
    assert status["workers"] == 0
    assert environment["REDIS_PASSWORD"] not in status["server"]
    for command in (("jobs",), ("models",), ("certificates",), ("schedule", "list")):
        shown = myia(*command, "--json", environment=environment)
        assert json.loads(shown.stdout) == [], command
    findings = json.loads(myia("doctor", "--json", environment=environment).stdout)
    assert {"mark", "subject", "text", "advice"} == set(findings[0])
    assert "warn" in {finding["mark"] for finding in findings}


def test_version_and_reader_that_leaves(environment):
    assert myia("--version", environment=environment).stdout.startswith("myia-sdk ")
    suites = f"{sys.executable} -m myia_sdk.cli suites"
    said = {}
    for reader in ("| head -1", "> /dev/full"):
        said[reader] = subprocess.run(
            ["bash", "-c", f"{suites} {reader}"],
            capture_output=True,
            env=os.environ | environment,
            text=True,
            timeout=120,
            check=False,
        ).stderr
    assert said == {"| head -1": "", "> /dev/full": "myia: No space left on device\n"}


def test_a_certificate_of_predictions_says_that_no_model_was_seen(
    environment, tmp_path
):
    truth = ["dear", "cheap"] * 50
    answers = Predictions(truth, truth)
    artifacts = ArtifactStore(tmp_path / "artifacts")
    report = run_suite(
        build_request(answers, artifacts=artifacts, tell=print), artifacts=artifacts
    )
    signer = Signer.load(None, tmp_path)
    certificate = Certificate.issue(report, job_id="1", signer=signer)
    path = tmp_path / "certificate.json"
    path.write_text(certificate.to_json())
    subject = answers.save(tmp_path / "answers.parquet")
    command = ("verify", str(path), "--subject", str(subject))
    verified = myia(*command, environment=environment)
    assert verified.returncode == 0, verified.stderr
    assert "Valid: certified" in verified.stdout
    assert "no model was seen" in verified.stdout


def test_data_need_their_target(environment, files):
    model, data = files
    for options, text in (
        ((), "give --target COLUMN"),
        (("--target", "price"), "no column 'price'"),
    ):
        refused = myia(
            "submit", str(model), "--data", str(data), *options, environment=environment
        )
        assert refused.returncode == 1
        assert text in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_pause_is_shown_and_lifted(environment):
    assert myia("pause", environment=environment).returncode == 0
    assert "paused" in myia("status", environment=environment).stdout
    assert myia("resume", environment=environment).returncode == 0
    assert "paused" not in myia("status", environment=environment).stdout


def test_doctor_finds_what_is_wrong(environment):
    healthy = myia("doctor", environment=environment)
    assert healthy.returncode == 0, healthy.stdout
    assert "append-only file" in healthy.stdout
    assert "published default" in healthy.stdout
    assert environment["REDIS_PASSWORD"] not in healthy.stdout
    refused = myia("doctor", environment=environment | {"REDIS_PASSWORD": "wrong"})
    assert refused.returncode == 1
    unset = myia("doctor", environment=environment | {"REDIS_DB": "-1"})
    assert unset.returncode == 1
    assert "REDIS_DB" in unset.stdout


def test_suites_and_keys(environment):
    assert SUITE in myia("suites", environment=environment).stdout
    assert "beats-dummy" in myia("suite", "show", SUITE, environment=environment).stdout
    made = myia("keys", "new", environment=environment)
    assert made.returncode == 0
    assert "MYIA_SIGNING_KEY=" in made.stdout
    assert myia("keys", "rotate", environment=environment).returncode == 0
    assert "retired" in myia("keys", "show", environment=environment).stdout
