from __future__ import annotations

import gc
import threading
from functools import partial
from itertools import count, pairwise

import pytest

from myia_sdk import Client
from myia_sdk.panels.clean import CleanPanel
from myia_sdk.panels.controllers.monitor import MonitorController
from myia_sdk.panels.live import Changes, ControllerOptions, LiveFeed, LiveView
from myia_sdk.panels.live.feed import REPAINT_INTERVAL
from myia_sdk.panels.live.patches import apply
from myia_sdk.panels.monitor import MonitorPanel
from tests.helpers.panel_probe import *  # noqa: F403
from tests.helpers.panel_probe import (
    Jobs,
    browser_says,
    sent,
    settings_for,
    threads_named,
    wait_for_panels,
    wait_until,
)

#: Seconds; longer than any test: its browser sends no heartbeats.
LASTING = 1_000.0


def feed_threads() -> list[threading.Thread]:
    return threads_named("myia-feed")


def happens(event: threading.Event) -> bool:
    return event.wait(60)


def snapshots(log, panel) -> list[dict]:
    return [m for m in sent(log, panel) if m["type"] == "snapshot"]


def state_of(log, panel) -> dict:
    """The state a browser has that applied every message."""
    state = {}
    for message in sent(log, panel):
        if message["type"] == "snapshot":
            state = message["state"]
        elif message["type"] == "patch":
            state = apply(state, message["operations"])
    return state


@pytest.fixture
def panel(client, comms):
    return MonitorPanel(client.connection, silence=LASTING)


@pytest.fixture
def shown(panel, comms):
    """A panel that a browser looks at and that has its first snapshot."""
    browser_says(panel, event="hello", view="v1", seq=1)
    wait_until(lambda: snapshots(comms, panel))
    return panel


def test_making_a_panel_talks_to_nobody(client, comms, monkeypatch):
    pool, talks = client.queue.redis.connection_pool, []
    connection_for = pool.get_connection

    def counting(*args, **options):
        talks.append(args)
        return connection_for(*args, **options)

    monkeypatch.setattr(pool, "get_connection", counting)
    threads = set(feed_threads())
    panel = MonitorPanel(client.connection)
    repr(panel)
    assert set(feed_threads()) <= threads
    assert sent(comms, panel) == []
    assert talks == []
    client.queue.counts()
    assert talks


def test_hello_brings_the_whole_state_with_texts(shown, comms):
    (snapshot,) = snapshots(comms, shown)[:1]
    assert snapshot["state"]["kind"] == "monitor"
    assert snapshot["texts"]["state.failed"] == "Failed"


def test_an_event_on_the_server_reaches_the_browser_as_a_difference(shown, comms, jobs):
    job_id = jobs.waiting()
    wait_until(lambda: job_id in state_of(comms, shown)["rows"])
    assert state_of(comms, shown)["counts"]["waiting"] == 1
    assert len(snapshots(comms, shown)) == 1


def test_an_idle_queue_sends_nothing(shown, comms):
    subscriber, looked = shown.view, threading.Event()

    def look_again() -> None:
        for _ in range(3):
            subscriber.refresh(Changes(is_reset=True))
            subscriber.tick()
        looked.set()

    shown._feed.submit(look_again)
    assert happens(looked)
    before = len(sent(comms, shown))
    looked.clear()
    shown._feed.submit(look_again)
    assert happens(looked)
    assert len(sent(comms, shown)) == before


