"""Redis as production runs it: TLS, unix socket, Sentinel, cluster."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from myia_sdk.errors import ConfigurationError, QueueConnectionError
from myia_sdk.queue.jobs import JobState
from myia_sdk.queue.store import EventReader, JobStore
from myia_sdk.queue.wire import ConnectionOptions, connect
from tests.conftest import free_port, refusing_port
from tests.helpers.queue_probe import LEASE, claimed, new_job
from tests.helpers.shapes import running, until, watched_by_sentinel


@pytest.fixture
def start(tmp_path):
    """Start servers with further arguments; all are stopped at the end."""
    with ExitStack() as stack:
        yield lambda *extra: stack.enter_context(running(tmp_path, *extra))


def run_a_job(client, prefix="myia"):
    """The whole way of one job, so that every script runs once on this server."""
    store = JobStore(client, f"q{secrets.token_hex(4)}", prefix)
    ids = store.add_many([new_job(), new_job()])
    assert claimed(store) == ids[0]
    assert store.renew({ids[0]: "token"}, LEASE) == []
    store.log(ids[0], "line")
    store.complete(ids[0], "token", {"ok": True}, labels={"verdict": "certified"})
    claimed(store)
    store.retry_later(ids[1], "token", timedelta(0), "boom")
    assert claimed(store) == ids[1]
    store.fail(ids[1], "token", "boom", "trace")
    assert store.counts()[JobState.COMPLETED] == 1
    assert [job.id for job in store.page(JobState.FAILED)] == [ids[1]]
    assert store.jobs(ids)[0].state is JobState.COMPLETED
    assert [job.id for job in store.find({"verdict": "certified"})] == [ids[0]]
    events = EventReader(client, store.keys, last_id="0").read(block=None)
    assert {"added", "completed", "failed"} <= {event.name for event in events}
    return store


@pytest.fixture
def short_folder():
    """The path of a socket has at most 107 characters."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_unix_socket(start, short_folder):
    path = str(short_folder / "redis.sock")
    server = start("--unixsocket", path)
    client = connect(ConnectionOptions(socket_path=path, password=server.password))
    run_a_job(client)
    client.close()
    client = connect(ConnectionOptions(url=f"unix://:{server.password}@{path}"))
    run_a_job(client)
    client.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate authority and a server certificate for localhost only."""
    folder = tmp_path_factory.mktemp("tls")
    run = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt")
    curve = ("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for name, subject, more in (
        ("ca", "/CN=Test CA", ()),
        (
            "server",
            "/CN=localhost",
            (
                *("-CA", "ca.crt", "-CAkey", "ca.key"),
                *("-addext", "subjectAltName=DNS:localhost"),
            ),
        ),
    ):
        command = [*run, *curve, "-keyout", f"{name}.key", "-out", f"{name}.crt"]
        subprocess.run(
            [*command, "-subj", subject, *more],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    return folder


def test_tls_checks_authority_and_host_name(start, certificates):
    port = free_port()
    server = start(
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificates / "server.crt")),
        *("--tls-key-file", str(certificates / "server.key")),
        *("--tls-ca-cert-file", str(certificates / "ca.crt")),
    )
    trusted = {
        "port": port,
        "password": server.password,
        "tls": True,
        "tls_ca_certs": str(certificates / "ca.crt"),
    }
    client = connect(ConnectionOptions(**trusted))
    run_a_job(client)
    client.close()
    url = f"rediss://:{server.password}@localhost:{port}/0"
    client = connect(ConnectionOptions(url=url, tls_ca_certs=trusted["tls_ca_certs"]))
    run_a_job(client)
    client.close()
    for wrong in ({"host": "127.0.0.1"}, {"tls_ca_certs": None}):
        client = connect(ConnectionOptions(**trusted | wrong))
        with pytest.raises(QueueConnectionError, match="certificate") as caught:
            JobStore(client, "q").counts()
        assert server.password not in str(caught.value)
        client.close()


def test_sentinel_fail_over_is_followed(tmp_path):
    with watched_by_sentinel(tmp_path) as servers:
        client = connect(ConnectionOptions(**servers.connection))
        until(client.ping)
        store = run_a_job(client)
        job_id = store.add(new_job())
        until(lambda: client.execute_command("WAIT", 1, 1000))
        servers.kill_master()
        until(lambda: store.add(new_job()) if servers.is_failed_over() else None)
        until(lambda: store.state(job_id) is JobState.WAITING)
        assert claimed(store) == job_id
        client.close()


def test_cluster_with_a_hash_tag(start):
    server = start("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with server.client() as node:
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: node.cluster("INFO")["cluster_state"] == "ok")
    options = ConnectionOptions(
        host="127.0.0.1", port=server.port, password=server.password, cluster=True
    )
    client = connect(options)
    run_a_job(client, prefix="{myia}")
    with pytest.raises(ConfigurationError, match=r"'\{myia\}'"):
        JobStore(client, "q", "myia")
    client.close()


def test_absent_cluster_is_a_connection_error():
    with refusing_port() as port:
        options = ConnectionOptions(host="127.0.0.1", port=port, cluster=True)
        with pytest.raises(QueueConnectionError):
            connect(options)
