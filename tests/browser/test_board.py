"""The board in a notebook, and the served board, looked at and clicked through."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from myia_sdk.certification.report import Verdict
from myia_sdk.queue.job import JobOptions, NewJob
from tests.browser.conftest import SCREENSHOTS, Notebook, die_with_parent, stop
from tests.browser.test_monitor import axe_violations, clipped_texts, fill
from tests.conftest import free_port
from tests.integration.panel_probe import Jobs

CELL = """
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB
from myia_sdk import Client, Settings
X, y = load_digits(return_X_y=True)
bayes = GaussianNB().fit(X[:1000], y[:1000])
X_test, y_test = X[1000:], y[1000:]
client = Client(Settings(certification_queue_name="{queue}"))
client.board()
"""


@pytest.fixture(scope="module")
def queue() -> str:
    return f"board-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def filled(redis_server, home, queue):
    """A queue with one job of each kind and certificates of three models."""
    from myia_sdk import Client, Settings

    settings = Settings(
        redis_host="127.0.0.1",
        redis_port=redis_server.port,
        redis_password=redis_server.password,
        certification_queue_name=queue,
        myia_home=home,
        _env_file=None,
    )
    with Client(settings) as client:
        fill(client)
        jobs = Jobs(client)
        for model in ("iris-forest", "digits-forest", "credit-risk"):
            jobs.certified(model, "eu-west-1")
        warned = Verdict.QUALITY_WARNING
        jobs.certified(
            "iris-forest", "us-east-1", verdict=warned, score=71.0, rating="C"
        )
        failed = Verdict.FAILED
        jobs.certified(
            "credit-risk", "us-east-1", verdict=failed, score=31.0, rating="F"
        )
        jobs.certified("digits-forest", "us-east-1", age=timedelta(days=9))
        yield client


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_every_tab_of_the_board_is_clean(notebook: Notebook, filled, queue, theme):
    from playwright.sync_api import expect

    page = notebook.page
    page.set_viewport_size({"width": 1280, "height": 1250})
    notebook.set_theme(f"JupyterLab {theme}")
    notebook.run(CELL.format(queue=queue))
    expect(page.locator(".myia-suite table")).to_be_visible()
    for name in ("Submit", "Monitor", "Clean", "Certificates"):
        page.locator(".lm-TabBar-tab, .p-TabBar-tab").filter(has_text=name).click()
        if name in {"Monitor", "Certificates"}:
            expect(page.locator(".myia-root:visible .myia-head")).to_be_visible()
        if name == "Certificates":
            panel = page.locator(".myia-root:visible")
            for box in panel.get_by_role("checkbox").all()[:2]:
                box.check()
            panel.get_by_role("button", name="Compare two").click()
            expect(panel).to_contain_text("Score")
            panel.locator(".myia-matrix .myia-link").first.click()
            panel.get_by_role("button", name="Verify").click()
            expect(panel).to_contain_text("The certificate is valid")
        if name == "Clean":
            page.locator(".myia-field-grace input").fill("0")
            page.locator(".myia-preview").click()
            expect(page.locator(".myia-question")).to_contain_text(
                "8 job(s) would be removed"
            )
        notebook.screenshot(f"board-{name.lower()}-{theme.lower()}")
        found = axe_violations(page, ".myia-panel")
        assert found == []
        assert clipped_texts(page) == []
    notebook.set_theme("JupyterLab Light")


@contextmanager
def serving(server, home, queue: str, directory):
    """The served board in a process of its own; gives its address."""
    port = free_port()
    environment = {
        **os.environ,
        **server.environment,
        "BULL_BOARD_PORT": str(port),
        "BULL_BOARD_PASSWORD": "secret-of-the-board",
        "CERTIFICATION_QUEUE_NAME": queue,
        "MYIA_HOME": str(home),
        "MYIA_LANG": "en",
    }
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "myia_sdk.served"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
        )
    url = f"http://127.0.0.1:{port}/admin/queues"
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            break
        except urllib.error.URLError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    try:
        yield url
    finally:
        stop(process)


@pytest.fixture(scope="module")
def served(redis_server, home, queue, filled, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served")
    with serving(redis_server, home, queue, directory) as url:
        yield url


@pytest.fixture
def new_page(browser):
    """Pages of visitors who know the password."""
    contexts = []

    def open_one():
        context = browser.new_context(
            http_credentials={"username": "admin", "password": "secret-of-the-board"},
            viewport={"width": 1360, "height": 1100},
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def visitor(new_page, served):
    page = new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: errors.append(message.text) if message.type == "error" else 0,
    )
    page.goto(served)
    yield page
    assert errors == []


def widths_with_a_cut_table(page, widths: Iterable[int]) -> list[int]:
    """Widths of the window at which the table of jobs stands out of its frame."""
    cut = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 1100})
        scroll = page.locator(".myia-list .myia-scroll")
        if scroll.evaluate("(e) => e.scrollWidth > e.clientWidth"):
            cut.append(width)
    return cut


def test_the_served_board_shows_acts_and_links(visitor, served, filled):
    from playwright.sync_api import expect

    page = visitor
    expect(page.locator(".myia-root tbody tr")).to_have_count(12)
    page.screenshot(path=str(SCREENSHOTS / "served-light.png"))
    assert axe_violations(page, "body") == []
    page.get_by_role("button", name="Pause queue").click()
    expect(page.locator(".myia-badge.myia-warn")).to_contain_text("paused")
    assert filled.queue.is_paused()
    page.get_by_role("button", name="Resume queue").click()
    expect(page.get_by_role("button", name="Pause queue")).to_be_visible()
    page.locator(".myia-link", has_text="naive-bayes-digits").click()
    expect(page.locator(".myia-detail")).to_contain_text("503")
    assert widths_with_a_cut_table(page, (900, 1050, 1280, 1360, 1600)) == []
    page.reload()
    expect(page.locator(".myia-detail")).to_contain_text("503")
    page.get_by_role("button", name="Theme").click()
    page.screenshot(path=str(SCREENSHOTS / "served-dark.png"))
    assert axe_violations(page, "body") == []
    assert clipped_texts(page) == []
    page.get_by_role("link", name="Certificates").click()
    expect(page.locator(".myia-root h2")).to_contain_text("Certificates")


@pytest.fixture
def other(redis_server, home, tmp_path, new_page):
    """Page and client of a served board whose queue is the test's own."""
    from myia_sdk import Client, Settings

    queue = f"flow-{uuid4().hex[:8]}"
    settings = Settings(
        redis_host="127.0.0.1",
        redis_port=redis_server.port,
        redis_password=redis_server.password,
        certification_queue_name=queue,
        myia_home=home,
        _env_file=None,
    )
    errors = []
    with (
        Client(settings) as client,
        serving(redis_server, home, queue, tmp_path) as url,
    ):
        page = new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        yield page, client
    assert errors == []


