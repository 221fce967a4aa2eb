"""An embedded server and workers for one machine, shared by its processes.

The user's side: find the supervisor of a home directory or start one, and hold
a lease on it. :mod:`myia_sdk.server.supervisor` is the other side.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from myia_sdk.errors import LocalServerError
from myia_sdk.server.embedded import HOST, STOP_SECONDS, Premises, open_log
from myia_sdk.server.supervisor import ALREADY_RUNNING, start_worker

if TYPE_CHECKING:
    from myia_sdk.settings import Settings

#: More than the server itself gets.
START_SECONDS = 90.0
ANSWER_SECONDS = 5.0
#: How long a supervisor that has taken charge may need to give its address.
STARTING_SECONDS = 30.0
#: A worker beside the embedded server puts its jobs back this soon, so that
#: nobody waits long for a server that is about to end.
LOCAL_GRACE_SECONDS = 3.0


class LocalServer:
    """A lease on the embedded server of a home directory.

    The server runs while anybody holds a lease and keeps its data for the next
    time. Leases end with :meth:`close` or with the process.

    Parameters
    ----------
    settings : Settings
        ``myia_home`` says where; the rest is what workers run with.
    connection : socket.socket
        Open control connection.
    port : int
        Port of the server.
    password : str
        Its password.
    """

    def __init__(
        self,
        settings: Settings,
        connection: socket.socket,
        port: int,
        password: str,
    ) -> None:
        self.port = port
        self.home = settings.myia_home
        self.settings = settings.replace(
            redis_url=f"redis://:{password}@{HOST}:{port}/0",
            redis_tls=False,
            redis_cluster=False,
        )
        self._connection = connection
        self._password = password

    def __repr__(self) -> str:
        return f"<LocalServer {HOST}:{self.port} in {str(self.home)!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @classmethod
    def find(cls, settings: Settings) -> LocalServer | None:
        """Take a lease on the server that runs in ``MYIA_HOME``, if one does.

        One that is about to run is waited for.
        """
        premises = Premises(home=settings.myia_home)
        deadline = time.monotonic() + STARTING_SECONDS
        while premises.is_held():
            is_starting = not premises.is_address_current()
            lease = cls._ask(settings, premises)
            if lease or not is_starting or time.monotonic() > deadline:
                return lease
            time.sleep(0.05)
        return None

    @classmethod
    def _ask(cls, settings: Settings, premises: Premises) -> LocalServer | None:
        try:
            address = json.loads(premises.address.read_text())
            password = premises.password.read_text().strip()
            connection = socket.create_connection(
                (HOST, int(address["control"])), ANSWER_SECONDS
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        lease = cls(settings, connection, int(address["port"]), password)
        try:
            lease.request_workers(0)
        except LocalServerError:
            lease.close()
            return None
        return lease

    @classmethod
    def start(cls, settings: Settings, *, workers: int = 0) -> LocalServer:
        """Take a lease on the server of ``MYIA_HOME``; start it if need be.

        Parameters
        ----------
        settings : Settings
            Where, and what the workers run with.
        workers : int, default 0
            Worker processes to keep running while the lease lasts; leases with
            equal settings share them.

        Raises
        ------
        LocalServerError
            The server cannot be started; the message says why.
        """
        premises = Premises(home=settings.myia_home)
        premises.prepare()
        deadline = time.monotonic() + START_SECONDS
        supervisor: subprocess.Popen[bytes] | None = None
        while time.monotonic() < deadline:
            lease = cls.find(settings)
            if lease is not None:
                if workers:
                    lease.request_workers(workers)
                return lease
            code = supervisor.poll() if supervisor is not None else ALREADY_RUNNING
            # It ends by itself, with 0, when it is not asked for a lease in time.
            if code in {0, ALREADY_RUNNING}:
                supervisor = _start_supervisor(premises)
            elif code is not None:
                raise LocalServerError(_why_not(premises))
            time.sleep(0.05)
        raise LocalServerError(_why_not(premises))

    def request_workers(self, workers: int) -> None:
        """Say how many worker processes this lease needs.

        Raises
        ------
        LocalServerError
            The supervisor is gone, or it belongs to somebody else.
        """
        environment = self.settings.to_environment()
        # Two workers of one machine cannot share the health endpoint's port.
        environment["WORKER_HEALTH_PORT"] = "0"
        environment["WORKER_SHUTDOWN_GRACE"] = str(
            min(LOCAL_GRACE_SECONDS, self.settings.worker_shutdown_grace)
        )
        request = {
            "token": self._password,
            "workers": workers,
            "environment": environment,
            "directory": str(Path.cwd()),
        }
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
            answer = self._connection.recv(16)
        except OSError as error:
            answer = str(error).encode()
        if answer != b"ok\n":
            raise LocalServerError(
                f"The embedded server in {str(self.home)!r} is gone; "
                "make a new Client.local() to start it again."
            )

    def close(self) -> None:
        """Give the lease back; the server ends when it was the last one."""
        self._connection.close()


class LocalWorkers:
    """Worker processes of this process, for a server that runs elsewhere.

    Parameters
    ----------
    settings : Settings
        What they run with.
    workers : int
        How many.
    """

    def __init__(self, settings: Settings, workers: int) -> None:
        premises = Premises(home=settings.myia_home)
        premises.prepare()
        environment = settings.to_environment() | {"WORKER_HEALTH_PORT": "0"}
        self._processes = [
            start_worker(
                environment,
                str(Path.cwd()),
                premises.logs / f"worker-{os.getpid()}-{number}.log",
            )
            for number in range(workers)
        ]

    def close(self) -> None:
        """Stop the workers; jobs they cannot finish in time are put back."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._processes = []


def _start_supervisor(premises: Premises) -> subprocess.Popen[bytes]:
    with open_log(premises.logs / "supervisor.log") as log:
        process = subprocess.Popen(  # noqa: S603 -- our own module
            [sys.executable, "-m", "myia_sdk.server.supervisor", str(premises.home)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _reap_later(process)
    return process


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Collect the exit code when it comes: the process outlives our interest."""
    import threading

    def wait() -> None:
        with suppress(OSError):
            process.wait()

    threading.Thread(target=wait, name="myia-supervisor", daemon=True).start()


def _why_not(premises: Premises) -> str:
    log = premises.logs / "supervisor.log"
    try:
        last = log.read_text(errors="replace").strip().splitlines()[-1]
    except (OSError, IndexError):
        last = "it left no message"
    _, _, message = last.partition(" ERROR ")
    return message or f"The embedded server did not start: {last} (log: {log})"
