"""The task that a worker runs for each certification job.

It runs in the sandbox child, which holds neither the credentials of the queue nor
the signing key, and only the one secret that the request refers to.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import CertificationRequest
from myia_sdk.certification.traffic.traffic import at_once
from myia_sdk.errors import PermanentCertificationError, QueueError
from myia_sdk.queue.sandbox.child import current_channel
from myia_sdk.queue.sandbox.current import CurrentJob, current_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECRET_SCHEME = "env:"  # noqa: S105 -- the scheme of a reference, not a secret
MASK = "***"
#: Shorter values are words that reports contain anyway.
SHORTEST_SECRET = 6


def certify(
    model: Mapping[str, Any],
    suite: str | Mapping[str, Any],
    dataset: Mapping[str, Any] | None = None,
    region: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a suite on a model and return the record of its report.

    The parameters are the record of a
    :class:`~myia_sdk.certification.request.request.CertificationRequest`.
    """
    job = current_job()
    request = CertificationRequest.from_record(
        {
            "model": model,
            "suite": suite,
            "dataset": dataset,
            "region": region,
            "parameters": parameters or {},
        }
    )
    secrets = _secrets(request)
    try:
        report = run_suite(
            request,
            artifacts=ArtifactStore(os.environ["MYIA_ARTIFACTS"]),
            secrets=secrets,
            progress=job.progress,
            log=lambda text: job.log(redact(text, secrets)),
            pace=_pace_of(job),
            plugins=_names("MYIA_PLUGINS"),
            packages=_names("MYIA_TRUSTED_PACKAGES"),
        )
    except Exception as error:
        text = str(error)
        if redact(text, secrets) == text:
            raise
        raise _redacted(error, secrets) from None
    record: dict[str, Any] = json.loads(redact(json.dumps(report.to_record()), secrets))
    return record


def secret_names(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the worker's variables that a model's record refers to."""
    secret = model.get("secret")
    if isinstance(secret, str) and secret.startswith(SECRET_SCHEME):
        return (secret.removeprefix(SECRET_SCHEME),)
    return ()


def redact(text: str, secrets: Mapping[str, str]) -> str:
    """Replace the values of secrets in a text."""
    for value in secrets.values():
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, MASK)
    return text


def _pace_of(job: CurrentJob) -> Callable[[], float]:
    """Return what asks the worker, which knows of the runs on other machines."""
    line = current_channel()
    if line is None:
        return at_once
    told: set[str] = set()

    def pace() -> float:
        try:
            return float(line.call("pace"))
        except QueueError as error:
            # An outage of the queue must not end the run, which keeps the rate alone.
            if str(error) not in told:
                told.add(str(error))
                job.log(f"Other jobs on the endpoint are not considered: {error}")
            return at_once()

    return pace


def _names(variable: str) -> tuple[str, ...]:
    names = os.environ.get(variable, "").split(",")
    return tuple(name.strip() for name in names if name.strip())


def _secrets(request: CertificationRequest) -> dict[str, str]:
    names = secret_names(request.model.to_record())
    return {
        f"{SECRET_SCHEME}{name}": os.environ[name]
        for name in names
        if name in os.environ
    }


def _redacted(error: Exception, secrets: Mapping[str, str]) -> Exception:
    text = redact(str(error), secrets)
    kind = type(error)
    try:
        twin = kind(text)
    except TypeError:
        twin = PermanentCertificationError(f"{kind.__name__}: {text}")
    twin.__dict__.update(
        {
            name: getattr(error, name)
            for name in ("category", "unrecoverable")
            if hasattr(error, name)
        }
    )
    return twin
