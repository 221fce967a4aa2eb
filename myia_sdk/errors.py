"""The error tree of the SDK.

::

    MyiaError
    ├ ConfigurationError (ValueError)
    ├ MissingExtraError (ImportError)
    ├ LocalServerError (RuntimeError)
    ├ QueueError
    │ ├ QueueConnectionError (ConnectionError)
    │ ├ JobNotFoundError (LookupError)
    │ │ └ BatchNotFoundError
    │ ├ InvalidJobError (ValueError)
    │ │ └ PayloadTooLargeError
    │ ├ DuplicateJobError
    │ ├ InvalidTransitionError
    │ ├ LeaseLostError
    │ └ WaitTimeoutError (TimeoutError)
    ├ JobFailedError
    └ CertificationError
      ├ InvalidRequestError (ValueError)
      ├ ModelRejectedError (ValueError)
      ├ ModelNotSeenError
      ├ DatasetError (ValueError)
      ├ SuiteError (ValueError)
      ├ UnknownModelError (LookupError)
      ├ UnknownSuiteError (LookupError)
      ├ ArtifactNotFoundError (LookupError)
      ├ ArtifactCorruptedError
      ├ ComparisonError (ValueError)
      ├ MalformedAnswerError (ValueError)
      ├ EndpointError
      ├ TransientCertificationError
      ├ PermanentCertificationError
      └ CertificateError
        ├ SignatureError
        ├ WrongPredicateError
        ├ WrongSubjectError
        ├ CertificateExpiredError
        ├ CertificateRevokedError
        └ NotCertifiedError
"""

from __future__ import annotations


class MyiaError(Exception):
    """Base of every error raised by the SDK."""


class ConfigurationError(MyiaError, ValueError):
    """A setting is missing, malformed or out of range."""


class MissingExtraError(MyiaError, ImportError):
    """A library that belongs to an optional extra is not installed.

    Parameters
    ----------
    extra : str
        Name of the extra of ``myia-sdk`` that brings the library.
    needed_for : str
        What asked for it, to complete "... is needed for <needed_for>".
    """

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra = extra
        self.needed_for = needed_for
        super().__init__(
            f"The extra [{extra}] is needed for {needed_for}; "
            f'install it with: pip install "myia-sdk[{extra}]"'
        )


class LocalServerError(MyiaError, RuntimeError):
    """The embedded server or its worker could not be started or stopped."""


class QueueError(MyiaError):
    """Base of the errors about the queue and its jobs."""


class QueueConnectionError(QueueError, ConnectionError):
    """No Redis server answered, or it refused the credentials."""


class JobNotFoundError(QueueError, LookupError):
    """No job with this id exists in the queue.

    Parameters
    ----------
    job_id : str
        The id that was asked for.
    queue : str
        Name of the queue that was searched.
    """

    def __init__(self, job_id: str, queue: str) -> None:
        self.job_id = job_id
        self.queue = queue
        super().__init__(
            f"Job {job_id!r} does not exist in queue {queue!r}: it was never "
            "submitted, or it was removed by clean, retention or by hand."
        )


class BatchNotFoundError(JobNotFoundError):
    """No batch has this id, or it was submitted more than 90 days ago."""

    def __init__(self, job_id: str, queue: str) -> None:
        super().__init__(job_id, queue)
        text = (
            f"Batch {job_id!r} does not exist in queue {queue!r}: it was never "
            "submitted, or more than 90 days ago. client.jobs() shows the batches."
        )
        self.args = (text,)


class InvalidJobError(QueueError, ValueError):
    """What is asked of a job cannot be: its id, an option or the data is not valid."""