def test_schedulers_are_changed_and_run_by_clicking(other):
    from playwright.sync_api import expect

    page, client = other
    client.scheduling.upsert(
        "nightly", pattern="0 3 * * *", limit=9, template=NewJob(name="certify")
    )
    page.get_by_role("button", name="Queue ▾").click()
    table = page.get_by_role("table", name="Schedulers")
    expect(table).to_contain_text("0 3 * * *")
    page.get_by_role("button", name="Change: nightly").click()
    form = page.get_by_role("form", name="When nightly runs")
    form.get_by_label("Rule").select_option("seconds")
    form.get_by_role("textbox").fill("7200")
    assert axe_violations(page, "body") == []
    assert clipped_texts(page) == []
    page.screenshot(path=str(SCREENSHOTS / "served-scheduler.png"))
    form.get_by_role("button", name="Save").click()
    expect(table).to_contain_text("2:00:00")
    expect(form).to_have_count(0)
    assert client.scheduling.get("nightly").timetable.every == timedelta(hours=2)
    before = sum(client.queue.counts().values())
    page.get_by_role("button", name="Run now: nightly").click()
    expect(page.locator(".myia-notices")).to_contain_text("nightly was added: ")
    assert sum(client.queue.counts().values()) == before + 1
    expect(page.get_by_role("region", name="Redis")).to_contain_text("noeviction")


def make_flow(client) -> tuple[str, str, str]:
    """A report in another queue that waits for a job, which waits for two."""
    from myia_sdk.queue.store import JobStore

    queue = client.queue
    reports = JobStore(queue.redis, f"{queue.queue}-reports")
    later = JobOptions(delay=timedelta(hours=1))
    report = reports.add(NewJob(name="weekly-report", options=later))
    data = {
        "note": "<b>bold</b>" + "x" * 400,
        "rows": list(range(150)),
        "big": 2**63,
        "a": {"b": {"c": {"d": "deep"}}},
    }
    middle = queue.add(
        NewJob(
            name="all-regions",
            data=data,
            options=later,
            parent_key=reports.keys.job(report),
        )
    )
    leaf, _ = (
        queue.add(
            NewJob(
                name="certify",
                labels={"model": f"forest-{region}"},
                parent_key=queue.keys.job(middle),
            )
        )
        for region in ("eu", "us")
    )
    return report, middle, leaf


