"""The monitor: a page of jobs, the queue's facts, the chosen job, and all actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from myia_sdk.panels.controllers.actions import JobActions
from myia_sdk.panels.controllers.clean import QueueCleaning
from myia_sdk.panels.controllers.queue import SLOW_SECONDS, QueueFacts
from myia_sdk.panels.controllers.search import search
from myia_sdk.panels.jobs.detail import JobDetail
from myia_sdk.panels.jobs.jobform import JobForm
from myia_sdk.panels.jobs.rows import COLORS, job_row
from myia_sdk.panels.live import Controller, ControllerOptions, Event, Handler
from myia_sdk.panels.live.controller import number_of, text_of
from myia_sdk.panels.permissions import ActionRefusedError
from myia_sdk.queue.jobs import Job, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from myia_sdk.client import Connection
    from myia_sdk.panels.live import Changes

#: Jobs on one page.
PAGE_SIZE = 25
#: The tab that mixes the newest jobs of all states.
LATEST = "latest"
#: How often the log of a running job that is looked at is read, seconds.
LOG_SECONDS = 1.0


class MonitorController(Controller):
    """State and behaviour of the monitor.

    Parameters
    ----------
    connection : Connection
        Where the jobs are.
    page_size : int, optional
        Jobs on a page.
    options : ControllerOptions, optional
        Permissions, language, clock.
    """

    kind: ClassVar[str] = "monitor"

    def __init__(
        self,
        connection: Connection,
        options: ControllerOptions | None = None,
        *,
        page_size: int = PAGE_SIZE,
    ) -> None:
        super().__init__(connection, options)
        self._page_size = page_size
        self._tab = LATEST
        self._page = 0
        self._query = ""
        self._is_newest_first = True
        self._total = 0
        self._is_truncated = False
        self._jobs: list[Job] = []
        self._cancelling: set[str] = set()
        self._detail: JobDetail | None = None
        self._shows_flow = False
        self._facts = QueueFacts(self)
        self._actions = JobActions(self, self.load)
        self._cleaning = QueueCleaning(self, self.load)
        self._form = JobForm(self, self.load)

    # Loading.

    def load(self) -> None:
        """Load counts, the page, the queue's facts and the chosen job."""
        self._facts.load()
        self._facts.load_slow()
        self._load_page()
        if self._detail is not None:
            self._detail.load()

    def apply(self, changes: Changes) -> None:
        """Load what the changes touch: rows for progress, the page for more."""
        if changes.is_reset or changes.moved:
            self._facts.load()
            self._load_page()
        else:
            self._load_rows(changes.progress)
        if self._detail is not None:
            self._detail.apply(changes)

    def tick_interval(self) -> float:
        """Return one second while the log of a running job is shown."""
        return LOG_SECONDS if self._follows_log() else SLOW_SECONDS

    def tick(self) -> None:
        """Read new lines of the log, and the facts that have no events."""
        if self._follows_log() and self._detail is not None:
            self._detail.load_log()
        self._facts.load_slow()

    def _follows_log(self) -> bool:
        return self._detail is not None and self._detail.job.state is JobState.ACTIVE

    def _load_page(self) -> None:
        if self._query:
            found = search(
                self.connection.queue,
                self._query,
                None if self._tab == LATEST else JobState(self._tab),
                self._page * self._page_size,
                self._page_size,
            )
            self._jobs, self._total = found.jobs, found.total
            self._is_truncated = found.is_truncated
        elif self._tab == LATEST:
            self._jobs = self._latest()
            self._total = len(self._jobs)
        else:
            self._jobs = self._of_state(JobState(self._tab))
        self._load_cancelling()

    def _latest(self) -> list[Job]:
        jobs = [
            job
            for state in JobState
            if self._facts.counts[state]
            for job in self.connection.queue.page(state, 0, self._page_size - 1)
        ]
        jobs.sort(key=_latest_moment, reverse=True)
        return jobs[: self._page_size]

    def _of_state(self, state: JobState) -> list[Job]:
        self._total = self._facts.counts[state]
        self._page = min(self._page, max(0, self._pages() - 1))
        start = self._page * self._page_size
        return self.connection.queue.page(
            state,
            start,
            start + self._page_size - 1,
            newest_first=self._is_newest_first,
        )

    def _load_rows(self, ids: Iterable[str]) -> None:
        shown = {job.id: index for index, job in enumerate(self._jobs)}
        wanted = [job_id for job_id in ids if job_id in shown]
        for job in self.connection.queue.jobs(wanted) if wanted else ():
            if job is not None:
                self._jobs[shown[job.id]] = job

    def _load_cancelling(self) -> None:
        active = [job.id for job in self._jobs if job.state is JobState.ACTIVE]
        requested = self.connection.administration.cancel_requested
        self._cancelling = set(requested(active)) if active else set()

    # State.

    def _pages(self) -> int:
        return max(1, -(-self._total // self._page_size))

    def body(self) -> dict[str, Any]:
        """Return everything the monitor shows; no I/O."""
        return {
            **self._facts.to_record(),
            "colors": COLORS,
            "tab": self._tab,
            "page": self._page,
            "page_size": self._page_size,
            "pages": self._pages(),
            "total": self._total,
            "query": self._query,
            "is_truncated": self._is_truncated,
            "newest_first": self._is_newest_first,
            "order": [job.id for job in self._jobs],
            "rows": {
                job.id: job_row(
                    job, self.redaction, is_cancelling=job.id in self._cancelling
                )
                for job in self._jobs
            },
            "detail": None if self._detail is None else self._detail.to_record(),
            "form": self._form.to_record(),
        }

    @property
    def jobs(self) -> Sequence[Job]:
        """The jobs of the page."""
        return tuple(self._jobs)

    # Events.

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return {
            "tab": self._on_tab,
            "page": self._on_page,
            "order": self._on_order,
            "search": self._on_search,
            "open": self._on_open,
            "flow": self._on_flow,
            **self._facts.handlers(),
            **self._actions.handlers(),
            **self._cleaning.handlers(),
            **self._form.handlers(),
        }

    def _on_tab(self, event: Event) -> None:
        tab = text_of(event, "tab")
        if tab != LATEST and tab not in list(JobState):
            raise ActionRefusedError(f"There is no tab {tab!r}.")
        self._tab, self._page = tab, 0
        self._facts.load()
        self._load_page()

    def _on_page(self, event: Event) -> None:
        self._page = int(number_of(event, "page", 0, 10_000_000))
        self._load_page()

    def _on_order(self, event: Event) -> None:
        self._is_newest_first = event.get("newest_first") is not False
        self._page = 0
        self._load_page()

    def _on_search(self, event: Event) -> None:
        self._query, self._page = text_of(event, "query"), 0
        self._is_truncated = False
        self._facts.load()
        self._load_page()

    def _on_open(self, event: Event) -> None:
        self.open_job(text_of(event, "id"))

    def _on_flow(self, event: Event) -> None:
        self._shows_flow = event.get("is_open") is True
        if self._detail is not None:
            self._detail.shows_flow = self._shows_flow
            self._detail.load_flow()

    def open_job(self, job_id: str) -> None:
        """Show the details of a job; an empty id closes them.

        Parameters
        ----------
        job_id : str
            The job.
        """
        detail = JobDetail(self.connection, job_id, self.redaction) if job_id else None
        if detail is not None:
            detail.shows_flow = self._shows_flow
            detail.load()
        self._detail = detail

    def verified(self, job_id: str, *, is_valid: bool, text: str) -> None:
        """Show the result of verifying a certificate in the details."""
        if self._detail is not None and self._detail.job_id == job_id:
            self._detail.verified(is_valid=is_valid, text=text)
        else:
            super().verified(job_id, is_valid=is_valid, text=text)


def _latest_moment(job: Job) -> float:
    moments = (job.created_at, job.processed_at, job.finished_at)
    return max((m.timestamp() for m in moments if m is not None), default=0.0)
