"""A server that others stand in for dies in the middle of jobs: none is lost."""

from __future__ import annotations

import json
from uuid import uuid4

from redis.crc import key_slot

from myia_sdk.queue import ConnectionOptions, JobState, JobStore, connect
from tests.acceptance import app
from tests.acceptance.test_faults import finishes
from tests.acceptance.worker import Consumer, lines_of
from tests.helpers.shapes import SLOTS, cluster, kill_node, until, watched_by_sentinel

QUICK = {"lease": 2, "check": 0.5, "stalls": 20}
JOBS = 12


def run_through(servers, store, connection, tmp_path, kill):
    """Kill the master while two of several jobs run; return them once all ended."""
    ledger = tmp_path / "ledger"
    settings = {"connection": json.dumps(connection), "prefix": store.prefix, **QUICK}
    with Consumer(
        *(servers[0], tmp_path / "log", "-w", "2"),
        queue=store.queue,
        store=store,
        **settings,
    ) as consumer:
        task = [app.effect.s(str(ledger), 0.3) for _ in range(JOBS)]
        ids = store.add_many([app.huey.new_job(one) for one in task])
        until(lambda: len(lines_of(ledger)) > 4)
        # Replication is not waited for by those who write; it is here, so that what
        # was submitted is known to both.
        with servers[0].client() as client:
            # Only what this connection wrote is waited for.
            client.set(store.keys.sdk("in-step"), 1)
            until(lambda: client.wait(1, 1000))
        kill()

        def look():
            jobs = store.jobs(ids)
            return jobs if all(job and job.is_finished for job in jobs) else None

        jobs = until(look)
        assert {job.state for job in jobs} == {JobState.COMPLETED}
        assert {line[2] for line in finishes(ledger)} == set(ids)
        assert consumer.process.poll() is None
        return consumer


def test_worker_follows_a_sentinel_fail_over(tmp_path):
    with watched_by_sentinel(tmp_path) as servers:
        client = connect(ConnectionOptions(**servers.connection))
        store = JobStore(client, f"t{uuid4().hex}")
        pair = [servers.master, servers.replica]
        run_through(pair, store, servers.connection, tmp_path, servers.kill_master)
        assert servers.is_failed_over()
        client.close()


def test_worker_follows_the_fail_over_of_a_cluster_node(tmp_path):
    with cluster(tmp_path) as servers:
        tag = next(n for n in range(1000) if key_slot(f"t{n}".encode()) < SLOTS // 3)
        connection = {
            "host": "127.0.0.1",
            "port": servers[1].port,
            "password": servers[0].password,
            "cluster": True,
        }
        client = connect(ConnectionOptions(**connection))
        store = JobStore(client, f"t{uuid4().hex}", f"{{t{tag}}}")
        run_through(
            *(servers, store, connection, tmp_path), lambda: kill_node(servers, 0)
        )
        with servers[3].client() as node:
            assert node.info("replication")["role"] == "master"
        client.close()