@pytest.mark.parametrize(("width", "theme"), [(900, "dark"), (1600, "light")])
def test_the_flow_of_a_job_is_followed_by_clicking(other, width, theme):
    from playwright.sync_api import expect

    page, client = other
    report, middle, leaf = make_flow(client)
    page.set_viewport_size({"width": width, "height": 1300})
    if theme == "dark":
        page.get_by_role("button", name="Theme").click()
    page.locator(f"tr[data-job='{leaf}'] .myia-link").click()
    page.get_by_role("tab", name="Flow").click()
    flow = page.locator(".myia-flow")
    expect(flow.locator(".myia-flow-node")).to_have_count(4)
    expect(flow).to_contain_text(f"queue {client.queue.queue}-reports")
    expect(flow.get_by_role("button", name=report)).to_have_count(0)
    page.screenshot(path=str(SCREENSHOTS / f"served-flow-{width}.png"))
    assert axe_violations(page, "body") == []
    assert clipped_texts(page) == []
    flow.get_by_role("button", name=middle).press("Enter")
    expect(page.locator(".myia-detail h3")).to_contain_text("all-regions")
    expect(flow.locator("[aria-current=true]")).to_be_focused()
    expect(page).to_have_url(re.compile(f"#monitor/{middle}"))
    page.locator(".myia-family").get_by_role("button", name=leaf).click()
    expect(page.locator(".myia-detail h3")).to_contain_text("forest-eu")
    page.goto(f"{page.url.partition('#')[0]}#monitor/{middle}?tab=delayed&q=all")
    expect(page.locator(".myia-detail h3")).to_contain_text("all-regions")
    expect(page.locator("tr[data-job]")).to_have_count(1)
    page.get_by_role("tab", name="Data").click()
    see_the_data(page)


def see_the_data(page) -> None:
    """Open, enlarge and read the tree of the job's data, by keys alone."""
    from playwright.sync_api import expect

    tree = page.get_by_role("group", name="Data", exact=True)
    expect(tree).to_contain_text("<b>bold</b>")
    expect(tree).to_contain_text(str(2**63))
    expect(tree).not_to_contain_text("deep")
    tree.locator("summary", has_text="c: ").press("Enter")
    expect(tree).to_contain_text("deep")
    rows = tree.locator("details", has=page.locator("summary", has_text="rows: "))
    expect(rows.last.locator("li")).to_have_count(101)
    tree.get_by_role("button", name="Show 50 more of 150").press("Enter")
    expect(rows.last.locator("li")).to_have_count(150)
    tree.get_by_role("button", name="Show all 411 characters").press("Enter")
    expect(tree).to_contain_text("x" * 400)
    assert axe_violations(page, "body") == []


def test_the_rate_of_updates_is_kept_and_off_says_so(other):
    from playwright.sync_api import expect

    page, client = other
    expect(page.locator(".myia-root")).to_contain_text("No jobs yet")
    page.get_by_label("Updates").select_option("off")
    notices = page.locator(".myia-notices")
    expect(notices).to_contain_text("Updates are off; as of")
    job_id = Jobs(client).waiting()
    row = page.locator(f"tr[data-job='{job_id}']")
    expect(row).to_have_count(0)
    notices.get_by_role("button", name="Refresh").click()
    expect(row).to_have_count(1)
    page.reload()
    expect(notices).to_contain_text("Updates are off; as of")
    expect(page.get_by_label("Updates")).to_have_value("0")
    page.get_by_label("Updates").select_option("every 2 s")
    expect(notices).not_to_contain_text("Updates are off")
    other_id = Jobs(client).waiting()
    expect(page.locator(f"tr[data-job='{other_id}']")).to_have_count(1)


def test_a_stranger_sees_nothing_of_the_board(browser, served):
    from playwright.sync_api import Error

    context = browser.new_context()
    page = context.new_page()
    with pytest.raises(Error, match="INVALID_AUTH_CREDENTIALS"):
        page.goto(served)
    assert page.locator(".myia-root").count() == 0
    context.close()


def test_server_and_board_that_went_away_are_told_and_come_back(
    own_redis_server, new_page, tmp_path, queue_name
):
    from playwright.sync_api import expect

    page = new_page()
    with serving(own_redis_server, tmp_path, queue_name, tmp_path) as url:
        page.goto(url)
        expect(page.locator(".myia-root")).to_contain_text("No jobs yet")
        own_redis_server.kill()
        notices = page.locator(".myia-notices")
        expect(notices).to_contain_text("does not answer", timeout=20_000)
        page.screenshot(path=str(SCREENSHOTS / "served-away.png"))
        own_redis_server.start()
        expect(notices).not_to_contain_text("does not answer", timeout=20_000)
        expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#lost")).to_be_visible()
