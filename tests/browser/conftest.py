"""A real JupyterLab, a real chromium, a real server; nothing is simulated."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.conftest import RedisServer
from tests.helpers.chromium import chromium_path, new_context
from tests.helpers.machine import require

#: Where screenshots go; CI keeps the folder.
SCREENSHOTS = Path(os.environ.get("TEST_SCREENSHOTS", "build/screenshots"))
ROOT = Path(__file__).parents[2]
#: Password of the boards that tests serve.
BOARD_PASSWORD = "secret-of-the-board"
#: Seconds that a process or an answer may take on a busy machine.
PATIENCE = 90
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"


# Before xdist's own hook, which reads the groups: a conftest of a folder that is
# named on the command line would come after it.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(str(item.fspath)).parents:
            item.add_marker(pytest.mark.browser)
            # One lab and one browser serve all of them.
            item.add_marker(pytest.mark.xdist_group("browser"))


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    root: Path
    runtime: Path

    def api(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(
            f"{self.url}api{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def notebook(self, name: str, *cells: str) -> str:
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(book, self.root / name)
        return name


def lab_environment(base: Path, server: RedisServer, home: Path) -> dict[str, str]:
    settings = base / "user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews":"false","checkForUpdates":false,"doNotDisturbMode":true}'
    )
    return {
        **os.environ,
        **server.environment,
        "MYIA_HOME": str(home),
        "MYIA_LANG": "en",
        "JUPYTER_CONFIG_DIR": str(base / "config"),
        "JUPYTER_DATA_DIR": str(base / "data"),
        "JUPYTER_RUNTIME_DIR": str(base / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(base / "user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(base / "workspaces"),
        "IPYTHONDIR": str(base / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``MYIA_HOME`` of the kernels, the workers and the tests."""
    return tmp_path_factory.mktemp("home")


@contextmanager
def running_lab(base: Path, server: RedisServer, home: Path) -> Iterator[Lab]:
    """A JupyterLab with settings, data and notebooks of its own below `base`."""
    root = base / "root"
    root.mkdir()
    token = secrets.token_hex(16)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        f"--ServerApp.root_dir={root}",
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--KernelManager.shutdown_wait_time=2",
    ]
    with (base / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=lab_environment(base, server, home),
            stdout=log,
            stderr=log,
            cwd=root,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
        )
    try:
        yield wait_for_lab(base, root, token, process)
    finally:
        stop(process)


@pytest.fixture(scope="session")
def lab(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, home: Path
) -> Iterator[Lab]:
    require(importlib.util.find_spec("jupyterlab"), "jupyterlab")
    chromium_path()
    with running_lab(tmp_path_factory.mktemp("lab"), redis_server, home) as lab:
        yield lab


def wait_for_lab(
    base: Path, root: Path, token: str, process: subprocess.Popen[bytes]
) -> Lab:
    info = base / "runtime" / f"jpserver-{process.pid}.json"
    deadline = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            lab = Lab(json.loads(info.read_text())["url"], token, root, base)
            lab.api("/status")
        except (OSError, ValueError, urllib.error.URLError):
            time.sleep(0.1)
        else:
            return lab
    raise RuntimeError("JupyterLab did not start:\n" + (base / "lab.log").read_text())


def is_of_the_lab(text: str) -> bool:
    """Whether an error of the page came without any code of ours on its stack.

    Our script is loaded from a ``blob:`` address. JupyterLab's may remove a style
    sheet twice when themes change in quick turns, and anywidget's complains about
    models that were closed before they were drawn.
    """
    if "ResizeObserver loop" in text:
        return True
    is_theirs = "/static/lab/" in text or "/lab/extensions/" in text
    return is_theirs and "blob:" not in text


