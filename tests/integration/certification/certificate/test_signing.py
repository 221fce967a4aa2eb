"""Certificates signed by a key that never leaves a key service (AWS KMS's protocol)."""

from __future__ import annotations

import boto3
import pytest

from myia_sdk.certification.certificate import Certificate, PublicKey, Signer, Subject
from myia_sdk.errors import CertificateError, ConfigurationError
from tests.helpers.reports import make_report


@pytest.fixture
def aws(bedrock_server, monkeypatch):
    """The environment in which boto3 finds the service."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", bedrock_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return boto3.client("kms")


@pytest.mark.chat
def test_a_key_of_a_key_service_signs_certificates(aws, tmp_path):
    key = aws.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    signer = Signer.load(f"awskms:{key['KeyMetadata']['KeyId']}", tmp_path)
    certificate = Certificate.issue(make_report(), job_id="1", signer=signer)
    public = PublicKey.from_pem(signer.public_key.to_pem())
    found = certificate.verify([public], Subject(name="x", sha256="a" * 64))
    assert found.is_certified
    assert not found.is_development
    assert list(tmp_path.iterdir()) == []

    aws.disable_key(KeyId=key["KeyMetadata"]["KeyId"])
    with pytest.raises(CertificateError, match="did not sign"):
        Certificate.issue(make_report(), job_id="2", signer=signer)


@pytest.mark.chat
def test_an_unknown_key_of_a_key_service_is_a_clear_error(aws, tmp_path):
    with pytest.raises(ConfigurationError, match="awskms"):
        Signer.load("awskms:00000000-0000-0000-0000-000000000000", tmp_path)