class PayloadTooLargeError(InvalidJobError):
    """The data of a job exceed the limit.

    Parameters
    ----------
    size : int
        Size of the data, bytes of UTF-8 JSON.
    limit : int
        Greatest accepted size, bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            f"The job data take {size:,} bytes, more than the limit of {limit:,}; "
            "put large content into the artifact store and send its reference."
        )


class DuplicateJobError(QueueError):
    """A job with this id exists already and the caller asked for a new one."""


class InvalidTransitionError(QueueError):
    """The job is not in a state that allows the operation.

    Parameters
    ----------
    job_id : str
        The job.
    operation : str
        What was asked, as a verb: ``"retry"``, ``"promote"``.
    state : str
        The state the job is in.
    hint : str, optional
        What to do instead.
    """

    def __init__(self, job_id: str, operation: str, state: str, hint: str = "") -> None:
        self.job_id = job_id
        self.operation = operation
        self.state = state
        text = f"Cannot {operation} job {job_id!r}: it is {state}."
        super().__init__(f"{text} {hint}".rstrip())


class LeaseLostError(QueueError):
    """The worker no longer holds the lease of the job; its result is dropped."""


class WaitTimeoutError(QueueError, TimeoutError):
    """The job did not end within the time given; the job itself goes on."""


class JobFailedError(MyiaError):
    """The job ended in state ``failed``.

    Parameters
    ----------
    job_id : str
        The job.
    reason : str
        ``failedReason`` of the job: type name and message of the error.
    attempts_made : int
        How many attempts were used.
    error_type : str, optional
        Name of the original exception type, when the reason names one.
    traceback_text : str, optional
        Text of the last stack trace.
    """

    def __init__(
        self,
        job_id: str,
        reason: str,
        *,
        attempts_made: int,
        error_type: str | None = None,
        traceback_text: str | None = None,
    ) -> None:
        self.job_id = job_id
        self.reason = reason
        self.attempts_made = attempts_made
        self.error_type = error_type
        self.traceback_text = traceback_text
        plural = "attempt" if attempts_made == 1 else "attempts"
        super().__init__(
            f"Job {job_id!r} failed after {attempts_made} {plural}: {reason}"
        )


class CertificationError(MyiaError):
    """Base of the errors of the certification engine."""


class InvalidRequestError(CertificationError, ValueError):
    """A certification request is incomplete or contradicts itself."""

    unrecoverable = True


class ModelRejectedError(CertificationError, ValueError):
    """The model is of a kind, format or condition that is not accepted."""

    unrecoverable = True


class ModelNotSeenError(CertificationError):
    """A check asks the model something, but only its predictions are known."""

    unrecoverable = True

    def __init__(self) -> None:
        super().__init__("No model was seen, only its predictions.")


class SubmissionWarning(UserWarning):
    """Something of a submission was chosen or changed for the submitter."""


class DatasetError(CertificationError, ValueError):
    """The dataset is malformed or does not fit the model."""

    unrecoverable = True


class SuiteError(CertificationError, ValueError):
    """A suite definition is not valid; the message names file and key."""

    unrecoverable = True


class UnknownModelError(CertificationError, LookupError):
    """No registered model has this name."""


class UnknownSuiteError(CertificationError, LookupError):
    """No suite has this name."""

    unrecoverable = True


class ArtifactNotFoundError(CertificationError, LookupError):
    """The artifact store holds nothing under this digest."""


class ArtifactCorruptedError(CertificationError):
    """The bytes stored under a digest do not have this digest."""


class ComparisonError(CertificationError, ValueError):
    """Two reports cannot be compared, for example because suites differ."""


class MalformedAnswerError(CertificationError, ValueError):
    """A model's endpoint answered something that its protocol does not allow."""


class EndpointError(CertificationError):
    """An endpoint answered that something went wrong, under the status of success.

    Parameters
    ----------
    message : str
        What it said.
    code : str, optional
        Its code, often an HTTP status.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class TransientCertificationError(CertificationError):
    """The model could not be measured now; another attempt may succeed.

    Parameters
    ----------
    message : str
        What could not be measured, and why.
    category : str, optional
        Error category, for example ``"RATE_LIMIT"``.
    """

    def __init__(self, message: str, *, category: str | None = None) -> None:
        self.category = category
        super().__init__(message)


class PermanentCertificationError(CertificationError):
    """The model could not be measured and another attempt would not help.

    Parameters
    ----------
    message : str
        What could not be measured, and why.
    category : str, optional
        Error category, for example ``"PERMISSION_ERROR"``.
    """

    unrecoverable = True

    def __init__(self, message: str, *, category: str | None = None) -> None:
        self.category = category
        super().__init__(message)


class EndpointAwayError(CertificationError):
    """The model's endpoint was found to be away, so the run was ended.

    The message names category, address and what to do.
    """


class EndpointOutageError(EndpointAwayError, TransientCertificationError):
    """It does not answer now; another attempt may succeed."""


class EndpointRefusedError(EndpointAwayError, PermanentCertificationError):
    """It refuses whatever it is asked, and will do so again."""


class CertificateError(CertificationError):
    """Base of the reasons for which a certificate is not accepted."""


class SignatureError(CertificateError):
    """The signature is missing, malformed, or not by a trusted key."""


class WrongPredicateError(CertificateError):
    """What was signed is not a test result of this SDK, or contradicts itself."""


class WrongSubjectError(CertificateError):
    """The certificate is about another model than the one presented."""


class WrongSuiteError(CertificateError):
    """The certificate is by other rules than the suite that is demanded."""


class LowAssuranceError(CertificateError):
    """Less was measured for the certificate than is demanded."""


class CertificateExpiredError(CertificateError):
    """The certificate is not valid at this time, or carries no validity."""


class CertificateRevokedError(CertificateError):
    """The certificate is on the revocation list."""


class NotCertifiedError(CertificateError):
    """The certificate is genuine and valid, but its verdict is not the one asked for.

    Parameters
    ----------
    verdict : str
        What the certificate says.
    accepted : tuple of str
        What the caller would have accepted.
    """

    def __init__(self, verdict: str, accepted: tuple[str, ...]) -> None:
        self.verdict = verdict
        self.accepted = accepted
        super().__init__(
            f"The certificate is genuine, but its verdict is {verdict!r}; "
            f"accepted here: {', '.join(accepted)}."
        )
