"""The common part of all controllers: state, differences, events, confirmation."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from myia_sdk.panels.live.patches import Operation, diff
from myia_sdk.panels.page import choose_language, translate
from myia_sdk.panels.permissions import (
    JOB_ACTIONS,
    Action,
    ActionRefusedError,
    Permissions,
    Redact,
    Redaction,
)

if TYPE_CHECKING:
    from myia_sdk.client import Connection
    from myia_sdk.panels.live.feed import Changes, Reachability

Event = Mapping[str, Any]
Handler = Callable[[Event], None]

#: Seconds between two updates that a panel can be set to, besides 0 for none; the
#: first is the default.
RATES = (0.5, 2.0, 5.0)
#: Most jobs one event may name.
IDS_LIMIT = 1_000


def system_now_ms() -> int:
    """Return the time now, epoch milliseconds."""
    return time.time_ns() // 1_000_000


def text_of(event: Event, key: str, *, limit: int = 500) -> str:
    """Return a text of an event, stripped.

    Raises
    ------
    ActionRefusedError
        It is no text or longer than `limit` characters.
    """
    value = event.get(key, "")
    if not isinstance(value, str) or len(value) > limit:
        raise ActionRefusedError(
            f"Event {event.get('event')!r} needs {key!r} as a text of at most "
            f"{limit} characters."
        )
    return value.strip()


def number_of(event: Event, key: str, low: float, high: float) -> float:
    """Return a number of an event that lies between `low` and `high`.

    Raises
    ------
    ActionRefusedError
        It is missing, no number, or out of range.
    """
    value = event.get(key)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise ActionRefusedError(
            f"{key} is {value!r}; it must be a number from {low:g} to {high:g}."
        )
    return value  # type: ignore[return-value]


def ids_of(event: Event) -> list[str]:
    """Return the job ids of an event, each once.

    Raises
    ------
    ActionRefusedError
        There are none, too many, or something that is no id.
    """
    ids = event.get("ids")
    if (
        not isinstance(ids, list)
        or not 0 < len(ids) <= IDS_LIMIT
        or not all(isinstance(job_id, str) and job_id for job_id in ids)
    ):
        raise ActionRefusedError(
            f"Event {event.get('event')!r} needs 'ids': 1 to {IDS_LIMIT} job ids."
        )
    return list(dict.fromkeys(ids))


@dataclass(frozen=True, slots=True)
class PendingAction:
    """A destructive action that was previewed and waits to be confirmed."""

    #: Random name that the confirming event must carry.
    token: str
    #: What to do.
    run: Callable[[], None]
    #: Text the user has to type first, None for none.
    typed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerOptions:
    """What all controllers take.

    Parameters
    ----------
    permissions : Permissions, optional
        What is allowed; everything by default.
    language : str, optional
        ``"en"`` or ``"pt-BR"``.
    now_ms : callable, optional
        Clock, epoch milliseconds.
    redaction : Redaction, optional
        What may be shown of the values of jobs; by default secrets are masked.
    """

    permissions: Permissions = field(default_factory=Permissions)
    language: str = "en"
    now_ms: Callable[[], int] = system_now_ms
    redaction: Redaction = field(default_factory=Redaction)

    @classmethod
    def of(
        cls, connection: Connection, *, is_read_only: bool, redact: Redact | None = None
    ) -> Self:
        """Return the options for a client's settings."""
        return cls(
            permissions=Permissions(is_read_only=is_read_only),
            language=choose_language(connection.settings.myia_lang),
            redaction=Redaction(redact),
        )


