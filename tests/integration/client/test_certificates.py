"""Certificates of a queue on a real server."""

from __future__ import annotations

import threading

import pytest

from myia_sdk.certification.certificate import Certificate, Signer
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.client import CertificateStore
from myia_sdk.errors import CertificateError
from myia_sdk.queue.store import JobStore
from tests.helpers.reports import make_report

REVOKERS = 6


@pytest.fixture
def store(redis_client, queue_name, tmp_path):
    return CertificateStore(JobStore(redis_client, queue_name), ArtifactStore(tmp_path))


@pytest.fixture
def issued(store, tmp_path):
    """Ids of certificates that the store keeps, one for each revoker."""
    signer, report = Signer.load(None, tmp_path / "home"), make_report()
    return [
        store.add(
            Certificate.issue(report, job_id=str(number), signer=signer),
            report,
            str(number),
        )
        for number in range(REVOKERS)
    ]


def test_revocations_at_the_same_time_are_all_kept(store, issued):
    start = threading.Barrier(REVOKERS)

    def revoke(certificate_id):
        start.wait(timeout=120)
        store.revoke(certificate_id, reason=f"because of {certificate_id}")

    revokers = [threading.Thread(target=revoke, args=(one,)) for one in issued]
    for revoker in revokers:
        revoker.start()
    for revoker in revokers:
        revoker.join(timeout=120)
    found = store.revocations().entries
    assert {entry.id for entry in found} == set(issued)
    assert all(entry.reason == f"because of {entry.id}" for entry in found)


def test_a_certificate_is_revoked_once_and_only_when_there_is_one(store, issued):
    first = store.revoke(issued[0], reason="found wanting")
    assert store.revoke(issued[0], reason="again") == first
    with pytest.raises(CertificateError):
        store.revoke("0" * 64)
    assert store.revocations() == first
