"""The board in a notebook, and the served board, looked at and clicked through."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import uuid4

import pytest

from myia_sdk.certification.verdict import Verdict
from tests.browser.conftest import SCREENSHOTS, Notebook
from tests.browser.serving import serving
from tests.browser.test_monitor import axe_violations, clipped_texts, fill
from tests.helpers.chromium import new_context
from tests.helpers.panel_probe import Jobs

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


@pytest.fixture(scope="module")
def served(redis_server, home, queue, filled, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served")
    with serving(redis_server, home, queue, directory) as url:
        yield url


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


def test_a_stranger_sees_nothing_of_the_board(browser, served):
    from playwright.sync_api import Error

    context = new_context(browser)
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
        expect(notices).to_contain_text("does not answer")
        page.screenshot(path=str(SCREENSHOTS / "served-away.png"))
        own_redis_server.start()
        expect(notices).not_to_contain_text("does not answer")
        expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#lost")).to_be_visible()
