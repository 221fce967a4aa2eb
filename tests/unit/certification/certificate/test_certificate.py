"""A certificate is believed only when every step of its verification holds."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

from myia_sdk.certification.certificate import (
    Certificate,
    RevocationList,
    Signer,
    Subject,
    trusted_keys,
)
from myia_sdk.certification.certificate.envelope import Envelope
from myia_sdk.certification.certificate.keys import new_key
from myia_sdk.certification.certificate.revocation import RevocationKind
from myia_sdk.certification.certificate.statement import PAYLOAD_TYPE
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.verdict import Verdict
from myia_sdk.client import CertificateStore
from myia_sdk.errors import (
    CertificateError,
    CertificateExpiredError,
    CertificateRevokedError,
    NotCertifiedError,
    SignatureError,
    WrongPredicateError,
    WrongSubjectError,
)
from tests.helpers.reports import STARTED, make_report

SUBJECT = Subject(name="iris-forest", sha256="a" * 64)
LATER = STARTED + timedelta(days=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    new_key(home)
    return home


@pytest.fixture(scope="module")
def signer(home):
    return Signer.load(home / "keys" / "signing.pem", home)


@pytest.fixture
def issue(signer):
    def issue(report=None, **options):
        options = {"job_id": "job-1", "signer": signer, "now": STARTED, **options}
        return Certificate.issue(report or make_report(), **options)

    return issue


def signed(signer, statement: dict, payload_type: str = PAYLOAD_TYPE) -> Certificate:
    """A certificate whose signature is right, whatever it says."""
    payload = json.dumps(statement).encode()
    return Certificate(Envelope.sign(payload_type, payload, signer))


def test_a_genuine_certificate_is_accepted_after_a_round_trip(issue, signer):
    certificate = Certificate.from_json(issue().to_json())
    found = certificate.verify([signer.public_key], SUBJECT, now=LATER)
    assert found.is_certified
    assert found.is_subject_checked
    assert not found.is_development
    assert found.expires_at - found.issued_at == timedelta(days=7)


def test_the_statement_has_exactly_the_fields_of_the_format(issue):
    statement = issue().statement
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == (
        "https://in-toto.io/attestation/test-result/v0.1"
    )
    assert statement["subject"] == [
        {"name": "iris-forest", "digest": {"sha256": "a" * 64}}
    ]
    predicate = statement["predicate"]
    assert predicate["result"] == "PASSED"
    assert predicate["passedTests"] == ["performance"]
    assert predicate["warnedTests"] == ["calibration"]
    assert predicate["failedTests"] == ["noise"]
    assert predicate["url"].startswith("urn:uuid:")
    names = [entry["name"].split("@")[0] for entry in predicate["configuration"]]
    assert names == ["classifier-baseline", "policy:standard", "iris", "myia-sdk"]
    extension = predicate["myiaCertification"]
    assert extension["errored"] == ["leakage"]
    assert extension["skipped"] == ["fairness"]
    assert extension["issuedOn"] == "2026-11-20T12:00:00Z"
    assert extension["expiresOn"] == "2026-11-27T12:00:00Z"
    assert extension["assuranceLevel"] == "self_attested"
    assert extension["claims"][0] == {
        "metric": "performance",
        "version": "1.0.0",
        "comparator": ">=",
        "threshold": 0.8,
        "value": 0.93,
        "ciLow": 0.89,
        "ciHigh": 0.96,
        "sampleSize": 114,
        "passed": True,
    }


@pytest.mark.parametrize(
    ("verdict", "result"),
    [
        (Verdict.QUALITY_WARNING, "WARNED"),
        (Verdict.FAILED, "FAILED"),
    ],
)
def test_a_warning_expires_and_is_never_read_back_as_certified(
    issue, signer, verdict, result
):
    """Defect 5 of the original: warnings were stored as passed, forever."""
    certificate = issue(make_report(verdict=verdict))
    assert certificate.statement["predicate"]["result"] == result
    with pytest.raises(NotCertifiedError) as caught:
        certificate.verify([signer.public_key], SUBJECT, now=LATER)
    assert caught.value.verdict == verdict.value
    found = certificate.verify(
        [signer.public_key], SUBJECT, now=LATER, accept=tuple(Verdict)
    )
    assert found.verdict is verdict
    assert not found.is_certified
    with pytest.raises(CertificateExpiredError):
        certificate.verify(
            [signer.public_key],
            SUBJECT,
            now=STARTED + timedelta(days=8),
            accept=tuple(Verdict),
        )


def tampered(record: dict, change) -> Certificate:
    payload = json.loads(base64.b64decode(record["payload"]))
    change(payload)
    content = json.dumps(payload).encode()
    return Certificate.from_record(
        {**record, "payload": base64.b64encode(content).decode()}
    )


def test_an_altered_payload_is_refused(issue, signer):
    record = issue(make_report(verdict=Verdict.QUALITY_WARNING)).to_record()
    forged = tampered(record, lambda it: it["predicate"].update(result="PASSED"))
    with pytest.raises(SignatureError):
        forged.verify([signer.public_key], SUBJECT, now=LATER)


def test_another_payload_type_or_signature_is_refused(issue, signer):
    record = issue().to_record()
    other_type = {**record, "payloadType": "text/plain"}
    flipped = base64.b64decode(record["signatures"][0]["sig"])
    flipped = bytes([flipped[0] ^ 1]) + flipped[1:]
    other_signature = {
        **record,
        "signatures": [{"keyid": "", "sig": base64.b64encode(flipped).decode()}],
    }
    for forged in (other_type, other_signature, {**record, "signatures": []}):
        with pytest.raises(SignatureError):
            Certificate.from_record(forged).verify(
                [signer.public_key], SUBJECT, now=LATER
            )


def test_a_key_id_neither_convinces_nor_is_needed(issue, signer, tmp_path):
    record = issue().to_record()
    nameless = [{"sig": record["signatures"][0]["sig"]}]
    certificate = Certificate.from_record({**record, "signatures": nameless})
    assert certificate.verify([signer.public_key], SUBJECT, now=LATER).is_certified

    stranger = Signer.load(new_key(tmp_path).private_path, tmp_path)
    forged = issue(signer=stranger).to_record()
    forged["signatures"][0]["keyid"] = signer.key_id
    with pytest.raises(SignatureError, match="None of the 1 trusted keys"):
        Certificate.from_record(forged).verify([signer.public_key], SUBJECT, now=LATER)


def test_url_safe_base64_is_accepted(issue, signer):
    record = json.loads(
        issue()
        .to_json()
        .replace("+", "-")
        .replace("vnd.in-toto-json", "vnd.in-toto+json")
    )
    record["payload"] = record["payload"].replace("/", "_").rstrip("=")
    record["signatures"][0]["sig"] = record["signatures"][0]["sig"].replace("/", "_")
    certificate = Certificate.from_record(record)
    assert certificate.verify([signer.public_key], SUBJECT, now=LATER).is_certified


def test_something_else_that_the_key_signed_is_no_certificate(issue, signer):
    statement = issue().statement
    provenance = {**statement, "predicateType": "https://slsa.dev/provenance/v1"}
    contradiction = json.loads(json.dumps(statement))
    contradiction["predicate"]["myiaCertification"]["verdict"] = "failed"
    misdescribed = json.loads(json.dumps(statement))
    misdescribed["predicate"]["myiaCertification"]["subjectDescriptor"] = {"host": "x"}
    for other in (
        signed(signer, provenance),
        signed(signer, contradiction),
        signed(signer, misdescribed),
        signed(signer, {}),
        signed(signer, statement, "application/json"),
    ):
        with pytest.raises(WrongPredicateError):
            other.verify([signer.public_key], SUBJECT, now=LATER)


def test_another_model_is_refused(issue, signer):
    other = Subject(name="iris-forest", sha256="b" * 64)
    with pytest.raises(WrongSubjectError, match="says nothing about this model"):
        issue().verify([signer.public_key], other, now=LATER)
    assert not issue().verify([signer.public_key], None, now=LATER).is_subject_checked


def test_validity_has_a_beginning_and_an_end(issue, signer):
    keys = [signer.public_key]
    certificate = issue(valid_for=timedelta(hours=1))
    certificate.verify(keys, SUBJECT, now=STARTED - timedelta(minutes=4))
    with pytest.raises(CertificateExpiredError, match="valid from"):
        certificate.verify(keys, SUBJECT, now=STARTED - timedelta(minutes=6))
    with pytest.raises(CertificateExpiredError, match="expired at"):
        certificate.verify(keys, SUBJECT, now=STARTED + timedelta(hours=1))


@pytest.mark.parametrize("key", ["issuedOn", "expiresOn"])
def test_without_a_stated_validity_nothing_is_accepted(issue, signer, key):
    statement = issue().statement
    del statement["predicate"]["myiaCertification"][key]
    with pytest.raises(CertificateExpiredError, match="does not say"):
        signed(signer, statement).verify([signer.public_key], SUBJECT, now=LATER)


def test_certificate_key_and_subject_can_be_revoked(issue, signer):
    certificate = issue()
    for kind, identifier in (
        (RevocationKind.CERTIFICATE, certificate.id),
        (RevocationKind.KEY, signer.key_id),
        (RevocationKind.SUBJECT, "sha256:" + "a" * 64),
    ):
        revoked = RevocationList().revoking(kind, identifier, reason="found wanting")
        with pytest.raises(CertificateRevokedError, match="found wanting"):
            certificate.verify([signer.public_key], SUBJECT, now=LATER, revoked=revoked)


def test_the_order_of_the_steps(issue, signer, tmp_path):
    """The signature first: nothing an unsigned document says is worth an error."""
    certificate = issue(make_report(verdict=Verdict.FAILED))
    stranger = Signer.load(new_key(tmp_path).private_path, tmp_path).public_key
    other = Subject(name="x", sha256="b" * 64)
    late = STARTED + timedelta(days=9)
    revoked = RevocationList().revoking(RevocationKind.CERTIFICATE, certificate.id)
    keys = [signer.public_key]
    for error, arguments in (
        (SignatureError, ([stranger], other, late, revoked)),
        (WrongSubjectError, (keys, other, late, revoked)),
        (CertificateExpiredError, (keys, SUBJECT, late, revoked)),
        (CertificateRevokedError, (keys, SUBJECT, LATER, revoked)),
        (NotCertifiedError, (keys, SUBJECT, LATER, None)),
    ):
        trusted, subject, now, list_ = arguments
        with pytest.raises(error):
            certificate.verify(trusted, subject, now=now, revoked=list_)


def test_a_development_key_is_named_in_every_certificate(issue, tmp_path):
    signer = Signer.load(None, tmp_path)
    assert signer.is_development
    certificate = issue(signer=signer)
    found = certificate.verify(trusted_keys(tmp_path), SUBJECT, now=LATER)
    assert found.is_development
    extension = certificate.statement["predicate"]["myiaCertification"]
    assert extension["assuranceLevel"] == "development"
    assert "development key" in extension["notice"]


def test_an_endpoint_is_certified_by_its_description_never_by_a_weights_hash(
    issue, signer, tmp_path
):
    report = make_report(
        model={
            "kind": "openai",
            "name": "small",
            "url": "https://llm.example:8443/v1",
            "model": "small-1",
            "secret": "env:KEY",
        },
        region="eu-west-1",
        resolved={"model": "small-1-2026-09", "system_fingerprint": "fp_1"},
    )
    certificate = issue(report)
    assert certificate.descriptor == {
        "kind": "openai",
        "host": "llm.example:8443",
        "region": "eu-west-1",
        "model": "small-1",
        "resolvedModel": "small-1-2026-09",
        "systemFingerprint": "fp_1",
    }
    file = tmp_path / "endpoint.json"
    store = CertificateStore(queue=None, artifacts=ArtifactStore(tmp_path))
    file.write_bytes(store.subject_bytes(certificate))
    presented = Subject.of_path(file)
    assert certificate.verify([signer.public_key], presented, now=LATER).is_certified
    assert "env:KEY" not in json.dumps(certificate.statement)


def test_the_described_host_is_that_of_the_region():
    urls = {"eu": "https://eu.example/v1", "us": "https://us.example/v1"}
    model = {"kind": "openai", "name": "m", "model": "m"}
    for record in (
        {**model, "options": {"region_urls": urls}},
        {**model, "url": "https://{region}.example/v1"},
    ):
        report = make_report(model=record, region="us")
        assert Subject.of_report(report).descriptor["host"] == "us.example"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"payload": "!", "payloadType": "x", "signatures": []}',
        '{"payload": 1, "payloadType": "x", "signatures": []}',
        '{"payload": "", "payloadType": "x", "signatures": [1]}',
        '{"payload": "", "payload": "", "payloadType": "x", "signatures": []}',
        '{"dsseEnvelope": 5}',
        "[" * 100_000,
        json.dumps(
            {"payload": "", "payloadType": "x", "signatures": [{"sig": ""}] * 17}
        ),
    ],
)
def test_text_that_is_no_certificate_is_an_error_of_ours(text):
    with pytest.raises(CertificateError):
        Certificate.from_json(text)


def test_a_certificate_valid_for_no_time_is_not_issued(issue):
    with pytest.raises(CertificateError, match="positive"):
        issue(valid_for=timedelta(0))


@pytest.mark.parametrize("digest", ["", "zz", "A" * 64, "a" * 63])
def test_a_digest_must_be_one(digest):
    with pytest.raises(CertificateError, match="64"):
        Subject(name="x", sha256=digest)


def test_a_directory_has_one_digest_and_no_links(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.bin").write_bytes(b"b")
    (tmp_path / "a.bin").write_bytes(b"a")
    first = Subject.of_path(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"A")
    assert Subject.of_path(tmp_path).sha256 != first.sha256
    (tmp_path / "link").symlink_to("a.bin")
    with pytest.raises(CertificateError, match="symbolic link"):
        Subject.of_path(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CertificateError, match="no file"):
        Subject.of_path(tmp_path / "empty")
    with pytest.raises(CertificateError, match="cannot be read"):
        Subject.of_path(tmp_path / "missing")
