"""A content-addressed store of models, datasets and logs, on any fsspec filesystem.

An artifact is named by the SHA-256 of its bytes, so a reference in a job says exactly
what was submitted, storing twice is storing once, and every read is verified.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from myia_sdk.certification.request.references import require_digest
from myia_sdk.errors import (
    ArtifactCorruptedError,
    ArtifactNotFoundError,
    ConfigurationError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.request import DatasetRef

_CHUNK = 1024 * 1024


class ArtifactStore:
    """Store of bytes by digest.

    Parameters
    ----------
    location : str or path
        A directory, made when something is stored, or a URL that fsspec knows:
        ``s3://bucket/prefix``, ``memory://name``.
    cache : path, optional
        Where remote artifacts are kept for reading; a directory of the system's
        temporary files if not given.

    Examples
    --------
    >>> store = ArtifactStore("memory://doctest")
    >>> digest = store.put_bytes(b"weights")
    >>> store.read_bytes(digest)
    b'weights'
    """

    def __init__(
        self, location: str | os.PathLike[str], *, cache: Path | None = None
    ) -> None:
        self.location = os.fspath(location)
        self._cache = cache
        self._filesystem, self._root = _open(self.location)
        self._is_local = "file" in _protocols(self._filesystem)

    def __repr__(self) -> str:
        return f"ArtifactStore({_without_credentials(self.location)!r})"

    def put_bytes(self, content: bytes) -> str:
        """Store bytes and return their digest, ``sha256:...``."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if not self.exists(digest):
            self._write(digest, content)
        return digest

    def put_file(self, path: Path) -> str:
        """Store the content of a local file, however large, and return its digest."""
        digest = "sha256:" + _hash_file(path)
        if not self.exists(digest):
            target = self._path(digest)
            if self._is_local:
                _write_file(Path(target), _chunks_of(path))
            else:
                self._filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._filesystem.put_file(str(path), target)
        return digest

    def exists(self, digest: str) -> bool:
        """Tell whether something is stored under this digest."""
        return bool(self._filesystem.exists(self._path(digest)))

    def size(self, digest: str) -> int:
        """Return the size of an artifact, bytes."""
        self._require(digest)
        return int(self._filesystem.size(self._path(digest)))

    def read_bytes(self, digest: str) -> bytes:
        """Return the bytes of an artifact, verified.

        Raises
        ------
        ArtifactNotFoundError
            Nothing is stored under this digest.
        ArtifactCorruptedError
            The bytes stored do not have this digest.
        """
        self._require(digest)
        content: bytes = self._filesystem.cat_file(self._path(digest))
        self._verify(digest, hashlib.sha256(content).hexdigest())
        return content

    def local_path(self, digest: str) -> Path:
        """Return a local file with the verified bytes of an artifact.

        A remote artifact is downloaded into the cache first. The file must not be
        changed.

        Raises
        ------
        ArtifactNotFoundError, ArtifactCorruptedError
            As `read_bytes`.
        """
        if self._is_local:
            self._require(digest)
            path = Path(self._path(digest))
            self._verify(digest, _hash_file(path))
            return path
        cached = self._cache_directory() / digest.removeprefix("sha256:")
        if not cached.exists() or _hash_file(cached) != cached.name:
            _write_file(cached, _chunks(self.read_bytes(digest)))
        return cached

    def put_dataset(self, dataset: Dataset) -> DatasetRef:
        """Store a dataset as Parquet and return its reference.

        Raises
        ------
        DatasetError
            The data do not fit together or cannot be written.
        """
        from myia_sdk.certification.data.parquet import write_dataset

        return write_dataset(dataset, self)

    def get_dataset(self, reference: DatasetRef) -> Dataset:
        """Read a dataset back."""
        from myia_sdk.certification.data.parquet import read_dataset

        return read_dataset(reference, self)

    def _path(self, digest: str) -> str:
        name = require_digest(digest, "The digest").removeprefix("sha256:")
        return f"{self._root}/sha256/{name[:2]}/{name}"

    def _require(self, digest: str) -> None:
        if not self.exists(digest):
            raise ArtifactNotFoundError(
                f"The artifact store {_without_credentials(self.location)} holds "
                f"nothing under {digest}. Submitter and worker must use the same "
                "store: set MYIA_ARTIFACTS to a shared directory or URL on both."
            )

    def _verify(self, digest: str, found: str) -> None:
        if "sha256:" + found != digest:
            raise ArtifactCorruptedError(
                f"The artifact {digest} in {_without_credentials(self.location)} has "
                f"other content: sha256:{found}. Delete it and submit again."
            )

    def _write(self, digest: str, content: bytes) -> None:
        path = self._path(digest)
        if self._is_local:
            _write_file(Path(path), _chunks(content))
            return
        # An object store shows an object only when it was written completely.
        self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._filesystem.pipe_file(path, content)

    def _cache_directory(self) -> Path:
        if self._cache is None:
            self._cache = Path(tempfile.mkdtemp(prefix="myia-artifacts-"))
            _remove_at_exit(self._cache)
        self._cache.mkdir(parents=True, exist_ok=True)
        return self._cache


def _open(location: str) -> tuple[Any, str]:
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(os.path.expanduser(location))  # noqa: PTH111 - may be a URL
    except (ImportError, ValueError) as exc:
        raise ConfigurationError(
            f"MYIA_ARTIFACTS is {_without_credentials(location)!r}, which cannot be "
            f"opened: {exc}. Give a directory, or a URL whose fsspec package is "
            "installed."
        ) from exc
    return filesystem, str(root).rstrip("/")


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _without_credentials(location: str) -> str:
    scheme, separator, rest = location.partition("://")
    if not separator or "@" not in rest:
        return location
    return f"{scheme}://***@{rest.rpartition('@')[2]}"


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _chunks(content: bytes) -> Iterator[bytes]:
    return (content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK))


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _write_file(path: Path, content: Iterable[bytes]) -> None:
    """Write all or nothing: readers never see a part, a crash leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            for chunk in content:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _remove_at_exit(directory: Path) -> None:
    import atexit

    atexit.register(shutil.rmtree, directory, ignore_errors=True)
