"""Redis as production runs it: TLS, unix socket, Sentinel, cluster."""

from __future__ import annotations

import secrets
import subprocess
import time
from datetime import timedelta

import pytest
import redis

from myia_sdk.errors import ConfigurationError, QueueConnectionError, QueueError
from myia_sdk.queue.connection import ConnectionOptions, connect
from myia_sdk.queue.events import EventReader
from myia_sdk.queue.job import JobState
from myia_sdk.queue.store import JobStore
from tests.conftest import RedisServer, free_port, server_binary
from tests.integration.queue_probe import LEASE, claimed, new_job


@pytest.fixture
def start(tmp_path):
    """Start servers with further arguments; all are stopped at the end."""
    servers = []

    def start_one(*extra, kind="redis", password=None, port=None):
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        server = RedisServer(
            folder,
            port or free_port(),
            secrets.token_hex(8) if password is None else password,
            kind=kind,
            extra=("--appendonly", "no", *extra),
        )
        servers.append(server)
        server.start()
        return server

    yield start_one
    for server in servers:
        server.stop()


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


def test_unix_socket(start, tmp_path):
    path = str(tmp_path / "redis.sock")
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


def test_sentinel_fail_over_is_followed(start, tmp_path):
    password = secrets.token_hex(8)
    master = start(password=password)
    replica = start(
        *("--replicaof", "127.0.0.1", str(master.port), "--masterauth", password),
        password=password,
    )
    sentinel_port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {sentinel_port}\nbind 127.0.0.1\n"
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
        f"sentinel auth-pass main {password}\n"
        "sentinel down-after-milliseconds main 300\n"
        "sentinel failover-timeout main 2000\n"
    )
    process = subprocess.Popen(
        [server_binary("redis"), str(config), "--sentinel"],
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        with replica.client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        client = connect(
            ConnectionOptions(
                sentinels=[("127.0.0.1", sentinel_port)],
                sentinel_service="main",
                password=password,
                socket_timeout=1,
            )
        )
        until(client.ping)
        store = run_a_job(client)
        job_id = store.add(new_job())
        client.execute_command("WAIT", 1, 5000)
        with redis.Redis(port=sentinel_port, decode_responses=True) as sentinel:
            until(lambda: sentinel.sentinel_slaves("main"))
        master.kill()
        until(lambda: store.add(new_job()) if is_new_master(replica) else None)
        until(lambda: store.state(job_id) is JobState.WAITING)
        assert claimed(store) == job_id
        client.close()
    finally:
        process.terminate()
        process.wait(timeout=10)


def is_new_master(server):
    with server.client() as client:
        return client.info("replication")["role"] == "master"


def until(condition, seconds=30):
    """Poll with a deadline; errors of an outage count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (redis.RedisError, QueueError):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


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
    options = ConnectionOptions(host="127.0.0.1", port=free_port(), cluster=True)
    with pytest.raises(QueueConnectionError):
        connect(options)
