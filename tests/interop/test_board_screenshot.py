"""The real Bull Board in a real browser shows our jobs, and its buttons work."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from myia_sdk.certification.run.run import Progress
from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.wire.workers import worker_client_name
from tests.interop.conftest import LEASE, until

pytestmark = [
    pytest.mark.node,
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
]

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
TOKEN = "myia:one"


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    page.set_default_timeout(60_000)
    page.route("https://**", lambda route: route.abort())
    yield page
    page.close()


@pytest.fixture
def jobs(store):
    made = {}
    for state in ("completed", "failed", "active"):
        made[state] = store.add(NewJob(name="certify", data={"model": f"m-{state}"}))
        store.claim(TOKEN, LEASE)
        store.log(made[state], [f"step one of {state}", "step two"])
    store.complete(made["completed"], TOKEN, {"verdict": "certified"})
    store.fail(made["failed"], TOKEN, "ValueError: boom", "Traceback of ours")
    done = Progress(done=2, total=5, check="noise_robustness", outcome="passed")
    store.progress(made["active"], done.to_record())
    made["waiting"] = store.add(NewJob(name="certify", data={"model": "m-waiting"}))
    made["delayed"] = store.add(
        NewJob(name="certify", options=JobOptions(delay=timedelta(hours=1)))
    )
    return made


class BoardPage:
    """The board of one queue in the browser, as a person uses it."""

    def __init__(self, page, address, queue):
        self.page, self.address = page, f"{address}/queue/{queue}"
        ARTIFACTS.mkdir(exist_ok=True)

    def open(self, state, job_id):
        self.page.goto(f"{self.address}?status={state}")
        self.page.get_by_text(job_id).first.wait_for()

    def shot(self, name):
        self.page.screenshot(path=ARTIFACTS / f"bull-board-{name}.png")

    def see(self, text):
        self.page.get_by_text(text).first.wait_for()

    def tab(self, name):
        self.page.locator("main [role=tab]", has_text=name).click()

    def press(self, name):
        self.page.locator("button", has_text=name).first.click()
        self.confirm()

    def press_icon(self, position):
        """Icons of a job: the first acts on it, the others copy, edit, remove."""
        self.page.locator("main [class*=button-GXX8BV]").nth(position).click()
        self.confirm()

    def confirm(self):
        self.page.locator("[role=alertdialog] button, [role=dialog] button").filter(
            has_text="Confirm"
        ).click()

    def choose_from_menu(self, name):
        self.page.locator("button[aria-haspopup=menu]").first.click()
        self.page.locator("[role=menuitem]", has_text=name).click()
        self.confirm()


def test_bull_board_shows_and_moves_our_jobs(
    page, node5, store, jobs, queue_name, redis_server
):
    board = BoardPage(page, node5("board", queues=[queue_name]), queue_name)
    name = worker_client_name("myia", queue_name, "our-host.1")
    with redis_server.client(client_name=name) as ours:
        ours.ping()
        for state, job_id in jobs.items():
            board.open(state, job_id)
            board.see("certify")
            if state == "active":
                page.locator("[role=progressbar][aria-valuenow='40']").wait_for()
            board.shot(state)
        page.get_by_title("Queue info").click()
        page.get_by_text("Connected workers").click()
        board.see("our-host.1")
        board.shot("workers")
    board.open("failed", jobs["failed"])
    board.tab("Logs")
    board.see("step one of failed")
    board.shot("logs")

    board.press_icon(0)
    until(lambda: store.state(jobs["failed"]) is JobState.WAITING)
    board.open("delayed", jobs["delayed"])
    board.press_icon(0)
    until(lambda: store.state(jobs["delayed"]) is JobState.WAITING)
    # The board cleans what ended more than five seconds ago.
    store.redis.zadd(store.keys.completed, {jobs["completed"]: store.clock() - 6000})
    board.open("completed", jobs["completed"])
    board.press("Clean all")
    until(lambda: store.job(jobs["completed"]) is None)
    board.open("waiting", jobs["waiting"])
    board.choose_from_menu("Pause")
    until(store.is_paused)
    board.open("paused", jobs["waiting"])
    board.shot("paused")
    assert store.claim("myia:two", LEASE).job is None