class Clock:
    """Time that only moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Looking:
    """A monitor that a browser looks at, on a feed whose time stands still."""

    def __init__(self, client) -> None:
        self.clock = Clock()
        self.feed = LiveFeed(client.queue, clock=self.clock)
        self.messages: list[dict] = []
        #: When each difference was sent, by the clock that the test moves.
        self.patch_times: list[float] = []
        # A time of its own for each load, however fast they follow each other.
        options = ControllerOptions(now_ms=partial(next, count(1_800_000_000_000)))
        controller = MonitorController(client.connection, options)
        self.view = LiveView(controller, self.feed, self._receive, silence=float("inf"))
        self.says("hello")
        wait_until(lambda: self.messages)

    def says(self, event: str, **fields) -> None:
        self.view.receive({"event": event, "view": "v1", "seq": 1, **fields})

    def state(self) -> dict:
        state: dict = {}
        for message in list(self.messages):
            if message["type"] == "snapshot":
                state = message["state"]
            elif message["type"] == "patch":
                state = apply(state, message["operations"])
        return state

    def _receive(self, message: dict) -> None:
        if message["type"] == "patch":
            self.patch_times.append(self.clock.now)
        self.messages.append(message)

    def later(self, seconds: float) -> None:
        """Move the time, on the worker: it stands still during an update."""

        def move() -> None:
            self.clock.now += seconds

        self.feed.submit(move)

    def settle(self) -> None:
        """Wait until the worker has done everything that is due now."""
        done = threading.Event()
        self.feed.submit(done.set)
        assert happens(done)
        done.clear()
        self.feed.submit(done.set)
        assert happens(done)


@pytest.fixture
def looking(client):
    looking = Looking(client)
    yield looking
    looking.view.close()
    wait_for_panels()


def test_a_storm_of_events_gives_one_message_each_half_second(looking, client, jobs):
    job_id = jobs.active()
    storm = [10 + n * 0.3 for n in range(300)]

    def shown() -> bool:
        looking.later(REPAINT_INTERVAL)
        return job_id in looking.state()["rows"]

    def painted() -> bool:
        return looking.state()["rows"][job_id]["progress"] == storm[-1]

    def read() -> bool:
        texts = looking.feed._changes.progress.get(job_id) or ["0"]
        return float(texts[-1]) == storm[-1] or painted()

    wait_until(shown)
    looking.settle()
    before = len(looking.patch_times)
    for percent in storm:
        client.queue.progress(job_id, percent)
    wait_until(read)
    looking.settle()
    for _ in range(8):
        looking.later(REPAINT_INTERVAL / 4)
        looking.settle()
    wait_until(painted)
    times = looking.patch_times[before:]
    assert len(times) <= 3
    assert all(b - a >= REPAINT_INTERVAL for a, b in pairwise(times))


def test_a_slower_rate_holds_changes_back_until_they_are_due(looking, jobs):
    looking.says("rate", seconds=5)
    wait_until(lambda: looking.state()["rate"] == 5)
    looking.settle()
    before = len(looking.patch_times)

    def has_three_updates() -> bool:
        jobs.waiting()
        looking.later(REPAINT_INTERVAL)
        looking.settle()
        return len(looking.patch_times) >= before + 3

    wait_until(has_three_updates)
    times = looking.patch_times[before:]
    assert all(b - a >= 5 for a, b in pairwise(times))
    last = jobs.waiting()

    def shown() -> bool:
        return last in looking.state()["rows"]

    # It comes by itself when it is due, without another event.
    wait_until(lambda: looking.feed._changes or looking.view._held or shown())
    wait_until(lambda: looking.later(REPAINT_INTERVAL) or shown())


def test_a_view_that_nobody_watches_is_not_asked_what_is_due(looking):
    class Unwatched:
        asked = 0

        def is_watched(self) -> bool:
            return False

        def due_at(self) -> float:
            self.asked += 1
            return 0.0

    unwatched = Unwatched()
    looking.feed.attach(unwatched)
    for _ in range(5):
        looking.settle()
    assert unwatched.asked == 0


def test_updates_that_are_off_read_nothing_until_asked(looking, jobs):
    looking.says("rate", seconds=0)
    wait_until(lambda: looking.state()["rate"] == 0)
    wait_until(lambda: feed_threads() == [])
    as_of = looking.state()["as_of"]
    job_id = jobs.waiting()
    looking.says("alive")
    assert looking.messages[-1]["type"] == "ack"
    assert job_id not in looking.state()["rows"]
    looking.says("refresh")
    wait_until(lambda: job_id in looking.state()["rows"])
    assert looking.state()["as_of"] > as_of
    looking.says("rate", seconds=2)
    wait_until(lambda: looking.state()["as_of"] is None)
    wait_until(lambda: len(feed_threads()) == 2)


@pytest.mark.parametrize("seconds", [1, "2"])
def test_a_rate_that_is_not_offered_is_refused(looking, seconds):
    looking.says("rate", seconds=seconds)
    wait_until(lambda: looking.state()["notice"])
    assert looking.state()["rate"] == 0.5


def test_panels_of_a_queue_share_two_threads(client, comms, shown):
    others = [MonitorPanel(client.connection, silence=LASTING) for _ in range(3)]
    for index, other in enumerate(others):
        browser_says(other, event="hello", view=f"w{index}", seq=1)
        wait_until(lambda other=other: snapshots(comms, other))
    assert LiveFeed.open_feeds() == 1
    wait_until(lambda: len(feed_threads()) == 2)


def test_a_panel_made_while_the_threads_end_takes_them_over(client, comms):
    first = MonitorPanel(client.connection)
    is_over = threading.Event()
    first._feed.submit(is_over.wait)
    try:
        first.close()
        assert MonitorPanel(client.connection)._feed is first._feed
    finally:
        is_over.set()


def test_closing_ends_threads_and_comms(shown, comms):
    shown.close()
    wait_until(lambda: feed_threads() == [])
    assert LiveFeed.open_feeds() == 0
    opened = {comm_id for kind, comm_id, _ in comms if kind == "comm_open"}
    closed = {comm_id for kind, comm_id, _ in comms if kind == "comm_close"}
    assert opened == closed
    shown.close()


def test_a_view_that_went_away_stops_reading(shown, comms, jobs):
    wait_until(lambda: len(feed_threads()) == 2)
    browser_says(shown, event="gone", view="v1", seq=2)
    wait_until(lambda: feed_threads() == [])
    before = len(sent(comms, shown))
    job_id = jobs.waiting()
    browser_says(shown, event="alive", view="v2", seq=3)
    wait_until(lambda: job_id in state_of(comms, shown)["rows"])
    kinds = {message["type"] for message in sent(comms, shown)[before : before + 2]}
    assert kinds == {"ack", "snapshot"}


def test_silence_of_the_browser_stops_reading(client, comms):
    panel = MonitorPanel(client.connection, silence=0.5)
    browser_says(panel, event="hello", view="v1", seq=1)
    wait_until(lambda: snapshots(comms, panel))
    wait_until(lambda: feed_threads() == [])


def test_heartbeats_are_answered_at_once(shown, comms):
    browser_says(shown, event="alive", view="v1", seq=7)
    assert {"type": "ack", "seq": 7} in sent(comms, shown)


def test_actions_of_the_browser_are_done_and_answered(shown, comms, client, jobs):
    job_id = jobs.failed()
    browser_says(shown, event="retry", view="v1", seq=8, ids=[job_id])
    wait_until(lambda: {"type": "ack", "seq": 8} in sent(comms, shown))
    wait_until(lambda: state_of(comms, shown)["counts"]["waiting"] == 1)
    assert state_of(comms, shown)["notice"]["kind"] == "done"


@pytest.mark.parametrize(
    "message",
    [
        {"event": "nonsense"},
        {"event": "page", "page": "x"},
        {"event": ["a"]},
        {"view": {"a": 1}, "event": "retry", "ids": [None]},
        {},
    ],
    ids=str,
)
def test_nonsense_of_the_browser_becomes_a_notice(shown, comms, message):
    browser_says(shown, **{"view": "v1", "seq": 9, **message})
    wait_until(lambda: state_of(comms, shown)["notice"])
    assert state_of(comms, shown)["notice"]["kind"] == "error"


def test_export_is_sent_as_a_download_to_the_view_that_asked(shown, comms, jobs):
    browser_says(shown, event="export", view="v1", seq=3, ids=[jobs.waiting()])

    def downloads():
        return [m for m in sent(comms, shown) if m["type"] == "download"]

    (download,) = wait_until(downloads)
    assert (download["view"], download["name"]) == ("v1", "jobs.csv")


def test_a_hundred_panels_leave_nothing_behind(client, comms, redis_client):
    import ipywidgets

    def connections() -> int:
        return len(redis_client.client_list())

    browser_threads = threading.active_count()
    before = len(ipywidgets.widgets.widget._instances)
    connected = connections()
    for index in range(100):
        panel = MonitorPanel(client.connection)
        browser_says(panel, event="hello", view=str(index), seq=1)
        CleanPanel(client.connection).close()
        panel.close()
    wait_until(lambda: threading.active_count() <= browser_threads)
    gc.collect()
    assert len(ipywidgets.widgets.widget._instances) == before
    assert LiveFeed.open_feeds() == 0
    assert connections() <= connected + 4
    opened = sum(kind == "comm_open" for kind, *_ in comms)
    closed = sum(kind == "comm_close" for kind, *_ in comms)
    assert opened == closed


def test_the_server_away_shows_a_banner_and_back_again_the_jobs(
    own_redis_server, queue_name, tmp_path, comms
):
    server = own_redis_server
    settings = settings_for(server.port, server.password, queue_name, tmp_path)
    with Client(settings) as client:
        panel = MonitorPanel(client.connection, silence=LASTING)
        browser_says(panel, event="hello", view="v1", seq=1)
        wait_until(lambda: state_of(comms, panel))
        wait_until(lambda: len(feed_threads()) == 2)
        server.kill()
        wait_until(lambda: not state_of(comms, panel)["connection"]["is_up"])
        is_refreshed = threading.Event()
        panel._feed.submit(lambda: panel.view.refresh(Changes(is_reset=True)))
        panel._feed.submit(is_refreshed.set)
        assert happens(is_refreshed)
        assert state_of(comms, panel)["notice"] is None
        browser_says(panel, event="pause", view="v1", seq=2)
        wait_until(lambda: state_of(comms, panel)["notice"])
        server.start()
        wait_until(lambda: state_of(comms, panel)["connection"]["is_up"])
        job_id = Jobs(client).waiting()
        wait_until(lambda: job_id in state_of(comms, panel)["rows"])
        text = str(comms)
        assert server.password not in text
        panel.close()


def test_changes_merge_progress_and_moves():
    from myia_sdk.queue.store import Event

    changes = Changes()
    assert not changes
    for name, job_id in [("progress", "1"), ("progress", "1"), ("completed", "2")]:
        changes.add(Event(id="1-0", name=name, job_id=job_id, fields={"data": "5"}))
    assert (changes.progress, changes.moved) == ({"1": ["5", "5"]}, {"2"})
    assert not changes.is_reset
    changes.add(Event(id="1-0", name="paused", job_id=None, fields={}))
    assert changes.is_reset
    later = Changes(moved={"3"}, progress={"1": ["6"], "4": ["7"]})
    later.merge(changes)
    assert later.progress == {"1": ["6", "5", "5"], "4": ["7"]}
    assert (later.moved, later.is_reset) == ({"2", "3"}, True)
