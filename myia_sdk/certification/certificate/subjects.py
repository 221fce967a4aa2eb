"""What a certificate is about: a digest, recomputed from what is presented."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import rfc8785

from myia_sdk.certification.request import JSON, json_safe
from myia_sdk.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.report import Report

_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")

#: Options of a model that change its answers and so belong to its description.
_DESCRIBED_OPTIONS = ("parameters", "extra_body", "dimensions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A name for people and a SHA-256 digest that decides."""

    name: str
    #: Lower-case hexadecimal.
    sha256: str
    #: What was hashed, for a model that has no bytes of its own: an endpoint, or a
    #: factory of the worker. It travels beside the certificate as ``endpoint.json``.
    descriptor: Mapping[str, JSON] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", self.sha256.removeprefix("sha256:"))
        if not _HEX_DIGEST.fullmatch(self.sha256):
            raise CertificateError(
                f"The subject's digest is {self.sha256[:80]!r}; it must be 64 "
                "lower-case hexadecimal digits of SHA-256."
            )

    @classmethod
    def of_path(cls, path: str | Path, name: str | None = None) -> Self:
        """Compute the subject of a file, or of a directory with all its files.

        Parameters
        ----------
        path : str or Path
            A model file, an ``endpoint.json``, or the directory of a model.
        name : str, optional
            How the subject is called; the last part of the path if not given.

        Raises
        ------
        CertificateError
            Nothing is there, the directory is empty, or it contains a symbolic link,
            whose target the digest would not cover.
        """
        path = Path(path)
        try:
            digest = _tree_digest(path) if path.is_dir() else _file_digest(path)
        except OSError as exc:
            raise CertificateError(
                f"The subject {str(path)!r} cannot be read: {exc.strerror}."
            ) from exc
        return cls(name=name or path.name, sha256=digest)

    @classmethod
    def of_descriptor(cls, name: str, descriptor: Mapping[str, JSON]) -> Self:
        """Compute the subject of something without bytes, from its description."""
        content = descriptor_bytes(descriptor)
        return cls(
            name=name,
            sha256=hashlib.sha256(content).hexdigest(),
            descriptor=dict(descriptor),
        )

    @classmethod
    def of_report(cls, report: Report) -> Self:
        """Find the subject of a report: the model's artifact, or its description.

        A remote endpoint has no bytes to hash. Its digest is that of a small canonical
        description (provider, host, region, model asked for and model that answered),
        and never stands for weights.
        """
        model = report.model
        name = str(model.get("name") or "model")
        artifact = model.get("artifact")
        if isinstance(artifact, str):
            return cls(name=name, sha256=artifact)
        return cls.of_descriptor(name, _described(report))


def descriptor_bytes(descriptor: Mapping[str, JSON]) -> bytes:
    """Return the content of ``endpoint.json``: canonical JSON (RFC 8785)."""
    value: JSON = dict(descriptor)
    return rfc8785.dumps(value)


def _described(report: Report) -> dict[str, JSON]:
    model, resolved = report.model, report.resolved
    region, options = report.region or model.get("region"), model.get("options")
    facts: dict[str, JSON] = {
        "kind": model.get("kind"),
        "provider": model.get("vendor"),
        "host": _host(model, region if isinstance(region, str) else None),
        "region": region,
        "model": model.get("model"),
        "factory": model.get("factory"),
        "resolvedModel": resolved.get("model"),
        "systemFingerprint": resolved.get("system_fingerprint"),
    }
    if isinstance(options, dict):
        facts |= {key: options.get(key) for key in _DESCRIBED_OPTIONS}
    return {key: json_safe(fact) for key, fact in facts.items() if fact is not None}


def _host(model: Mapping[str, JSON], region: str | None) -> str | None:
    """Host and port of the endpoint, without path, user or password."""
    from myia_sdk.certification.request import ModelRef

    url = ModelRef.from_record(model).url_in(region)
    if url is None:
        return None
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tree_digest(folder: Path) -> str:
    """Root digest as the OpenSSF model signing format computes it.

    SHA-256 over the SHA-256 digests of all files, joined in the order of their paths.
    """
    root = hashlib.sha256()
    files = []
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise CertificateError(
                f"The directory {str(folder)!r} contains the symbolic link "
                f"{str(path.relative_to(folder))!r}; replace it by the file it means."
            )
        if path.is_file():
            files.append(path)
    if not files:
        raise CertificateError(f"The directory {str(folder)!r} contains no file.")
    for path in sorted(files, key=lambda file: file.relative_to(folder).as_posix()):
        root.update(bytes.fromhex(_file_digest(path)))
    return root.hexdigest()
