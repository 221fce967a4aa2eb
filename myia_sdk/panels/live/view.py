"""A controller joined to one browser connection: heartbeat, snapshot, patches."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import MyiaError, QueueConnectionError
from myia_sdk.panels.live.feed import REPAINT_INTERVAL, Changes
from myia_sdk.panels.page.texts import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.panels.live.controller import Controller
    from myia_sdk.panels.live.feed import LiveFeed, Reachability

logger = logging.getLogger(__name__)

#: A view that said nothing for this long, seconds, is closed or asleep: three missed
#: heartbeats of the browser's five seconds.
SILENCE = 15.0
#: Views of one panel at once; more are not counted.
VIEWS_LIMIT = 100


class LiveView:
    """Send a controller's state to the browser and its events back.

    Parameters
    ----------
    controller : Controller
        What is shown; it is only used on the feed's worker thread.
    feed : LiveFeed
        The feed of the queue.
    send : callable
        Takes one JSON-serialisable dict; must be safe to call from any thread.
    is_busy : callable, optional
        Returns whether the kernel runs a cell: a busy kernel cannot receive the
        heartbeat, so silence does not count meanwhile.
    silence : float, optional
        Seconds without heartbeat after which nothing is loaded or sent any more.
    """

    def __init__(
        self,
        controller: Controller,
        feed: LiveFeed,
        send: Callable[[dict[str, Any]], None],
        *,
        is_busy: Callable[[], bool] = lambda: False,
        silence: float = SILENCE,
    ) -> None:
        self.controller = controller
        self._feed = feed
        self._post = send
        self._is_busy = is_busy
        self._silence = silence
        self._lock = threading.Lock()
        #: Held while a message is sent: none goes out once the view is closed.
        self._sending = threading.RLock()
        self._views: dict[str, float] = {}
        #: Whether the browser has a state that differences can be applied to.
        self._has_snapshot = False
        self._is_closed = False
        self._next_tick = 0.0
        #: What happened since the last update, and when the next one is due.
        self._held = Changes()
        self._refresh_at = 0.0
        feed.attach(self)

    def receive(self, message: object) -> None:
        """Take one message of the browser; callable from any thread, never blocks.

        Parameters
        ----------
        message : dict
            ``{"event": name, "view": id, "seq": number, ...}``. Anything else is
            answered with an error notice.
        """
        if self._is_closed or not isinstance(message, dict):
            return
        name = str(message.get("event"))
        view = str(message.get("view", ""))[:64]
        if name in {"gone", "hidden"}:
            with self._lock:
                self._views.pop(view, None)
            self._feed.wake()
            return
        resumed = self._heard(view)
        if name == "hello" or resumed:
            self._has_snapshot = False
            self._feed.submit(self.send_snapshot)
        if name == "alive":
            self._acknowledge(message)
        elif name != "hello":
            self._feed.submit(lambda: self._handle(message))

    def perform(self, event: dict[str, Any]) -> None:
        """Act on an event that does not come from the browser.

        Parameters
        ----------
        event : dict
            ``{"event": name, ...}``.
        """
        self._feed.submit(lambda: self._handle(event))

    def _heard(self, view: str) -> bool:
        was_seen = self._is_seen()
        with self._lock:
            if len(self._views) < VIEWS_LIMIT or view in self._views:
                self._views[view] = self._feed.clock()
        if not was_seen:
            self._feed.wake()
        return not was_seen

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            if not self._is_closed:
                self._post(message)

    def _acknowledge(self, message: dict[str, Any]) -> None:
        if isinstance(message.get("seq"), int):
            self._send({"type": "ack", "seq": message["seq"]})

    def is_watched(self) -> bool:
        """Return whether a view was heard lately, and its updates are not off."""
        return self.controller.rate > 0 and self._is_seen()

    def _is_seen(self) -> bool:
        if self._is_closed:
            return False
        with self._lock:
            now = self._feed.clock()
            if self._is_busy():
                self._views = dict.fromkeys(self._views, now)
            oldest = now - self._silence
            self._views = {k: at for k, at in self._views.items() if at >= oldest}
            return bool(self._views)

    def send_snapshot(self) -> None:
        """Load everything anew and send the whole state."""
        self._held = Changes()
        self.load()
        if self._is_closed:
            return
        self._has_snapshot = True
        texts = catalogue(self.controller.language)
        state = self.controller.snapshot()
        self.controller.diff()
        self._send(
            {
                "type": "snapshot",
                "state": state,
                "texts": texts,
                "language": self.controller.language,
                "now": self.controller.now_ms(),
            }
        )

    def load(self) -> None:
        """Load everything; runs on the feed's worker thread. Nothing once closed."""
        if self._is_closed:
            return
        self.controller.set_reachability(self._feed.reachability)
        self._guard(self.controller.reload)

    def publish(self) -> None:
        """Send what changed since the last message; nothing when nothing did."""
        if not self._has_snapshot or self._is_closed:
            return
        operations = self.controller.diff()
        if operations:
            now = self.controller.now_ms()
            self._send({"type": "patch", "operations": operations, "now": now})

    def refresh(self, changes: Changes) -> None:
        """Load what `changes` touch and send the difference, at the panel's rate."""
        if not self._has_snapshot:
            return
        self._held.merge(changes)
        # The feed itself is not faster than the default rate.
        is_fast = self.controller.rate <= REPAINT_INTERVAL
        if is_fast or self._feed.clock() >= self._refresh_at:
            self._update()

    def _update(self) -> None:
        changes, self._held = self._held, Changes()
        self._refresh_at = self._feed.clock() + self.controller.rate
        self._guard(lambda: self.controller.apply(changes))
        self.publish()

    def reachability_changed(self, reachability: Reachability) -> None:
        """Show or hide the banner about the server."""
        self.controller.set_reachability(reachability)
        self.publish()

    def due_at(self) -> float | None:
        """Return when the view wants its next look at the clock."""
        due = [self._refresh_at] if self._held else []
        if self.controller.tick_interval() is not None:
            due.append(self._next_tick)
        return min(due, default=None)

    def tick(self) -> None:
        """Send what was held back; let the controller load what has no events."""
        now = self._feed.clock()
        if self._held and now >= self._refresh_at:
            self._update()
        interval = self.controller.tick_interval()
        if interval is not None and now >= self._next_tick:
            self._guard(self.controller.tick)
            self._next_tick = self._feed.clock() + max(interval, self.controller.rate)
            self.publish()

    def _handle(self, message: dict[str, Any]) -> None:
        self._guard(
            lambda: self.controller.handle(message, self.publish), is_asked=True
        )
        self.publish()
        # The event may have switched the updates on or off.
        self._feed.wake()
        self._acknowledge(message)
        for content in self.controller.take_downloads():
            view = message.get("view")
            self._send({"type": "download", "view": view, **content})

    def _guard(self, call: Callable[[], None], *, is_asked: bool = False) -> None:
        try:
            call()
        except MyiaError as error:
            is_outage = isinstance(error, QueueConnectionError)
            if is_asked or not (is_outage and self.is_watched()):
                self.controller.notify("error", str(error))
                return
            # The feed tells of an outage, and loads all anew after it; a notice would
            # outlive it. One that the feed has not seen may be over at the next try.
            self._held.is_reset |= self._feed.reachability.is_up
        except Exception as error:  # a thread has no caller to raise to
            if self._is_closed:
                # Its client may have been closed with it, in the middle of a call.
                return
            logger.exception("A panel handler failed")
            self.controller.notify("error", f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Stop for good; further messages are ignored."""
        with self._sending:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._has_snapshot = False
            self._feed.detach(self)
            self.controller.forget_sent()
            self._feed.release()
