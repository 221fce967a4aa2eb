"""``myia certificates``, ``certificate``, ``verify``, ``revoke`` and ``keys``."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from myia_sdk.cli.app import Json, console, open_client, show_frame
from myia_sdk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from myia_sdk.certification.certificate import Certificate
    from myia_sdk.certification.certificate.keys import KeyInfo

#: Revocation list of this machine, in MYIA_HOME; `myia verify` looks into it.
REVOCATIONS = "revocations.json"
COLUMNS = ["model", "region", "suite", "verdict", "score", "expires_at", "is_valid"]


def install(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(certificates)
    app.command()(certificate)
    app.command()(verify)
    app.command()(revoke)
    group = typer.Typer(help="Keys that sign certificates.", no_args_is_help=True)
    group.command()(new)
    group.command()(show)
    group.command()(rotate)
    app.add_typer(group, name="keys")


def certificates(
    *,
    history: Annotated[
        bool, typer.Option("--history", help="All, not only the latest.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the certificates of the queue."""
    with open_client() as client:
        frame = client.certificates(history=history)
        show_frame(frame, ["job_id", *COLUMNS], as_json=as_json)


def certificate(
    job: Annotated[str, typer.Argument(help="Job id.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.")
    ] = None,
    subject_output: Annotated[
        Path | None,
        typer.Option(
            help="File to write what it is about to, for `myia verify --subject`: "
            "the model's bytes, or the description of an endpoint."
        ),
    ] = None,
    *,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="As a sigstore bundle.")
    ] = False,
) -> None:
    """Export the certificate of a job, also after the job was cleaned."""
    with open_client() as client:
        found = client.certificate_of(job)
        if subject_output is not None:
            subject_output.write_bytes(client.certificate_store.subject_bytes(found))
    text = found.to_sigstore_bundle() if bundle else found.to_json()
    if output is None:
        sys.stdout.write(f"{text}\n")
    else:
        output.write_text(text, encoding="utf-8")


def verify(  # noqa: PLR0917 -- typer makes options of them
    file: Annotated[Path, typer.Argument(help="Certificate.", exists=True)],
    key: Annotated[
        list[Path] | None,
        typer.Option(
            help="PEM file of a public key to trust; else those of MYIA_HOME."
        ),
    ] = None,
    subject: Annotated[
        Path | None,
        typer.Option(
            help="Model file, or endpoint.json, that it must be about; "
            "`myia certificate --subject-output` writes it."
        ),
    ] = None,
    revoked: Annotated[
        Path | None,
        typer.Option(help="Revocation list; else that of MYIA_HOME.", exists=True),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(help="NAME@VERSION of the only suite that does, to the letter."),
    ] = None,
    min_level: Annotated[
        int | None,
        typer.Option(help="Least level of assurance that does.", min=1, max=3),
    ] = None,
) -> None:
    """Verify a certificate: signature, subject, validity, revocation, verdict."""
    from myia_sdk.certification.certificate import (
        Certificate,
        PublicKey,
        RevocationList,
        Subject,
        trusted_keys,
    )

    home = Settings().myia_home
    keys = [PublicKey.load(path) for path in key or ()]
    document = Certificate.load(file)
    found = document.verify(
        keys or trusted_keys(home),
        None if subject is None else Subject.of_path(subject),
        revoked=RevocationList.load(revoked or home / REVOCATIONS),
        suite=suite,
        min_level=min_level,
    )
    console.print(
        f"Valid: {found.verdict}, issued {found.issued_at:%Y-%m-%d %H:%M} UTC, "
        f"expires {found.expires_at:%Y-%m-%d %H:%M} UTC, key {found.key.key_id[:16]}.",
        highlight=False,
    )
    for line in _about_rules(document):
        console.print(line, highlight=False)
    if found.is_development:
        console.print("It was signed with a development key.")
    if not document.is_model_seen:
        console.print("It is about predictions as they were given: no model was seen.")
    if document.descriptor is not None:
        console.print("It is about the model described as:", document.descriptor)
    if not found.is_subject_checked:
        console.print("Which model it is about was not checked; give --subject FILE.")


def _about_rules(document: Certificate) -> Iterator[str]:
    """Say by whose rules it was certified, and how much they measured."""
    from myia_sdk.certification.report.rendering.wording import ORIGINS

    if document.level is None or document.coverage is None:
        yield (
            f"By the old rules of {document.suite}, which certified by the score and "
            "say nothing of how much was measured."
        )
        return
    origin = ORIGINS.get(document.suite_origin or "", "rules of unknown origin")
    yield f"By {document.suite}: {origin}."
    overridden = document.extension.get("overridden")
    if isinstance(overridden, list) and overridden:
        yield f"The request changed {', '.join(map(str, overridden))}."
    yield (
        f"Measured was {document.coverage:.0%} of it, assurance level "
        f"{document.level} of 3."
    )
    submitter = document.extension.get("submittedBy")
    if isinstance(submitter, str):
        yield f"Submitted by {submitter}, as they say."


def revoke(
    certificate_id: Annotated[
        str, typer.Argument(help="Id of the certificate, or of its job.")
    ],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Withdraw a certificate; the list is also written to MYIA_HOME."""
    with open_client() as client:
        found = client.certificate_store.of_job(certificate_id)
        client.revoke(found.id if found else certificate_id, reason)
        path = client.settings.myia_home / REVOCATIONS
        client.certificate_store.revocations().save(path)
        console.print(f"Revoked; the list to give away is {path}", highlight=False)


Name = Annotated[str, typer.Option(help="Name of the key.")]


def new(name: Name = "signing") -> None:
    """Make a signing key in MYIA_HOME."""
    from myia_sdk.certification.certificate.keys import new_key

    _say(new_key(Settings().myia_home, name))


def rotate(name: Name = "signing") -> None:
    """Replace a key; the old public key stays trusted."""
    from myia_sdk.certification.certificate.keys import rotate_key

    _say(rotate_key(Settings().myia_home, name))


def show() -> None:
    """List the keys of MYIA_HOME."""
    from myia_sdk.certification.certificate.keys import show_keys

    table = Table()
    for column in ("name", "key id", "scheme", "made", "public key"):
        table.add_column(column, overflow="fold")
    for key in show_keys(Settings().myia_home):
        table.add_row(
            f"{key.name} (retired)" if key.is_retired else key.name,
            key.key_id,
            key.scheme,
            f"{key.created_at:%Y-%m-%d %H:%M}",
            str(key.public_path),
        )
    console.print(table)


def _say(key: KeyInfo) -> None:
    console.print(f"Key {key.key_id}", highlight=False)
    for line in (
        f"Public key, to give away: {key.public_path}",
        f"Private key, for the workers: MYIA_SIGNING_KEY={key.private_path}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
