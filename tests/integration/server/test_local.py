"""The embedded server: one per home, shared by processes, ends with its last user."""

from __future__ import annotations

import json
import os
import signal
import socket
import socketserver
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from myia_sdk.errors import ConfigurationError, LocalServerError, QueueConnectionError
from myia_sdk.server import LocalServer, find_server, start_server
from myia_sdk.server.embedded import Premises, write_private
from myia_sdk.settings import Settings
from tests.conftest import refusing_port
from tests.helpers.processes import is_gone

SECONDS = 100.0
USER = """
import sys, time
from myia_sdk.server.local import LocalServer
from myia_sdk.settings import Settings
lease = LocalServer.start(Settings(myia_home=sys.argv[1]))
print(lease.port, flush=True)
time.sleep(600)
"""


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}"
        time.sleep(0.05)


def address(home: Path) -> dict[str, int]:
    return json.loads((home / "server" / "address.json").read_text())


def catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = [line for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def connect(server: LocalServer) -> redis.Redis:
    url = server.settings.redis_url
    assert url is not None
    return redis.Redis.from_url(url.get_secret_value(), decode_responses=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(myia_home=tmp_path / "home")


@pytest.fixture
def server(settings: Settings) -> Iterator[LocalServer]:
    with LocalServer.start(settings) as lease:
        yield lease
    home = settings.myia_home
    if (home / "server" / "address.json").exists():
        pid = address(home)["pid"]
        eventually(lambda: is_gone(pid), "supervisor ended")


def test_home_that_is_made_is_closed_to_others_and_one_that_is_there_left(tmp_path):
    for home, mode in ((tmp_path / "new", 0o700), (tmp_path / "old", 0o755)):
        if mode == 0o755:
            home.mkdir()
            home.chmod(mode)
        Premises(home=home).prepare()
        assert stat.S_IMODE(home.stat().st_mode) == mode
        assert stat.S_IMODE((home / "server").stat().st_mode) == 0o700


def test_server_is_private_persistent_and_needs_its_password(server, settings):
    home = settings.myia_home
    with connect(server) as client:
        config = client.config_get("*")
    assert config["bind"] == "127.0.0.1"
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "everysec"
    assert config["maxmemory-policy"] == "noeviction"
    for name in ("password", "address.json", "server.conf"):
        assert stat.S_IMODE((home / "server" / name).stat().st_mode) == 0o600
    with (
        redis.Redis(port=server.port) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
    password = (home / "server" / "password").read_text()
    assert password not in repr(server) + repr(server.settings)
    supervisor = psutil.Process(address(home)["pid"])
    for process in (supervisor, *supervisor.children(recursive=True)):
        assert password not in " ".join(process.cmdline())


def test_second_process_shares_the_server_and_kill_of_the_last_user_ends_it(settings):
    home = settings.myia_home
    users = [
        subprocess.Popen(
            [sys.executable, "-c", USER, str(home)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        ports = {int(user.stdout.readline()) for user in users}
        assert len(ports) == 1
        supervisor = psutil.Process(address(home)["pid"])
        server = [p for p in supervisor.children() if "valkey" in p.name()]
        assert len(server) == 1
        users[0].kill()
        users[0].wait()
        lease = LocalServer.find(settings)
        assert lease is not None
        with connect(lease) as client:
            client.set("kept", "yes")
        lease.close()
    finally:
        for user in users:
            user.kill()
            user.wait()
            user.stdout.close()
    eventually(lambda: is_gone(supervisor.pid), "supervisor ended")
    eventually(lambda: is_gone(server[0].pid), "server ended")
    assert LocalServer.find(settings) is None
    with LocalServer.start(settings) as again, connect(again) as client:
        assert client.get("kept") == "yes"
        assert again.port in ports
        pid = address(home)["pid"]
    eventually(lambda: is_gone(pid), "supervisor ended")


def test_server_ends_when_its_supervisor_is_killed_and_starts_again(settings):
    home = settings.myia_home
    with LocalServer.start(settings) as lease:
        with connect(lease) as client:
            client.set("kept", "yes")
        supervisor = psutil.Process(address(home)["pid"])
        (server,) = [p for p in supervisor.children() if "valkey" in p.name()]
        os.kill(supervisor.pid, signal.SIGKILL)
        eventually(lambda: is_gone(server.pid), "server ended")
        with pytest.raises(LocalServerError, match=r"Client\.local"):
            lease.request_workers(1)
    with LocalServer.start(settings) as lease, connect(lease) as client:
        assert client.get("kept") == "yes"
        pid = address(home)["pid"]
    eventually(lambda: is_gone(pid), "supervisor ended")


def test_crashed_server_is_started_again_on_its_port(server, settings):
    with connect(server) as client:
        client.set("kept", "yes")
        supervisor = psutil.Process(address(settings.myia_home)["pid"])
        (process,) = [p for p in supervisor.children() if "valkey" in p.name()]
        # The write may wait for the one before to be on disk (appendfsync everysec).
        client.execute_command("WAITAOF", 1, 0, 0)
        process.kill()

        def is_back() -> bool:
            try:
                return client.get("kept") == "yes"
            except redis.RedisError:
                return False

        eventually(is_back, "server answers again with its data")


def test_a_server_that_is_about_to_run_is_waited_for(server, settings):
    premises = Premises(home=settings.myia_home)
    known = premises.address.read_text()
    premises.address.unlink()
    later = threading.Timer(0.2, write_private, [premises.address, known])
    later.start()
    with LocalServer.find(settings) as lease:
        assert lease.port == server.port
    later.join()


def test_workers_that_take_long_to_stop_keep_nobody_waiting(server, settings):
    """One of them is frozen: the next to ask for a lease is answered all the same."""
    supervisor = psutil.Process(address(settings.myia_home)["pid"])
    before = {process.pid for process in supervisor.children()}
    server.request_workers(1)
    (worker,) = [one for one in supervisor.children() if one.pid not in before]
    eventually(lambda: catches(worker.pid, signal.SIGTERM), "the worker works")
    worker.suspend()
    server.request_workers(0)
    with LocalServer.find(settings) as lease:
        assert lease.port == server.port
    worker.resume()
    eventually(lambda: is_gone(worker.pid), "the worker ended")


def test_wrong_token_gets_no_lease(server, settings):
    password = settings.myia_home / "server" / "password"
    right = password.read_text()
    password.write_text("wrong")
    assert LocalServer.find(settings) is None
    password.write_text(right)


def test_unwritable_home_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalServerError, match="MYIA_HOME"):
        LocalServer.start(Settings(myia_home=tmp_path / "file" / "home"))


def test_resolution_prefers_explicit_then_embedded_and_says_which(
    server, settings, redis_server
):
    explicit = settings.replace(redis_url=redis_server.url)
    found = find_server(explicit)
    assert found.source == "the settings (REDIS_*)"
    assert str(redis_server.port) in found.address
    assert redis_server.password not in found.address
    found.close()
    found = find_server(settings)
    assert "embedded server" in found.source
    assert str(server.port) in found.address
    found.close()
    started = start_server(explicit, workers=0)
    assert started.local is None
    started.close()


def test_nobody_answers(tmp_path):
    settings = Settings(myia_home=tmp_path)
    with (
        refusing_port() as port,
        pytest.raises(QueueConnectionError, match="REDIS_") as caught,
    ):
        find_server(settings.replace(redis_port=port))
    assert "apt install redis-server" in str(caught.value)
    assert "Client.local()" in str(caught.value)


def test_wrong_password_is_not_hidden_by_an_embedded_server(settings, redis_server):
    wrong = settings.replace(
        redis_host="127.0.0.1", redis_port=redis_server.port, redis_password="hunter2"
    )
    for attempt in (find_server, lambda given: start_server(given, workers=0)):
        with pytest.raises((QueueConnectionError, ConfigurationError)) as caught:
            attempt(wrong)
        assert "hunter2" not in str(caught.value)
    assert not (settings.myia_home / "server").exists()


class Loading(socketserver.BaseRequestHandler):
    """Answers as a server does that has just started with much data."""

    def handle(self) -> None:
        while self.request.recv(65_536):
            self.request.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")


def test_a_server_that_is_loading_is_not_passed_over_for_the_embedded_one(settings):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Loading) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host, port = server.server_address
        with pytest.raises(QueueConnectionError, match="loading"):
            start_server(settings.replace(redis_host=host, redis_port=port), workers=0)
        server.shutdown()
        thread.join()
    assert not (settings.myia_home / "server").exists()


def test_refused_login_is_not_answered_with_how_to_install(settings, redis_server):
    wrong = settings.replace(
        redis_host="127.0.0.1", redis_port=redis_server.port, redis_password="hunter2"
    )
    with pytest.raises(QueueConnectionError, match="REDIS_PASSWORD") as caught:
        find_server(wrong)
    assert "install" not in str(caught.value)


def test_address_left_behind_is_not_trusted(settings):
    """After a crash the port may belong to anybody, who must not get the password."""
    premises = Premises(home=settings.myia_home)
    premises.prepare()
    premises.lock.touch()
    premises.password.write_text("canary")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        premises.address.write_text(json.dumps({"port": port, "control": port}))
        stranger.setblocking(False)
        assert LocalServer.find(settings) is None
        with pytest.raises(BlockingIOError):
            stranger.accept()


def test_damaged_data_are_named_and_left_alone(settings):
    with LocalServer.start(settings):
        pid = address(settings.myia_home)["pid"]
    eventually(lambda: is_gone(pid), "supervisor ended")
    data = settings.myia_home / "server" / "data"
    (base,) = data.glob("appendonlydir/*.base.rdb")
    base.write_bytes(b"JUNK" * 30)
    with pytest.raises(LocalServerError, match="append only file") as caught:
        LocalServer.start(settings)
    assert str(data) in str(caught.value)
    assert base.read_bytes() == b"JUNK" * 30


def test_emptied_password_is_replaced(settings):
    premises = Premises(home=settings.myia_home)
    premises.prepare()
    premises.password.write_text("")
    with LocalServer.start(settings) as lease:
        assert premises.password.read_text()
        with connect(lease) as client:
            assert client.ping()
        pid = address(settings.myia_home)["pid"]
    eventually(lambda: is_gone(pid), "supervisor ended")


def test_address_of_last_time_is_no_answer_while_another_starts(server, settings):
    premises = Premises(home=settings.myia_home)
    known = premises.address.read_text()
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    old = json.loads(known) | {"pid": int(ended.stdout), "control": 1}
    write_private(premises.address, json.dumps(old))
    later = threading.Timer(0.2, write_private, [premises.address, known])
    later.start()
    with LocalServer.find(settings) as lease:
        assert lease.port == server.port
    later.join()
