"""The worker: ``huey_consumer myia_sdk.worker.huey -w 3``, or ``myia worker``.

Importing this module reads the settings and builds ``huey``; it needs no server.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import signal
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myia_sdk.client.submit import BACKOFF
from myia_sdk.errors import MyiaError, PermanentCertificationError
from myia_sdk.queue.bullhuey import BullHuey
from myia_sdk.queue.huey.tasks import Finished
from myia_sdk.queue.jobs import Retention
from myia_sdk.queue.sandbox.sandbox import Limits
from myia_sdk.settings import Settings
from myia_sdk.worker.certify import SECRET_SCHEME, certify, secret_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from myia_sdk.certification.request import CertificationRequest
    from myia_sdk.certification.suites.rules import Rules
    from myia_sdk.queue.consumer import BullConsumer
    from myia_sdk.queue.jobs import Job

logger = logging.getLogger(__name__)

#: Imported once by the fork server, so that each job starts in milliseconds.
#: Those of extras that are not installed are passed over.
PRELOAD = (
    *(
        "myia_sdk.worker.certify",
        "pandas",
        "pyarrow.dataset",
        "scipy.stats",
        "skops.io",
    ),
    *("sklearn.ensemble", "sklearn.linear_model", "sklearn.metrics", "sklearn.dummy"),
    *("sklearn.model_selection", "sklearn.pipeline", "sklearn.impute"),
    "fsspec.implementations.local",
    "myia_sdk.certification.models.files.sklearn",
    "myia_sdk.certification.checks.classifier",
)
#: Name of Huey's own command, which loads this module.
STOCK_COMMAND = "huey_consumer"
#: Never given to a job, whoever asks for it: a model's endpoint would learn it.
WITHHELD = ("REDIS_", "BULL_", "MYIA_", "AWS_")
#: What boto3 reads; only Bedrock models and artifact stores on S3 need it.
AWS_VARIABLES = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"),
    *("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
    *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
)


def create_huey(settings: Settings) -> BullHuey:
    """Build the queue's Huey with the task ``certify`` registered.

    Parameters
    ----------
    settings : Settings
        Server, queue, timeout, retries and the signing key.
    """
    instance = BullHuey(
        settings.certification_queue_name,
        prefix=settings.bull_queue_prefix,
        options=settings.connection_options(),
        preload=filter(_is_installed, PRELOAD),
        limits=Limits(memory_bytes=_bytes(settings.worker_memory_limit)),
        keep_completed=Retention(count=settings.certification_keep_completed),
        keep_failed=Retention(count=settings.certification_keep_failed),
        announce=lambda: {"accepts": _acceptance(settings)},
    )
    finisher = Finisher(instance, settings)
    instance.task(
        name="certify",
        retries=settings.certification_max_retries,
        timeout=settings.certification_timeout / 1000,
        backoff=BACKOFF,
        isolate=True,
        finalize=finisher.finish,
        child_env=finisher.child_environment,
        child_call=finisher.answer,
    )(certify)
    return instance


def _acceptance(settings: Settings) -> dict[str, Any]:
    from myia_sdk.certification.models.files.acceptance import Acceptance

    return Acceptance.here(settings.trusted_packages).to_record()


def _is_installed(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None


def _bytes(megabytes: int | None) -> int | None:
    return None if megabytes is None else megabytes * 1_000_000


class Finisher:
    """The part of a certification that the sandbox child must not do.

    Parameters
    ----------
    huey : BullHuey
        Gives the connection of the worker.
    settings : Settings
        Signing key, artifacts, validity.
    """

    def __init__(self, huey: BullHuey, settings: Settings) -> None:
        self._huey = huey
        self._settings = settings

    def child_environment(self, job: Job) -> dict[str, str]:
        """Return what the child of a job may know: paths, and its one secret.

        Raises
        ------
        PermanentCertificationError
            The worker lacks the variable that the request refers to.
        """
        settings = self._settings
        environment = {
            "MYIA_HOME": str(settings.myia_home),
            "MYIA_ARTIFACTS": settings.artifacts_url,
            "MYIA_PLUGINS": settings.myia_plugins or "",
            "MYIA_TRUSTED_PACKAGES": ",".join(settings.trusted_packages),
        }
        data = job.data if isinstance(job.data, dict) else {}
        if settings.myia_suites:
            from myia_sdk.certification.request import CertificationRequest

            self._rules(CertificationRequest.from_record(data))
        model = data.get("model")
        if not isinstance(model, dict):
            return environment
        for name in secret_names(model):
            environment[name] = _secret(name)
        if model.get("kind") == "bedrock" or settings.artifacts_url.startswith("s3"):
            environment.update(
                (name, os.environ[name]) for name in AWS_VARIABLES if name in os.environ
            )
        return environment

    def answer(self, job: Job, method: str, _: Mapping[str, Any]) -> float:
        """Tell the child of a job when its next request to the endpoint may start.

        That is all it may ask. Rate and endpoint are those of the job, whatever the
        child says, and the moment is reserved among all jobs of the queue.

        Returns
        -------
        float
            Seconds until then.
        """
        from myia_sdk.certification.request import CertificationRequest
        from myia_sdk.certification.traffic.traffic import interval_of

        if method != "pace":
            raise LookupError(f"{method} is not offered to a certification")
        request = CertificationRequest.from_record(job.data)
        interval = interval_of(request)
        if not interval:
            raise LookupError("the request has no requests_per_second")
        # An address may hold what is not for everybody who reads keys.
        name = hashlib.sha256(request.endpoint.encode()).hexdigest()[:16]
        return self._huey.storage.reserve_start(name, interval)

    def finish(self, job: Job, value: Any) -> Finished:
        """Sign the certificate of a report, keep it, and label the job."""
        from myia_sdk.certification.certificate import Certificate, Signer
        from myia_sdk.certification.data import ArtifactStore
        from myia_sdk.certification.report import Report, drift_notice
        from myia_sdk.certification.request import CertificationRequest
        from myia_sdk.client import CertificateStore

        settings = self._settings
        report = Report.from_record(value)
        request = CertificationRequest.from_record(job.data)
        report.require_answers(request, self._rules(request))
        store = CertificateStore(
            self._huey.store, ArtifactStore(settings.artifacts_url)
        )
        last = store.latest_of(report)
        notice = drift_notice(last["resolved"], report.resolved) if last else None
        if notice:
            report = replace(report, reasons=(*report.reasons, notice))
            self._huey.store.log(job.id, notice)
        certificate = Certificate.issue(
            report,
            job_id=job.id,
            submitter=job.labels.get("submitter"),
            signer=Signer.load(settings.myia_signing_key, settings.myia_home),
            valid_for=timedelta(days=settings.certification_validity_days),
        )
        store.add(certificate, report, job.id)
        labels = {
            "verdict": report.verdict.value,
            "score": f"{report.score:.1f}",
            "rating": report.rating,
        }
        if report.error_category:
            labels["category"] = report.error_category
        record = replace(report, certificate=certificate.to_record()).to_record()
        return Finished(record, labels)

    def _rules(self, request: CertificationRequest) -> Rules:
        """Return what a request is judged by; only what this worker may sign.

        Raises
        ------
        SuiteError
            ``MYIA_SUITES`` does not list the suite.
        """
        from myia_sdk.certification.suites.rules import Rules

        rules = Rules.of(request, self._settings.plugins)
        self._settings.suites.require(rules.suite)
        return rules


def _secret(name: str) -> str:
    reference = f"{SECRET_SCHEME}{name}"
    if name.startswith(WITHHELD):
        reason = f"The model refers to {reference}, a secret of the queue itself."
    elif not os.environ.get(name):
        reason = (
            f"The model refers to {reference}, which this worker does not have; "
            f"start it with {name} in its environment."
        )
    else:
        return os.environ[name]
    error = PermanentCertificationError(reason)
    error.category = "CONFIGURATION_ERROR"
    raise error


def resolve_settings() -> Settings:
    """Return settings that lead to a server, without needing one to answer."""
    settings = Settings()
    if settings.explicit_server:
        return settings
    from myia_sdk.server import LocalServer

    local = LocalServer.find(settings)
    if local is None:
        return settings
    _leases.append(local)
    return local.settings


#: Leases on an embedded server end with this process.
_leases: list[object] = []


def run(
    settings: Settings,
    *,
    instance: BullHuey | None = None,
    beside: Callable[[BullConsumer], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Run a worker until a signal stops it.

    Parameters
    ----------
    settings : Settings
        Slots, grace time, health endpoint.
    instance : BullHuey, optional
        The queue; built from the settings if not given.
    beside : callable, optional
        Given the consumer, returns a context to be in while it runs, for example a
        health endpoint.
    """
    chosen = instance or create_huey(settings)
    consumer = chosen.create_consumer(
        workers=settings.certification_concurrency,
        shutdown_timeout=settings.worker_shutdown_grace,
    )
    with beside(consumer):
        consumer.run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker from the command line, as the embedded server does."""
    parser = argparse.ArgumentParser(prog="python -m myia_sdk.worker")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end when the process that holds the other end of the input ends",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO
    )
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_input, name="input", daemon=True).start()
    try:
        run(settings, instance=huey)
    except MyiaError as error:
        logger.error("%s", error)  # noqa: TRY400 -- the message says it all
        return 1
    return 0


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _is_command() -> bool:
    """Whether this process is a worker, not a program that imports this module."""
    return Path(sys.argv[0]).stem == STOCK_COMMAND


try:
    settings = resolve_settings()
    huey = create_huey(settings)
except MyiaError as error:
    if not _is_command():
        raise
    # Huey's command would show any other exception with its traceback, twice.
    raise SystemExit(str(error)) from None