class Controller:
    """State and behaviour of one panel.

    Parameters
    ----------
    connection : Connection
        Where the jobs are.
    options : ControllerOptions, optional
        Permissions, language, clock.
    """

    #: Name by which panel.js chooses the view.
    kind: ClassVar[str] = ""

    def __init__(
        self, connection: Connection, options: ControllerOptions | None = None
    ) -> None:
        options = options or ControllerOptions()
        self.connection = connection
        self.permissions = options.permissions
        self.language = options.language
        self.now_ms = options.now_ms
        self.redaction = options.redaction
        self.pending: PendingAction | None = None
        self._dialog: dict[str, Any] | None = None
        self._notice: dict[str, Any] | None = None
        self._notices = 0
        self._connection: dict[str, Any] = {"is_up": True, "since": 0, "message": ""}
        self._downloads: list[dict[str, str]] = []
        self._sent: dict[str, Any] = {}
        #: Whether a load has succeeded.
        self.is_loaded = False
        #: Seconds between two updates that nobody asked for; 0 for none.
        self.rate = RATES[0]
        self._loaded_at = 0
        self._publish: Callable[[], None] = lambda: None

    # What subclasses say.

    def body(self) -> dict[str, Any]:
        """Return the panel's own part of the state; plain JSON, built anew."""
        return {}

    def handlers(self) -> dict[str, Handler]:
        """Return the events this panel takes, by name."""
        return {}

    def load(self) -> None:
        """Load everything shown from the server."""

    def apply(self, changes: Changes) -> None:
        """Load what the changes touch; everything, when nothing better is known."""
        if changes:
            self.load()

    def tick_interval(self) -> float | None:
        """Return the seconds between two ticks, None for none."""
        return None

    def tick(self) -> None:
        """Load what no event announces."""

    # What views use.

    def reload(self) -> None:
        """Load everything and remember when."""
        self.load()
        self.is_loaded = True
        self._loaded_at = self.now_ms()

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state; no I/O."""
        return {
            "kind": self.kind,
            "permissions": self.permissions.to_record(),
            "is_read_only": self.permissions.is_read_only,
            "job_actions": {
                action.value: sorted(state.value for state in states)
                for action, states in JOB_ACTIONS.items()
            },
            "connection": dict(self._connection),
            "scope": f"{self.kind}:{self.connection.queue.queue}",
            "rate": self.rate,
            "rates": [*RATES, 0],
            "as_of": None if self.rate else self._loaded_at,
            "notice": self._notice,
            "dialog": self._dialog,
            **self.body(),
        }

    def diff(self) -> list[Operation]:
        """Return what changed since the last call and remember the state."""
        state = self.snapshot()
        operations = diff(self._sent, state)
        self._sent = state
        return operations

    def forget_sent(self) -> None:
        """Let go of the state last sent: IPython's ``Out`` keeps closed panels."""
        self._sent = {}

    def handle(self, event: Event, publish: Callable[[], None] = lambda: None) -> None:
        """Act on one event of the browser.

        Parameters
        ----------
        event : mapping
            ``{"event": name, ...}``; nothing in it is trusted.
        publish : callable, optional
            Shows intermediate states of a long action.

        Raises
        ------
        ActionRefusedError
            The event is unknown, malformed, or not allowed.
        """
        name = event.get("event")
        common: dict[str, Handler] = {
            "confirm": self._on_confirm,
            "dismiss": self._on_dismiss,
            "clear_notice": self._on_clear_notice,
            "refresh": lambda _: self.reload(),
            "rate": self._on_rate,
        }
        handler = {**common, **self.handlers()}.get(str(name))
        if handler is None:
            raise ActionRefusedError(f"This panel knows no event {name!r}.")
        self._publish = publish
        handler(event)

    def set_reachability(self, reachability: Reachability) -> None:
        """Remember whether the server answers."""
        self._connection = {
            "is_up": reachability.is_up,
            "since": reachability.since_ms,
            "message": reachability.message,
        }

    def notify(self, kind: str, text: str) -> None:
        """Show a notice.

        Parameters
        ----------
        kind : str
            ``"done"``, ``"error"`` or ``"busy"``.
        text : str
            Plain text.
        """
        if kind == "error":
            text = self.redaction.text("error", text)
        self._notices += 1
        self._notice = {"kind": kind, "text": text[:2_000], "id": self._notices}

    @property
    def notice(self) -> dict[str, Any] | None:
        """The notice shown now."""
        return self._notice

    @property
    def dialog(self) -> dict[str, Any] | None:
        """The question asked now."""
        return self._dialog

    def say(self, key: str, **values: object) -> str:
        """Return a text of the catalogue in the panel's language."""
        return translate(self.language, key, **values)

    def take_downloads(self) -> list[dict[str, str]]:
        """Return the files made for the browser since the last call."""
        downloads, self._downloads = self._downloads, []
        return downloads

    def offer_download(self, name: str, mime: str, text: str) -> None:
        """Send a text file to the browser."""
        self._downloads.append({"name": name, "mime": mime, "text": text})

    def publish_now(self) -> None:
        """Show the state in the middle of a long action."""
        self._publish()

    def verified(self, job_id: str, *, is_valid: bool, text: str) -> None:
        """Show the result of verifying the certificate of a job."""
        self.notify("done" if is_valid else "error", f"{job_id}: {text}")

    # Confirmation.

    def ask(
        self,
        action: Action,
        facts: dict[str, Any],
        run: Callable[[], None],
        *,
        typed: str | None = None,
    ) -> None:
        """Show what `action` would do and keep it until it is confirmed.

        Parameters
        ----------
        action : Action
            What was asked for.
        facts : dict
            What the question shows: counts, ids, times.
        run : callable
            What to do once confirmed.
        typed : str, optional
            Text the user must type, for what cannot be undone at all.
        """
        self.permissions.check(action)
        token = secrets.token_urlsafe(12)
        self.pending = PendingAction(token, run, typed)
        self._dialog = {
            "action": action.value,
            "facts": facts,
            "token": token,
            "typed": typed,
        }

    def _on_confirm(self, event: Event) -> None:
        pending = self.pending
        token = text_of(event, "token")
        if pending is None or not secrets.compare_digest(
            pending.token.encode(), token.encode()
        ):
            raise ActionRefusedError(
                "There is nothing to confirm: ask for the preview again."
            )
        if pending.typed is not None and text_of(event, "typed") != pending.typed:
            raise ActionRefusedError(f"Type {pending.typed!r} to confirm.")
        self.pending = self._dialog = None
        pending.run()

    def _on_rate(self, event: Event) -> None:
        rate = number_of(event, "seconds", 0, max(RATES))
        if rate and rate not in RATES:
            raise ActionRefusedError(f"seconds is {rate}; choose from 0, {RATES}.")
        self.rate = float(rate)
        self.reload()

    def _on_dismiss(self, _: Event) -> None:
        self.pending = self._dialog = None

    def _on_clear_notice(self, _: Event) -> None:
        self._notice = None
