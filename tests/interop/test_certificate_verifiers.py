"""Certificates are judged by tools that nobody here wrote."""

from __future__ import annotations

import base64
import copy
import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from myia_sdk.certification.certificate import Certificate, Signer, Subject
from myia_sdk.certification.certificate.envelope import pre_authentication_encoding
from myia_sdk.certification.certificate.keys import new_key
from tests.helpers.machine import require
from tests.helpers.reports import make_report

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return new_key(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def certificate(info):
    signer = Signer.load(info.private_path, info.private_path.parent)
    return Certificate.issue(
        make_report(), job_id="job-1", signer=signer, now=datetime.now(UTC)
    )


def forgeries(record: dict) -> dict[str, dict]:
    """The same envelope, altered once each."""
    payload = base64.b64decode(record["payload"])
    better = payload.replace(b'"score":83.3', b'"score":99.9')
    assert better != payload
    signature = bytearray(base64.b64decode(record["signatures"][0]["sig"]))
    signature[5] ^= 1
    changed = copy.deepcopy(record)
    changed["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return {
        "payload": {**record, "payload": base64.b64encode(better).decode()},
        "type": {**record, "payloadType": "application/vnd.in-toto.other+json"},
        "signature": changed,
    }


def openssl(record: dict, key: Path, folder: Path) -> subprocess.CompletedProcess:
    data, signature = folder / "pae", folder / "sig"
    data.write_bytes(
        pre_authentication_encoding(
            record["payloadType"], base64.b64decode(record["payload"])
        )
    )
    signature.write_bytes(base64.b64decode(record["signatures"][0]["sig"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin"]
    return subprocess.run(
        [*command, "-in", str(data), "-sigfile", str(signature)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def sigstore(bundle: str, key: Path, folder: Path) -> subprocess.CompletedProcess:
    file = folder / "bundle.json"
    file.write_text(bundle)
    return subprocess.run(
        ["node", "verify/verify.mjs", str(file), str(key)],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_openssl_accepts_the_certificate_and_refuses_forgeries(
    certificate, info, tmp_path
):
    require(shutil.which("openssl"), "openssl")
    record = certificate.to_record()
    accepted = openssl(record, info.public_path, tmp_path)
    assert accepted.returncode == 0, accepted.stderr
    assert "Signature Verified Successfully" in accepted.stdout
    for name, forged in forgeries(record).items():
        refused = openssl(forged, info.public_path, tmp_path)
        assert refused.returncode != 0, name
    stranger = new_key(tmp_path).public_path
    assert openssl(record, stranger, tmp_path).returncode != 0


@pytest.mark.node
def test_sigstore_accepts_the_bundle_and_refuses_forgeries(certificate, info, tmp_path):
    bundle = certificate.to_sigstore_bundle()
    accepted = sigstore(bundle, info.public_path, tmp_path)
    assert accepted.returncode == 0, accepted.stderr
    assert accepted.stdout.strip() == "accepted"
    for name, forged in forgeries(certificate.to_record()).items():
        altered = {**json.loads(bundle), "dsseEnvelope": forged}
        refused = sigstore(json.dumps(altered), info.public_path, tmp_path)
        assert refused.returncode == 1, name
        assert "SIGNATURE_ERROR" in refused.stderr, name
    assert Certificate.from_json(bundle) == certificate


def test_securesystemslib_accepts_the_envelope(certificate, info):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    key = SSlibKey.from_crypto(load_pem_public_key(info.public_path.read_bytes()))
    envelope = Envelope.from_dict(certificate.to_record())
    assert set(envelope.verify([key], 1)) == {info.key_id}


def test_the_statement_is_what_in_toto_defines(certificate):
    from google.protobuf.json_format import ParseDict
    from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import (
        TestResult,
    )
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

    statement = certificate.statement
    parsed = Statement.copy_from_pb(
        ParseDict(copy.deepcopy(statement), StatementMessage())
    )
    parsed.validate()
    result = ParseDict(statement["predicate"], TestResult(), ignore_unknown_fields=True)
    assert result.result == "PASSED"
    assert list(result.passed_tests) == ["performance"]
    assert [one.name.split("@")[0] for one in result.configuration] == [
        *("classifier-baseline", "policy:standard", "iris", "myia-sdk"),
    ]


def test_a_directory_digest_equals_that_of_coreutils(tmp_path):
    (tmp_path / "weights").mkdir()
    for name in ("config.json", "weights/part-1.bin", "weights/part-2.bin", "a b.txt"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    script = (
        "find . -type f | sed 's|^./||' | LC_ALL=C sort | tr '\\n' '\\0' "
        "| xargs -0 -n1 sha256sum | cut -c1-64 | tr -d '\\n' | xxd -r -p | sha256sum"
    )
    if shutil.which("xxd") is None:
        script = script.replace(
            "xxd -r -p",
            "python3 -c 'import sys; sys.stdout.buffer.write("
            "bytes.fromhex(sys.stdin.read()))'",
        )
    output = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert output.split()[0] == Subject.of_path(tmp_path).sha256


def test_a_report_changed_after_signing_has_another_certificate(certificate, info):
    signer = Signer.load(info.private_path, info.private_path.parent)
    other = Certificate.issue(
        replace(make_report(), score=12.0), job_id="job-1", signer=signer
    )
    assert other.id != certificate.id
