"""Signing keys are private, survive rotation for verifying, and can be revoked."""

from __future__ import annotations

import logging
import stat

import pytest

from myia_sdk.certification.certificate import (
    PublicKey,
    RevocationList,
    Signer,
    trusted_keys,
)
from myia_sdk.certification.certificate.keys import (
    development_key,
    new_key,
    rotate_key,
    show_keys,
)
from myia_sdk.certification.certificate.revocation import RevocationKind
from myia_sdk.errors import CertificateError, ConfigurationError


def test_a_new_key_is_readable_by_its_owner_only(tmp_path):
    info = new_key(tmp_path)
    assert stat.S_IMODE(info.private_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(info.private_path.parent.stat().st_mode) == 0o700
    assert "PRIVATE" not in info.public_path.read_text()
    assert (info.scheme, info.is_development, info.is_retired) == (
        "ed25519",
        False,
        False,
    )
    with pytest.raises(ConfigurationError, match="exists"):
        new_key(tmp_path)


def test_the_development_key_is_made_once(tmp_path):
    first = Signer.load(None, tmp_path)
    assert Signer.load(None, tmp_path).key_id == first.key_id
    assert development_key(tmp_path).key_id == first.key_id
    by_path = Signer.load(tmp_path / "keys" / "development.pem", tmp_path)
    assert by_path.is_development


def test_what_a_rotated_key_signed_can_still_be_verified(tmp_path):
    old = Signer.load(new_key(tmp_path).private_path, tmp_path)
    signature = old.sign(b"data")
    info = rotate_key(tmp_path)
    new = Signer.load(info.private_path, tmp_path)
    assert new.key_id != old.key_id
    active, retired = show_keys(tmp_path)
    assert (active.key_id, active.is_retired) == (new.key_id, False)
    assert (retired.key_id, retired.is_retired) == (old.key_id, True)
    keys = {key.key_id: key for key in trusted_keys(tmp_path)}
    assert keys[old.key_id].accepts(signature, b"data")
    assert not keys[new.key_id].accepts(signature, b"data")
    with pytest.raises(ConfigurationError, match="no key named"):
        rotate_key(tmp_path, "other")


def test_a_key_uri_of_a_file_is_understood(tmp_path):
    info = new_key(tmp_path)
    signer = Signer.load(f"file2:{info.private_path}", tmp_path)
    assert signer.key_id == info.key_id
    assert PublicKey.load(info.public_path).accepts(signer.sign(b"x"), b"x")


def test_keys_of_other_makes_sign_too(tmp_path):
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "ec.pem"
    path.write_bytes(
        key.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        )
    )
    path.chmod(0o600)
    signer = Signer.load(path, tmp_path)
    public = PublicKey.from_pem(signer.public_key.to_pem())
    assert public == signer.public_key
    assert public.accepts(signer.sign(b"x"), b"x")
    assert not public.accepts(b"", b"x")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("/nowhere/key.pem", "MYIA_SIGNING_KEY"),
        ("https://keys.example/k", "unknown scheme"),
        ("gcpkms:projects/p", "not installed|library"),
    ],
)
def test_an_unusable_signing_key_says_what_to_do(tmp_path, key, message):
    with pytest.raises(ConfigurationError, match=message):
        Signer.load(key, tmp_path)


def test_a_file_that_holds_no_usable_key_is_refused(tmp_path):
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    locked = Ed25519PrivateKey.generate().private_bytes(
        form.Encoding.PEM,
        form.PrivateFormat.PKCS8,
        form.BestAvailableEncryption(b"word"),
    )
    for content in (b"", b"nonsense", locked):
        path = tmp_path / "key.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(ConfigurationError, match="no usable private key"):
            Signer.load(path, tmp_path)
        with pytest.raises(ConfigurationError, match="no usable public key"):
            PublicKey.load(path)


def test_a_key_that_everybody_can_read_is_remarked_on(tmp_path, caplog):
    path = new_key(tmp_path).private_path
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        Signer.load(path, tmp_path)
    assert "chmod 600" in caplog.text


def test_the_private_key_is_shown_nowhere(tmp_path):
    info = new_key(tmp_path)
    signer = Signer.load(info.private_path, tmp_path)
    secret = info.private_path.read_text().splitlines()[1]
    for shown in (repr(signer), repr(info), repr(signer.public_key), str(vars(signer))):
        assert secret not in shown


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "x" * 65, "x.pub"])
def test_a_key_name_cannot_leave_the_directory(tmp_path, name):
    with pytest.raises(ConfigurationError, match="key name"):
        new_key(tmp_path, name)


def test_a_revocation_list_survives_a_file(tmp_path):
    path = tmp_path / "home" / "revoked.json"
    assert RevocationList.load(path).entries == ()
    full = RevocationList().revoking(RevocationKind.KEY, "AB" * 32, reason="stolen")
    assert full.revoking(RevocationKind.KEY, "ab" * 32) is full
    full.save(path)
    assert RevocationList.load(path) == full
    assert [file.name for file in path.parent.iterdir()] == ["revoked.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"revocations": [{}]}',
        '{"revocations": [{"kind": "x", "id": "1", "revoked_at": "2026-01-01"}]}',
        '{"revocations": [{"kind": "key", "id": "1", "revoked_at": "soon"}]}',
        '{"revoked": []}',
    ],
)
def test_a_malformed_revocation_list_is_never_an_empty_one(tmp_path, text):
    path = tmp_path / "revoked.json"
    path.write_text(text)
    with pytest.raises(CertificateError):
        RevocationList.load(path)
