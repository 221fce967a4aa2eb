"""Keys on disk: making, showing, rotating and trusting them.

Everything lives in ``<home>/keys``: ``<name>.pem`` holds a private key, readable by
its owner only, ``<name>.pub.pem`` its public half, and ``retired/`` the public halves
of keys that were rotated out, so that what they signed can still be verified.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.exceptions import Error as SecureSystemsError
from securesystemslib.signer import Signature, SSlibKey

from myia_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

#: Name of the key that is made when no signing key is configured.
DEVELOPMENT_KEY = "development"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class PublicKey:
    """The public half of a signing key.

    Parameters
    ----------
    key : securesystemslib.signer.SSlibKey
        The key as the signing library holds it.
    crypto_key : cryptography public key
        The same key, for writing it as PEM.
    """

    __slots__ = ("_crypto_key", "_key")

    def __init__(self, key: SSlibKey, crypto_key: PublicKeyTypes) -> None:
        self._key = key
        self._crypto_key = crypto_key

    @property
    def key_id(self) -> str:
        """SHA-256 of the key's canonical description, hexadecimal."""
        return str(self._key.keyid)

    @property
    def scheme(self) -> str:
        """Signature scheme: ``ed25519`` by default."""
        return str(self._key.scheme)

    @classmethod
    def from_pem(cls, pem: bytes | str, *, where: str = "the text given") -> Self:
        """Read a public key in PEM form.

        Raises
        ------
        ConfigurationError
            The text is no public key, or of a kind that cannot verify signatures.
        """
        content = pem.encode() if isinstance(pem, str) else pem
        try:
            crypto_key = serialization.load_pem_public_key(content)
            return cls(SSlibKey.from_crypto(crypto_key), crypto_key)
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise ConfigurationError(
                f"There is no usable public key in {where}: {exc}. Give a file that "
                "begins with '-----BEGIN PUBLIC KEY-----'."
            ) from exc

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a public key from a PEM file."""
        try:
            content = Path(path).read_bytes()
        except OSError as exc:
            raise ConfigurationError(
                f"The public key file {str(path)!r} cannot be read: {exc.strerror}."
            ) from exc
        return cls.from_pem(content, where=repr(str(path)))

    def to_pem(self) -> str:
        """Return the key in PEM form, as openssl and others read it."""
        return self._crypto_key.public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        ).decode("ascii")

    def accepts(self, signature: bytes, data: bytes) -> bool:
        """Tell whether ``signature`` is this key's signature over ``data``."""
        claimed = Signature(keyid=self.key_id, sig=signature.hex())
        try:
            self._key.verify_signature(claimed, data)
        except (SecureSystemsError, ValueError):
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.key_id == self.key_id

    def __hash__(self) -> int:
        return hash(self.key_id)

    def __repr__(self) -> str:
        return f"PublicKey(key_id={self.key_id[:16]!r}, scheme={self.scheme!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """What is known about one key of the home directory; never the private half."""

    name: str
    key_id: str
    scheme: str
    #: File of the public half.
    public_path: Path
    #: File of the private half; ``None`` when the key is retired.
    private_path: Path | None
    created_at: datetime
    is_development: bool

    @property
    def is_retired(self) -> bool:
        """Whether the key only verifies what it signed before its rotation."""
        return self.private_path is None


def new_key(home: Path, name: str = "signing") -> KeyInfo:
    """Make an Ed25519 key pair.

    Parameters
    ----------
    home : Path
        The SDK's home directory (``MYIA_HOME``).
    name : str, optional
        Base name of the files.

    Returns
    -------
    KeyInfo
        The new key. Point ``MYIA_SIGNING_KEY`` to its ``private_path`` to sign with
        it, and give ``public_path`` to those who verify.

    Raises
    ------
    ConfigurationError
        A key of this name exists, or the name is not usable as a file name.
    """
    private_path = _private_path(home, name)
    if not _create(private_path, _new_private_pem()):
        raise ConfigurationError(
            f"A key named {name!r} exists in {str(private_path.parent)!r}; "
            "choose another name, or rotate it."
        )
    return _write_public(home, name)


def development_key(home: Path) -> KeyInfo:
    """Return the development key, made at first use."""
    private_path = _private_path(home, DEVELOPMENT_KEY)
    if not private_path.exists():
        _create(private_path, _new_private_pem())
    return _write_public(home, DEVELOPMENT_KEY)


def rotate_key(home: Path, name: str = "signing") -> KeyInfo:
    """Replace a key by a new one of the same name.

    The old private half is destroyed; its public half goes to ``retired/``, where
    `trusted_keys` finds it. If the old key may have been stolen, revoke it as well.

    Raises
    ------
    ConfigurationError
        No key has this name.
    """
    private_path = _private_path(home, name)
    if not private_path.exists():
        raise ConfigurationError(
            f"There is no key named {name!r} in {str(private_path.parent)!r}; "
            "make one with new_key (myia keys new)."
        )
    old = _info(home, name)
    retired = private_path.parent / "retired"
    retired.mkdir(mode=0o700, exist_ok=True)
    _replace(retired / f"{name}-{old.key_id[:16]}.pub.pem", _public_pem(private_path))
    _replace(private_path, _new_private_pem())
    return _write_public(home, name)


def show_keys(home: Path) -> tuple[KeyInfo, ...]:
    """List the keys of the home directory, those in use first."""
    folder = home / "keys"
    names = sorted(path.name.removesuffix(".pem") for path in folder.glob("*.pem"))
    active = [_info(home, name) for name in names if not name.endswith(".pub")]
    return (*active, *_retired(folder / "retired"))


def trusted_keys(home: Path) -> tuple[PublicKey, ...]:
    """Public keys of the home directory, retired ones included."""
    return tuple(PublicKey.load(info.public_path) for info in show_keys(home))


def _retired(folder: Path) -> list[KeyInfo]:
    found = []
    for path in sorted(folder.glob("*.pub.pem")):
        key = PublicKey.load(path)
        name = path.name.removesuffix(".pub.pem").rsplit("-", 1)[0]
        found.append(_describe(key, name, path, None))
    return found


def _info(home: Path, name: str) -> KeyInfo:
    private_path = _private_path(home, name)
    public_path = private_path.with_name(f"{name}.pub.pem")
    if not public_path.exists():
        _replace(public_path, _public_pem(private_path))
    return _describe(PublicKey.load(public_path), name, public_path, private_path)


def _describe(
    key: PublicKey, name: str, public_path: Path, private_path: Path | None
) -> KeyInfo:
    changed = (private_path or public_path).stat().st_mtime
    return KeyInfo(
        name=name,
        key_id=key.key_id,
        scheme=key.scheme,
        public_path=public_path,
        private_path=private_path,
        created_at=datetime.fromtimestamp(changed, UTC),
        is_development=name == DEVELOPMENT_KEY,
    )


def _private_path(home: Path, name: str) -> Path:
    if not _NAME.fullmatch(name) or name.endswith(".pub"):
        raise ConfigurationError(
            f"The key name {name!r} is not usable; "
            "take letters, digits, '.', '_' and '-', at most 64."
        )
    folder = home / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{name}.pem"


def _new_private_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public_pem(private_path: Path) -> bytes:
    private_key = serialization.load_pem_private_key(private_path.read_bytes(), None)
    return private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _write_public(home: Path, name: str) -> KeyInfo:
    private_path = _private_path(home, name)
    public_path = private_path.with_name(f"{name}.pub.pem")
    content = _public_pem(private_path)
    if not public_path.exists() or public_path.read_bytes() != content:
        _replace(public_path, content)
    return _info(home, name)


def _create(path: Path, content: bytes) -> bool:
    """Create a file that nobody else can read; False when it exists already."""
    temporary = _temporary(path, content)
    try:
        # A link appears whole or not at all, and never over another worker's key.
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def _replace(path: Path, content: bytes) -> None:
    temporary = _temporary(path, content)
    try:
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _temporary(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    return temporary
