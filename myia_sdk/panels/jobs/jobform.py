"""The form for one job by hand: add it, duplicate one with edits, change its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from myia_sdk.errors import (
    DuplicateJobError,
    InvalidRequestError,
    MyiaError,
    QueueConnectionError,
)
from myia_sdk.panels.jobs.joboptions import (
    ReadOptions,
    read_json,
    read_options,
    shown_options,
)
from myia_sdk.panels.live.controller import ids_of, text_of
from myia_sdk.panels.permissions import JOB_ACTIONS, Action, ActionRefusedError
from myia_sdk.panels.permissions.redaction import ShownJson
from myia_sdk.queue.jobs import NewJob
from myia_sdk.queue.jobs.job import check_labels
from myia_sdk.queue.jobs.payload import check_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from myia_sdk.panels.live import Controller, Event, Handler
    from myia_sdk.queue.jobs import Job

#: Longest text of data or options taken from a form, characters.
EDIT_LIMIT = 200_000
NAME_LIMIT = 200
#: The task that certifies: its data are checked before they are sent.
CERTIFY = "certify"
#: Labels that say what came out of a job: a copy starts without them.
OUTCOME_LABELS = frozenset({"verdict", "score", "rating", "category"})
_MODES = (Action.ADD, Action.DUPLICATE, Action.UPDATE)


class Draft(NamedTuple):
    """What stands in the form, as typed."""

    name: str
    data: str
    options: str

    @classmethod
    def of(cls, event: Event) -> Draft:
        """Read the texts of an event."""
        return cls(
            name=text_of(event, "name", limit=NAME_LIMIT),
            data=text_of(event, "data", limit=EDIT_LIMIT),
            options=text_of(event, "options", limit=EDIT_LIMIT),
        )


class JobForm:
    """What the form shows, and the job it makes.

    Parameters
    ----------
    controller : Controller
        Tells, and holds the permissions.
    after : callable
        Loads what the panel shows once something was done.
    """

    def __init__(self, controller: Controller, after: Callable[[], None]) -> None:
        self._controller = controller
        self._connection = controller.connection
        self._after = after
        self._opened = 0
        self._form: dict[str, Any] | None = None
        self._source: Job | None = None

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return {
            "compose": self._on_compose,
            "check_job": self._on_check,
            "close_form": lambda _: self._close(),
            Action.ADD: self._on_add,
            Action.DUPLICATE: self._on_add,
            Action.UPDATE: self._on_update,
        }

    def to_record(self) -> dict[str, Any] | None:
        """Return the JSON that panel.js shows, None when no form is open; no I/O."""
        return self._form

    # Opening and closing.

    def _on_compose(self, event: Event) -> None:
        mode = event.get("mode")
        if mode not in _MODES:
            raise ActionRefusedError(f"There is no form to {mode!r} a job.")
        action = Action(mode)
        self._controller.permissions.check(action)
        source = None if action is Action.ADD else self._chosen(action, event)
        shown, options = ShownJson("{}", is_whole=True), "{}"
        if source is not None:
            shown, options = self._shown_data(source), shown_options(source)
        self._opened += 1
        self._source = source
        self._form = {
            "id": self._opened,
            "mode": action.value,
            "source": "" if source is None else source.id,
            "name": CERTIFY if source is None else source.name,
            "data": shown.text,
            "is_data_whole": shown.is_whole,
            "options": options,
            "errors": {},
        }

    def _close(self) -> None:
        self._form = self._source = None

    def _chosen(self, action: Action, event: Event) -> Job:
        (job_id, *_) = ids_of(event)
        held = self._source
        # A job that was removed meanwhile can still be duplicated: it was read before.
        if action is Action.DUPLICATE and held is not None and held.id == job_id:
            return held
        job = self._connection.queue.job(job_id)
        if job is None:
            raise ActionRefusedError(f"Job {job_id!r} is gone.")
        if job.state not in JOB_ACTIONS[action]:
            raise ActionRefusedError(
                f"Cannot {action.value} {job_id}: the state is {job.state}."
            )
        return job

    def _shown_data(self, job: Job) -> ShownJson:
        return self._controller.redaction.json("data", job.data)

    # Checking.

    def _on_check(self, event: Event) -> None:
        if self._form is not None:
            draft, source = Draft.of(event), self._source
            self._show(self._problems(draft, source))

    def _show(self, errors: Mapping[str, str]) -> None:
        if self._form is not None:
            self._form = {**self._form, "errors": dict(errors)}

    def _problems(self, draft: Draft, source: Job | None) -> dict[str, str]:
        """Return what is wrong, by field."""
        checks: dict[str, Callable[[], object]] = {
            "name": lambda: self._name(draft),
            "data": lambda: self._data(draft, source),
            "options": lambda: self._options(draft),
        }
        found = {}
        for field, check in checks.items():
            try:
                check()
            except MyiaError as error:
                # It may quote what the form does not show.
                found[field] = self._controller.redaction.text("error", str(error))
        return found

    def _name(self, draft: Draft) -> str:
        if not draft.name:
            raise ActionRefusedError(self._controller.say("error.job_name"))
        return check_text(draft.name, "The job name")

    def _options(self, draft: Draft) -> ReadOptions:
        return read_options(draft.options, self._controller.say)

    def _data(self, draft: Draft, source: Job | None) -> object:
        data = self._edited(draft, source)
        if draft.name == CERTIFY:
            _request_labels(data)
        return data

    def _edited(self, draft: Draft, source: Job | None) -> object:
        if source is not None:
            shown = self._shown_data(source)
            if draft.data == shown.text.strip():
                return source.data
            if not shown.is_whole:
                # Else a mask would replace the value that it hides.
                raise ActionRefusedError(self._controller.say("error.hidden"))
        return read_json(draft.data, self._controller.say)

    # Sending.

    def _on_add(self, event: Event) -> None:
        action = Action(str(event.get("event")))
        self._controller.permissions.check(action)
        draft = Draft.of(event)
        source = self._chosen(action, event) if action is Action.DUPLICATE else None
        if not self._is_right(draft, source):
            return
        read = self._options(draft)
        job = NewJob(
            name=self._name(draft),
            data=self._data(draft, source),
            options=read.options,
            labels=self._labels(draft, source),
            fields={} if read.timeout is None else {"timeout": str(read.timeout)},
        )
        try:
            job_id = self._connection.queue.add(job, must_be_new=True)
        except QueueConnectionError:
            raise
        except MyiaError as error:
            field = "options" if isinstance(error, DuplicateJobError) else "data"
            self._refuse({field: str(error)})
            return
        self._done(action, id=job_id)

    def _labels(self, draft: Draft, source: Job | None) -> dict[str, str]:
        labels = {} if source is None else copied_labels(source)
        if draft.name == CERTIFY:
            said = _request_labels(self._data(draft, source))
            labels = {k: v for k, v in labels.items() if k not in said} | said
        return {name: text for name, text in labels.items() if text}

    def _on_update(self, event: Event) -> None:
        self._controller.permissions.check(Action.UPDATE)
        source = self._chosen(Action.UPDATE, event)
        text = text_of(event, "data", limit=EDIT_LIMIT)
        draft = Draft(source.name, text, "{}")
        if not self._is_right(draft, source):
            return
        data = self._data(draft, source)
        self._connection.administration.update_data(source.id, data)
        if draft.name == CERTIFY:
            self._connection.queue.set_labels(source.id, _request_labels(data))
        self._done(Action.UPDATE)

    def _is_right(self, draft: Draft, source: Job | None) -> bool:
        errors = self._problems(draft, source)
        if errors:
            self._refuse(errors)
        return not errors

    def _refuse(self, errors: Mapping[str, str]) -> None:
        """Show errors beside the fields, or, when no form is open, as a notice."""
        if self._form is None:
            raise ActionRefusedError(" ".join(errors.values()))
        self._show(errors)

    def _done(self, action: Action, **values: object) -> None:
        self._close()
        say = self._controller.say
        self._controller.notify("done", say(f"done.{action.value}", **values))
        self._after()


def _request_labels(data: object) -> dict[str, str]:
    """Return the labels of a certification; raises what is wrong with its data."""
    from myia_sdk.certification.request import CertificationRequest

    request = CertificationRequest.from_record(data)
    labels = {
        "model": request.model.name,
        "suite": request.suite_name,
        "region": request.region or "",
    }
    try:
        check_labels(labels)
    except MyiaError as error:
        raise InvalidRequestError(str(error)) from error
    return labels


def copied_labels(job: Job) -> dict[str, str]:
    """Return the labels that a copy of a job keeps."""
    return {k: v for k, v in job.labels.items() if k not in OUTCOME_LABELS}
