"""What the sandbox tests run in children: good, bad and hostile functions."""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import pickle
import random
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from myia_sdk.queue.sandbox.current import current_job


def echo(*args, **kwargs):
    return {"args": list(args), "kwargs": kwargs}


def own_sockets():
    found = []
    for number in range(3, 256):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                found.append(number)
    return found


def surroundings():
    return {
        "environment": dict(os.environ),
        "is_session_leader": os.getsid(0) == os.getpid(),
        "sockets": len(own_sockets()),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "stdin_is_null": stat.S_ISCHR(os.fstat(0).st_mode) and not os.read(0, 1),
    }


def talk():
    job = current_job()
    job.log("first\nsecond")
    for step in range(5):
        job.progress({"percent": step * 25})
    print("printed")
    os.write(2, b"native words\n")
    subprocess.run(["echo", "from a child process"], check=True)
    sys.stderr.write("10%\r50%\r100%\nno newline at the end")
    thread = threading.Thread(target=lambda: current_job().log("from a thread"))
    thread.start()
    thread.join()
    return [job.id, job.name, job.attempt]


def flood(lines):
    for number in range(lines):
        print(f"line {number}")
    return "done"


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no text for you")


class FinalError(Exception):
    unrecoverable = True
    category = "model_broken"


def raise_error(kind):
    if kind == "unprintable":
        raise UnprintableError
    if kind == "final":
        raise FinalError("give up")
    if kind == "interrupt":
        raise KeyboardInterrupt
    raise ValueError("plain")


def odd_result(kind):
    if kind == "set":
        return {1, 2}
    if kind == "nan":
        return float("nan")
    if kind == "deep":
        value = []
        for _ in range(100_000):
            value = [value]
        return value
    return "x" * 20_000_000


def die(kind):
    if kind == "segfault":
        ctypes.string_at(0)
    elif kind == "abort":
        os.abort()
    elif kind == "exit0":
        os._exit(0)
    elif kind == "sysexit":
        sys.exit(4)
    elif kind == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "stack":
        sys.setrecursionlimit(10**9)
        threading.stack_size(64 * 1024)
        thread = threading.Thread(target=endless)
        thread.start()
        thread.join()
    return "alive"


def endless():
    # Through a C function at every level, so that the native stack grows.
    return max([0], key=lambda _: endless())


def close_everything(then_sleep):
    os.closerange(3, 256)
    time.sleep(then_sleep)
    return "unreported"


def close_stdout():
    os.close(1)
    os.close(2)
    sys.stdout.close()
    return "fine"


class Payload:
    def __reduce__(self):
        return (os.system, ("touch /tmp/should-not-exist-myia",))


def forge(kind):
    sock = socket.socket(fileno=os.dup(own_sockets()[0]))
    body = {
        "pickle": pickle.dumps(Payload()),
        "noise": b"\xff\x00\x13",
        "list": b"[1,2]",
        "unknown": json.dumps({"kind": "surprise"}).encode(),
        "nan": b'{"kind":"result","value":NaN}',
        "deep": b'{"kind":"result","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "long": b"",
    }[kind]
    length = 0x7FFFFFFF if kind == "long" else len(body)
    sock.sendall(struct.pack(">I", length) + body)
    time.sleep(600)


def allocate(megabytes):
    return len(bytearray(megabytes << 20))


def burn():
    while True:
        pass


def write_pids(path, *pids):
    Path(path).write_text(json.dumps([os.getpid(), *pids]))


def hang(kind, path):
    """The six bodies that no polite time-out stops, and a tree of processes."""
    if kind != "tree":
        write_pids(path)
    if kind == "sleep":
        time.sleep(600)
    while kind == "except_exception":
        try:
            time.sleep(0.01)
        except Exception:  # noqa: BLE001  # the body under test
            continue
    while kind == "except_base":
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            sum(range(1000))
        except BaseException:  # noqa: BLE001  # the body under test
            continue
    if kind == "native_gil":
        ctypes.PyDLL(None).sleep(600)
    if kind == "native_free":
        ctypes.CDLL(None).sleep(600)
    if kind == "tree":
        plain = subprocess.Popen(["sleep", "600"])
        own_session = subprocess.Popen(["sleep", "600"], start_new_session=True)
        write_pids(path, plain.pid, own_session.pid, daemon())
        time.sleep(600)


def daemon():
    """Start a process the classic way: fork, setsid, fork; return its id."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            os.execvp("sleep", ["sleep", "600"])
        os.write(write, str(pid).encode())
        os._exit(0)
    os.wait()
    return int(os.read(read, 20))


def leave_daemon(path):
    write_pids(path, daemon())
    return "done"


def crash_with_daemon(path):
    write_pids(path, daemon())
    os.abort()


def square(number):
    return number * number


def use_multiprocessing():
    with multiprocessing.Pool(2) as pool:
        return pool.map(square, [1, 2, 3])


def draw():
    import numpy as np

    return [random.random(), float(np.random.random())]


def make_mess(directory):
    os.chdir(directory)
    os.environ["LEFT_BEHIND"] = "yes"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.umask(0o777)


def ask(method):
    from myia_sdk.queue.sandbox.child import current_channel

    return current_channel().call(method, number=2)


def inspect_mess():
    return [str(Path.cwd()), os.environ.get("LEFT_BEHIND"), os.umask(0o022)]
