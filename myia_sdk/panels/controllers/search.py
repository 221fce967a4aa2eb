"""Search of jobs by id, by words, and by ``name:value`` pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from myia_sdk.queue.jobs import Job, JobState
from myia_sdk.queue.jobs.job import LABELS, MAX_LABEL_LENGTH

if TYPE_CHECKING:
    from myia_sdk.queue.store import JobStore

#: Jobs looked at, at most, when words have to be compared one by one.
SCAN_LIMIT = 2_000
_SCAN_PAGE = 250
#: Most jobs taken from the index of labels.
INDEX_LIMIT = 1_000
#: Most jobs taken from the index for words that no label was named for.
WORD_LIMIT = 250
#: Labels that such words may be the whole value of.
_WORD_LABELS = ("model", "suite", "region", "tags", "batch", "submitter")


class Found(NamedTuple):
    """A page of what a search found."""

    jobs: list[Job]
    total: int
    #: The search stopped at a limit; there may be more.
    is_truncated: bool


class Query(NamedTuple):
    """A query taken apart."""

    words: tuple[str, ...]
    labels: dict[str, str]


def parse_query(text: str) -> Query:
    """Split a query into words and label pairs; any text is a valid query."""
    words: list[str] = []
    labels: dict[str, str] = {}
    for part in text.split():
        name, colon, value = part.partition(":")
        if colon and value and name.lower() in LABELS:
            labels[name.lower()] = value
        else:
            words.append(part.lower())
    return Query(tuple(words), labels)


def matches(job: Job, query: Query) -> bool:
    """Return whether every word and label of the query is found in the job."""
    for name, value in query.labels.items():
        if value.lower() not in job.labels.get(name, "").lower():
            return False
    if not query.words:
        return True
    text = " ".join(
        [job.id, job.name, job.failed_reason or "", *job.labels.values()]
    ).lower()
    return all(word in text for word in query.words)


def search(
    store: JobStore, text: str, state: JobState | None, start: int, count: int
) -> Found:
    """Return one page of the jobs that match, newest first.

    Parameters
    ----------
    store : JobStore
        The queue.
    text : str
        An id, words, ``label:value`` pairs.
    state : JobState or None
        Only this state; None for all.
    start, count : int
        First job of the page, and how many.
    """
    exact = store.job(text.strip())
    if exact is not None and (state is None or exact.state is state):
        return Found([exact], 1, is_truncated=False)
    query = parse_query(text)
    states = list(JobState) if state is None else [state]
    found, is_truncated = _by_index(store, query, states)
    if not found:
        found, is_truncated = _by_looking(store, query, states)
    if query.words and not query.labels:
        more, is_cut = _by_word_indexes(store, text.strip(), query, states)
        found = list({job.id: job for job in [*found, *more]}.values())
        is_truncated = is_truncated or is_cut
    found.sort(key=_created, reverse=True)
    return Found(found[start : start + count], len(found), is_truncated)


def _created(job: Job) -> float:
    return job.created_at.timestamp() if job.created_at else 0.0


def _by_index(
    store: JobStore, query: Query, states: list[JobState]
) -> tuple[list[Job], bool]:
    """Return the jobs whose labels have exactly the values asked for."""
    if not query.labels:
        return [], False
    jobs = store.find(query.labels, states=states, limit=INDEX_LIMIT)
    words = Query(query.words, {})
    return [job for job in jobs if matches(job, words)], len(jobs) >= INDEX_LIMIT


def _by_looking(
    store: JobStore, query: Query, states: list[JobState]
) -> tuple[list[Job], bool]:
    """Return the newest jobs that contain what was asked for."""
    found: list[Job] = []
    looked = 0
    for state in states:
        position = 0
        while looked < SCAN_LIMIT:
            page = store.page(state, position, position + _SCAN_PAGE - 1)
            found += [job for job in page if matches(job, query)]
            looked += len(page)
            position += _SCAN_PAGE
            if len(page) < _SCAN_PAGE:
                break
    return found, looked >= SCAN_LIMIT


def _by_word_indexes(
    store: JobStore, text: str, query: Query, states: list[JobState]
) -> tuple[list[Job], bool]:
    """Return the jobs, however old, with a label of this value or a reason with it."""
    parts: list[list[Job]] = []
    if JobState.FAILED in states:
        words = " ".join(query.words)
        failed = [JobState.FAILED]
        parts.append(store.find(text=words, states=failed, limit=WORD_LIMIT))
    if len(text) <= MAX_LABEL_LENGTH and "," not in text:
        parts += [
            store.find({label: text}, states=states, limit=WORD_LIMIT)
            for label in store.labels_having(text, _WORD_LABELS)
        ]
    is_truncated = any(len(part) == WORD_LIMIT for part in parts)
    return [job for part in parts for job in part], is_truncated
