"""Operating-system processes: whole trees, their limits and their environment.

Linux first: ``/proc`` and ``prctl`` are used where they exist; elsewhere psutil
finds the descendants and the parent watch alone ends orphans.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36

#: What a child may see of the consumer's environment, as shell patterns. An
#: allow-list, because a secret can have any name.
ALLOWED_ENVIRONMENT = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR", "LANG"),
    *("LC_*", "LANGUAGE", "PYTHON*", "VIRTUAL_ENV", "CONDA_PREFIX", "XDG_*"),
    *("LD_LIBRARY_PATH", "DYLD_*", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("OMP_*", "MKL_*", "OPENBLAS_*", "NUMEXPR_*", "BLIS_*", "KMP_*", "JOBLIB_*"),
    *("CUDA_*", "NVIDIA_*", "HF_HOME", "HF_HUB_*", "TRANSFORMERS_*", "TORCH_*"),
    *("TOKENIZERS_*", "MPLBACKEND", "MPLCONFIGDIR", "COVERAGE_*"),
    *("MYIA_HOME", "MYIA_ARTIFACTS", "MYIA_PLUGINS", "MYIA_LANG", "MYIA_PROFILE"),
)
#: Never passed on, also when a pattern above or the caller would allow them.
FORBIDDEN_ENVIRONMENT = (
    *("REDIS_*", "BULL_*", "MYIA_SIGNING_*", "PYTHONINSPECT", "PYTHONSTARTUP"),
    *("*SECRET*", "*TOKEN", "*PASSWORD*", "*PASSWD*", "*CREDENTIAL*", "*API_KEY*"),
)
#: A stop-and-look round finds what was forked during the one before; a tree that
#: still grows after this many is killed as far as it is known.
MAX_ROUNDS = 50


def set_process_flag(option: int, value: int) -> bool:
    """Call ``prctl(option, value)``; False where the system has no such call."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)


def is_allowed(name: str, allowed: Iterable[str]) -> bool:
    """Tell whether an environment variable may be shown to a child."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed) and not any(
        fnmatch.fnmatchcase(name.upper(), pattern) for pattern in FORBIDDEN_ENVIRONMENT
    )


def scrubbed_environment(
    environment: Mapping[str, str], extra_allowed: Iterable[str] = ()
) -> dict[str, str]:
    """Return the part of an environment that a sandbox child may see.

    Parameters
    ----------
    environment : mapping of str to str
        Usually ``os.environ``.
    extra_allowed : iterable of str, optional
        Further names or shell patterns. What `FORBIDDEN_ENVIRONMENT` names stays
        out even then, and so do URLs that carry a password.
    """
    allowed = (*ALLOWED_ENVIRONMENT, *extra_allowed)
    return {
        name: value
        for name, value in environment.items()
        if is_allowed(name, allowed) and not ("://" in value and "@" in value)
    }


def children_of(pid: int) -> set[int]:
    """Return the ids of the direct children of a process, empty if it is gone."""
    tasks = Path(f"/proc/{pid}/task")
    found: set[int] = set()
    try:
        for task in tasks.iterdir():
            found.update(map(int, (task / "children").read_text().split()))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        if tasks.exists() or not Path("/proc/self/task").exists():
            with contextlib.suppress(psutil.Error):
                found.update(child.pid for child in psutil.Process(pid).children())
    return found


def threads_of(pid: int) -> int:
    """Return how many threads a process has, 0 when it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208  # names are enough
    except OSError:
        return 0


def threads_of_system() -> int:
    """Return how many threads the whole system has, cheaply; 0 where it is not told."""
    try:
        text = Path("/proc/loadavg").read_text()
        return int(text.split()[3].partition("/")[2])
    except (OSError, IndexError, ValueError):
        return 0


def tree_size(root: int, most: int) -> int:
    """Count the processes and threads of a process and all its descendants.

    Parameters
    ----------
    root : int
        Process id. Its orphans are found when it is a child subreaper.
    most : int
        Counting ends above this number.
    """
    size, seen, unseen = 0, {root}, [root]
    while unseen and size <= most:
        pid = unseen.pop()
        size += threads_of(pid)
        fresh = children_of(pid) - seen
        seen |= fresh
        unseen += fresh
    return size


def send_signal(pid: int, number: int) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_tree(root: int) -> set[int]:
    """Kill a process and all its descendants, those in other sessions too.

    Everything is stopped before anything is killed, so that no process of the
    tree can fork away while the others die.

    Parameters
    ----------
    root : int
        Process id. Its orphans are found when it is a child subreaper.

    Returns
    -------
    set of int
        The processes that were killed.
    """
    known: set[int] = set()
    fresh = {root}
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # A whole group at once: round by round, a fork bomb would stay ahead.
        if os.getpgid(root) == root:
            os.killpg(root, signal.SIGSTOP)
    for _ in range(MAX_ROUNDS):
        for pid in fresh:
            send_signal(pid, signal.SIGSTOP)
        known |= fresh
        fresh = {child for pid in known for child in children_of(pid)} - known
        if not fresh:
            break
    for pid in known | fresh:
        send_signal(pid, signal.SIGKILL)
    return known | fresh


def signal_name(number: int) -> str:
    """Return ``SIGKILL`` for 9; the number itself when it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
