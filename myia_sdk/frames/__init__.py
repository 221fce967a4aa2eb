"""Records of the queue and its certifications as DataFrames.

Every frame comes from one tuple of `Column`, in this order, with exactly these dtypes,
also with zero rows (pandas 2 shows ``str`` as ``object``). The identity comes first;
times are aware UTC; a ``category`` has all its words in order, worst or earliest first.
What is marked * is opt-in: name it in ``columns=``. ``attrs["as_of"]`` says when the
records were read (ISO 8601), ``attrs["truncated"]`` whether there were more.
`describe_columns` makes this table.

::

    jobs_frame
    ----------
    id               str                  identity of the job in its queue
    state            category             where it is in the queue
    name             str                  name of the task that runs it
    model            str                  model to be certified
    suite            str                  suite of checks
    region           str                  region of the endpoint
    verdict          category             verdict of a finished certification
    score            Float64              score of the certification, 0 to 100
    rating           category             rating of the certification
    error_category   str                  why it failed or lost points
    progress         Float64              percent done
    created_at       datetime64[us, UTC]  when it was submitted
    processed_at     datetime64[us, UTC]  last start
    finished_at      datetime64[us, UTC]  end, of finished jobs
    waited           timedelta64[us]      creation to last start
    duration         timedelta64[us]      last start to end
    delay            timedelta64[us]      delay in force; zero once promoted
    priority         Int64                0 is first in line, then 1, 2, ...
    attempts_made    Int64                attempts that ended
    max_attempts     Int64                attempts allowed
    stalled_count    Int64                leases lost by its workers
    worker           str                  worker of the last start
    reason           str                  error of the last failure
    tags             str                  tags, separated by commas
    batch            str                  batch it belongs to
    submitter        str                  who submitted it
    malformed        boolean              a field is unreadable
    data*            str                  what the task is given, JSON
    result*          str                  what the task returned, JSON
    traceback*       str                  last stack trace
    parent*          str                  key of the job that waits
    scheduler*       str                  scheduler that made it
    deduplication*   str                  its unique id

    counts_frame
    ------------
    state            category             state of the jobs
    jobs             Int64                how many are in it

    logs_frame
    ----------
    job_id           str                  job that wrote it
    line             Int64                position in the log, from 0
    text             str                  the line

    events_frame
    ------------
    id               str                  position in the stream
    at               datetime64[us, UTC]  when it was written, by the server's clock
    event            str                  Bull's word for what happened
    job_id           str                  job it is about
    from_state       str                  state it left
    reason           str                  error
    detail           str                  what else it says, JSON; never a result
    result*          str                  what the task returned, JSON

    workers_frame
    -------------
    client_id        Int64                its connection
    name             str                  name it gave itself
    address          str                  address the server sees
    connected_at     datetime64[us, UTC]  since when it is connected
    idle             timedelta64[us]      since its last command
    library          str                  client library
    is_listed        boolean              Bull Board lists it too

    metrics_frame
    -------------
    period           datetime64[us, UTC]  start of the period
    completed        Int64                jobs that ended with a value
    failed           Int64                jobs that ended with a reason

    checks_frame
    ------------
    job_id           str                  job the report belongs to
    check            str                  id of the check in its suite
    outcome          category             what it found
    severity         category             its weight
    value            Float64              measured value, in `unit`
    unit             str                  empty for shares and scores
    comparator       str                  relation that is wanted
    passed_at        Float64              threshold of a pass
    warned_at        Float64              threshold of a warning
    ci_low           Float64              95 % interval, lower end
    ci_high          Float64              its upper end
    sample_size      Int64                observations
    needed           Int64                how many would do
    duration         timedelta64[us]      time the check took
    retries          Int64                requests sent again
    error_category   str                  why not measured
    message          str                  one sentence for people
    model            str                  name of the model
    suite            str                  id of the suite
    region           str                  region of the endpoint
    title*           str                  of the check
    version*         str                  of the check
    suggestions*     str                  what to do, one a line

    certificates_frame
    ------------------
    id               str                  identity of the certificate
    model            str                  model it is about
    region           str                  region of the endpoint
    suite            str                  suite of checks
    suite_version    str                  version of the suite
    verdict          category             what it states
    score            Float64              score, 0 to 100
    rating           category             rating
    coverage         Float64              share of the suite measured
    level            Int64                level of assurance, 1 to 3
    suite_origin     str                  official, changed or own
    error_category   str                  why not certified
    issued_at        datetime64[us, UTC]  when it was signed
    expires_at       datetime64[us, UTC]  when it stops to count
    is_valid         boolean              neither expired nor revoked at as_of
    is_development   boolean              by a development key
    key_id           str                  key that signed it
    subject          str                  digest of what was certified
    artifact         str                  digest of the certificate's file
    job_id           str                  job that earned it

    models_frame
    ------------
    name             str                  name it is registered under
    kind             str                  adapter that speaks to it
    suite            str                  suite it is certified with
    regions          str                  regions, separated by commas
    has_dataset      boolean              test data stored
    model            str                  model at the endpoint
    artifact         str                  digest of its file
    registered_at    datetime64[us, UTC]  last registration

    schedulers_frame
    ----------------
    id               str                  identity of the scheduler in its queue
    name             str                  task that its runs call
    every            timedelta64[us]      time between two runs
    pattern          str                  cron pattern
    tz               str                  time zone of the pattern
    next_run_at      datetime64[us, UTC]  next run; past if it ended
    runs             Int64                runs made, the pending one too
    limit            Int64                most runs
    start_at         datetime64[us, UTC]  no run before
    end_at           datetime64[us, UTC]  no run after
    model            str                  model its runs certify
    suite            str                  suite its runs use

    calibration_frame
    -----------------
    job_id           str                  job the report belongs to
    low              Float64              least confidence of the bin
    high             Float64              greatest confidence of the bin
    count            Int64                predictions in the bin
    confidence       Float64              their mean confidence
    accuracy         Float64              share of them that was right

    samples_frame
    -------------
    job_id           str                  job that made the request
    sample           Int64                place in the log, from 0
    check            str                  check it was made for
    outcome          str                  answered, passed, failed or error
    first_token      timedelta64[us]      time to the first text
    latency          timedelta64[us]      time to the end of the answer
    tokens           Int64                tokens of the answer
    finish_reason    str                  why the answer ended
    retries          Int64                requests sent again
    error            str                  why there is no answer
    messages*        str                  what was asked, JSON
    answer*          str                  what was answered
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from myia_sdk.frames.certificates import CERTIFICATE_COLUMNS, certificates_frame
from myia_sdk.frames.checks import (
    CALIBRATION_COLUMNS,
    CHECK_COLUMNS,
    calibration_frame,
    checks_frame,
)
from myia_sdk.frames.columns import Column
from myia_sdk.frames.events import EVENT_COLUMNS, LOG_COLUMNS, events_frame, logs_frame
from myia_sdk.frames.export import write_csv
from myia_sdk.frames.jobs import (
    BATCH_COLUMNS,
    JOB_COLUMNS,
    batch_frame,
    fields_of,
    jobs_frame,
)
from myia_sdk.frames.models import MODEL_COLUMNS, models_frame
from myia_sdk.frames.queue import (
    COUNT_COLUMNS,
    METRIC_COLUMNS,
    SCHEDULER_COLUMNS,
    WORKER_COLUMNS,
    counts_frame,
    metrics_frame,
    schedulers_frame,
    workers_frame,
)
from myia_sdk.frames.samples import SAMPLE_COLUMNS, samples_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BATCH_COLUMNS",
    "FRAMES",
    "Column",
    "batch_frame",
    "calibration_frame",
    "certificates_frame",
    "checks_frame",
    "counts_frame",
    "describe_columns",
    "events_frame",
    "fields_of",
    "jobs_frame",
    "logs_frame",
    "metrics_frame",
    "models_frame",
    "samples_frame",
    "schedulers_frame",
    "workers_frame",
    "write_csv",
]

#: Columns of each frame, by its function.
FRAMES: Mapping[str, Sequence[Column]] = MappingProxyType(
    {
        "jobs_frame": JOB_COLUMNS,
        "counts_frame": COUNT_COLUMNS,
        "logs_frame": LOG_COLUMNS,
        "events_frame": EVENT_COLUMNS,
        "workers_frame": WORKER_COLUMNS,
        "metrics_frame": METRIC_COLUMNS,
        "checks_frame": CHECK_COLUMNS,
        "certificates_frame": CERTIFICATE_COLUMNS,
        "models_frame": MODEL_COLUMNS,
        "schedulers_frame": SCHEDULER_COLUMNS,
        "calibration_frame": CALIBRATION_COLUMNS,
        "samples_frame": SAMPLE_COLUMNS,
    }
)


def describe_columns() -> str:
    """Return the table of all columns of all frames as text."""
    parts = []
    for frame, columns in FRAMES.items():
        rows = [
            f"{column.name + '*' * column.opt_in:<17}{column.dtype!s:<21}{column.doc}"
            for column in columns
        ]
        parts.append("\n".join([frame, "-" * len(frame), *rows]))
    return "\n\n".join(parts)