class Notebook:
    """A page with one notebook; tests replace its cell and run it."""

    def __init__(self, page: Any, lab: Lab, name: str) -> None:
        self.page = page
        self.lab = lab
        self.name = name
        self.errors: list[str] = []
        page.on("pageerror", self._on_error)
        page.on("console", self._on_console)
        page.goto(
            f"{lab.url}doc/tree/{name}?reset&token={lab.token}",
            wait_until="domcontentloaded",
        )
        page.wait_for_function("() => window.jupyterapp && window.jupyterapp.started")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.evaluate(
            """async () => {
                const widget = window.jupyterapp.shell.currentWidget;
                await widget.context.ready;
                await widget.context.sessionContext.ready;
                await widget.context.sessionContext.session.kernel.info;
            }"""
        )

    def _on_error(self, error: Any) -> None:
        text = f"{error}\n{error.stack}"
        if not is_of_the_lab(text):
            self.errors.append(text)

    def _on_console(self, message: Any) -> None:
        text = f"{message.text} ({message.location.get('url')})"
        if message.type == "error" and not is_of_the_lab(text):
            self.errors.append(text)

    def run(self, *sources: str) -> None:
        """Put the sources into cells and run all of them; they must not fail."""
        failures = self.page.evaluate(
            """async (sources) => {
                const app = window.jupyterapp;
                const model = app.shell.currentWidget.content.model.sharedModel;
                while (model.cells.length > sources.length) {
                    model.deleteCell(model.cells.length - 1);
                }
                while (model.cells.length < sources.length) {
                    const cell = {cell_type: 'code', source: ''};
                    model.insertCell(model.cells.length, cell);
                }
                sources.forEach((source, i) => model.cells[i].setSource(source));
                await app.commands.execute('notebook:run-all-cells');
                return model.cells.flatMap((cell) => cell.toJSON().outputs)
                    .filter((output) => output.output_type === 'error')
                    .map((output) => output.traceback.join('\\n'));
            }""",
            list(sources),
        )
        assert not failures, failures

    def execute(self, code: str) -> str:
        """Run code in the kernel beside the cells and return what it printed."""
        return str(
            self.page.evaluate(
                """async (code) => {
                    const session = window.jupyterapp.shell.currentWidget.context
                        .sessionContext.session;
                    const future = session.kernel.requestExecute({code});
                    let text = '';
                    future.onIOPub = (message) => {
                        const content = message.content;
                        if (content.text) text += content.text;
                        if (content.traceback) text += content.traceback.join('\\n');
                    };
                    await future.done;
                    return text;
                }""",
                code,
            )
        )

    def set_theme(self, name: str) -> None:
        self.page.evaluate(
            """async (theme) => window.jupyterapp.commands.execute(
                'apputils:change-theme', {theme})""",
            name,
        )
        light = "false" if "Dark" in name else "true"
        self.page.wait_for_selector(
            f"body[data-jp-theme-light='{light}']", state="attached"
        )

    def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=str(path))


@pytest.fixture(scope="session")
def notebook(lab: Lab, browser: Any) -> Iterator[Notebook]:
    """One page and one kernel for all tests; each puts its own code into the cells."""
    name = lab.notebook("panels.ipynb", "1")
    context = new_context(browser, viewport={"width": 1280, "height": 1100})
    yield Notebook(context.new_page(), lab, name)
    context.close()
    for session in lab.api("/sessions"):
        lab.api(f"/sessions/{session['id']}", "DELETE")


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[[], Any]]:
    """Pages of visitors who know the password."""
    contexts = []

    def open_one() -> Any:
        context = new_context(
            browser,
            http_credentials={"username": "admin", "password": BOARD_PASSWORD},
            viewport={"width": 1360, "height": 1100},
            reduced_motion="reduce",
        )
        contexts.append(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture(autouse=True)
def no_script_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test when the page reported an error meanwhile."""
    yield
    if "notebook" in request.fixturenames:
        page: Notebook = request.getfixturevalue("notebook")
        errors, page.errors = page.errors, []
        assert not errors


def consumer(
    name: str, environment: dict[str, str], directory: Path, workers: int = 2
) -> subprocess.Popen[bytes]:
    command = [
        str(Path(sys.executable).parent / "huey_consumer"),
        *(name, "-w", str(workers)),
    ]
    with (directory / f"{secrets.token_hex(4)}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=log,
            stderr=log,
            cwd=directory,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
        )


@pytest.fixture(scope="module")
def start_worker(
    redis_server: RedisServer, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start ``huey_consumer`` on a queue; stopped with the module."""
    started: list[subprocess.Popen[bytes]] = []

    def start(app: str, queue: str) -> subprocess.Popen[bytes]:
        environment = {
            **redis_server.environment,
            "CERTIFICATION_QUEUE_NAME": queue,
            "MYIA_HOME": str(home),
        }
        process = consumer(app, environment, tmp_path_factory.mktemp("worker"))
        started.append(process)
        return process

    yield start
    for process in started:
        stop(process)
