from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request

import pytest

from myia_sdk.board.health import HealthServer
from myia_sdk.board.metrics import Metric, exposition
from myia_sdk.errors import ConfigurationError
from tests.helpers.panel_probe import *  # noqa: F403

HEALTHY = {
    "is_alive": True,
    "worker": 'w"1',
    "slots": 3,
    "running": ["a"],
    "is_redis_up": True,
    "seconds_since_claim": 0.4,
    "is_stopping": False,
}


@pytest.fixture
def serve():
    servers = []

    def start(health, **options):
        server = HealthServer(lambda: health, 0, host="127.0.0.1", **options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def get(server, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{server.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=90) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_living_worker_answers_200_and_a_dead_loop_503(serve):
    health = dict(HEALTHY)
    server = serve(health)
    status, text = get(server, "/health")
    assert (status, json.loads(text)) == (200, HEALTHY)
    health["is_alive"] = False
    assert get(server, "/health")[0] == 503
    assert get(server, "/nothing")[0] == 404


def test_metrics_of_worker_and_queue(serve, client, jobs):
    jobs.waiting()
    status, text = get(serve(HEALTHY, store=client.queue), "/metrics")
    assert status == 200
    assert 'myia_worker_running{worker="w\\"1"} 1' in text
    assert 'state="waiting"} 1' in text
    assert "myia_queue_oldest_waiting_seconds" in text


def test_worker_metrics_stay_when_the_queue_is_away(serve, own_redis_server, tmp_path):
    from myia_sdk.queue import ConnectionOptions, JobStore, connect

    options = ConnectionOptions(
        host="127.0.0.1",
        port=own_redis_server.port,
        password=own_redis_server.password,
    )
    redis = connect(options)
    server = serve(HEALTHY, store=JobStore(redis, "away"))
    own_redis_server.kill()
    status, text = get(server, "/metrics")
    assert status == 200
    assert "myia_worker_alive" in text
    assert "myia_queue_jobs" not in text
    redis.close()


def test_a_taken_port_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="WORKER_HEALTH_PORT"):
            HealthServer(dict, taken.getsockname()[1], host="127.0.0.1")


def test_label_values_are_escaped():
    text = exposition([Metric("m", "gauge", "h", [({"a": 'x"\n\\'}, 1.5)])])
    assert text == '# HELP m h\n# TYPE m gauge\nm{a="x\\"\\n\\\\"} 1.5\n'
