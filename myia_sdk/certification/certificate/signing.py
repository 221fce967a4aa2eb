"""Signers: a private key in a PEM file, or one that never leaves a key service."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import (
    AWSSigner,
    AzureSigner,
    CryptoSigner,
    GCPSigner,
    HSMSigner,
    SSlibKey,
    VaultSigner,
)
from securesystemslib.signer import Signer as LibrarySigner

from myia_sdk.certification.certificate.keys import (
    DEVELOPMENT_KEY,
    PublicKey,
    development_key,
)
from myia_sdk.errors import CertificateError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

#: Bits of a file mode that let others than owner and group read.
_READABLE_BY_OTHERS = 0o004


class Signer:
    """Makes signatures with one private key, which it never shows.

    Parameters
    ----------
    signer : securesystemslib.signer.Signer
        What holds the key.
    public_key : PublicKey
        The public half.
    is_development : bool, optional
        Whether this is the key made for want of a configured one. Certificates by it
        say so.
    """

    def __init__(
        self,
        signer: LibrarySigner,
        public_key: PublicKey,
        *,
        is_development: bool = False,
    ) -> None:
        self._signer = signer
        self.public_key = public_key
        self.is_development = is_development

    @classmethod
    def load(cls, key: str | Path | None, home: Path) -> Self:
        """Open the signing key.

        Parameters
        ----------
        key : str, Path or None
            Path of a PEM file, or a key URI: ``file2:PATH``, ``awskms:KEY``,
            ``gcpkms:KEY``, ``azurekms:VAULT/KEY``, ``hv:KEY`` (Vault), ``hsm:``.
            ``None`` takes the development key and makes it at first use.
        home : Path
            The SDK's home directory, where the development key lives.

        Raises
        ------
        ConfigurationError
            The key cannot be read, is protected by a password, or its library is
            not installed.
        """
        if key is None or not str(key):
            return cls._from_file(_required(development_key(home).private_path), home)
        scheme, _, rest = str(key).partition(":")
        if scheme == CryptoSigner.SCHEME:
            return cls._from_file(Path(rest), home)
        if scheme in _SERVICES:
            return cls._from_service(scheme, rest)
        if "://" in str(key):
            known = ", ".join(f"{name}:" for name in ("file2", *_SERVICES))
            raise ConfigurationError(
                f"The signing key has the unknown scheme {scheme!r}; "
                f"give the path of a PEM file, or one of {known}"
            )
        return cls._from_file(Path(key), home)

    @property
    def key_id(self) -> str:
        """Id of the key, hexadecimal."""
        return self.public_key.key_id

    def sign(self, data: bytes) -> bytes:
        """Return the signature over ``data``.

        Raises
        ------
        CertificateError
            The key service did not sign; another attempt may succeed.
        """
        try:
            return bytes.fromhex(self._signer.sign(data).signature)
        except Exception as exc:
            raise CertificateError(
                f"The key {self.key_id[:16]} did not sign: {type(exc).__name__}: {exc}"
            ) from exc

    def __repr__(self) -> str:
        return (
            f"Signer(key_id={self.key_id[:16]!r}, is_development={self.is_development})"
        )

    @classmethod
    def _from_file(cls, path: Path, home: Path) -> Self:
        path = path.expanduser()
        try:
            content = path.read_bytes()
            if path.stat().st_mode & _READABLE_BY_OTHERS:
                logger.warning(
                    "The signing key %s can be read by every user of this machine; "
                    "restrict it with: chmod 600",
                    path,
                )
            private_key = serialization.load_pem_private_key(content, None)
            signer = CryptoSigner(private_key)
        except OSError as exc:
            raise ConfigurationError(
                f"The signing key {str(path)!r} cannot be read: {exc.strerror}; "
                "correct MYIA_SIGNING_KEY, or make a key with: myia keys new"
            ) from exc
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise ConfigurationError(
                f"The file {str(path)!r} holds no usable private key ({exc}); it must "
                "be unencrypted PEM (PKCS#8) of an Ed25519, ECDSA or RSA key."
            ) from exc
        development = (home / "keys" / f"{DEVELOPMENT_KEY}.pem").resolve()
        public_key = PublicKey(signer.public_key, private_key.public_key())
        return cls(signer, public_key, is_development=path.resolve() == development)

    @classmethod
    def _from_service(cls, scheme: str, key: str) -> Self:
        try:
            uri, library_key = _SERVICES[scheme](key)
            signer = LibrarySigner.from_priv_key_uri(uri, library_key)
        except UnsupportedLibraryError as exc:
            raise ConfigurationError(
                f"The signing key {scheme}:{key} needs a library that is not "
                f"installed: {exc}"
            ) from exc
        except Exception as exc:
            # Each service's library has errors of its own, which we do not import.
            raise ConfigurationError(
                f"The signing key {scheme}:{key} cannot be used: "
                f"{type(exc).__name__}: {exc}"
            ) from exc
        crypto_key = serialization.load_pem_public_key(
            library_key.keyval["public"].encode()
        )
        return cls(signer, PublicKey(library_key, crypto_key))


def _azure(key: str) -> tuple[str, SSlibKey]:
    vault, _, name = key.strip("/").partition("/")
    uri, library_key = AzureSigner.import_(vault, name)
    return uri, library_key


def _hsm(_: str) -> tuple[str, SSlibKey]:
    uri, library_key = HSMSigner.import_()
    return uri, library_key


_SERVICES: Mapping[str, Callable[[str], tuple[str, SSlibKey]]] = {
    AWSSigner.SCHEME: AWSSigner.import_,
    GCPSigner.SCHEME: GCPSigner.import_,
    AzureSigner.SCHEME: _azure,
    VaultSigner.SCHEME: VaultSigner.import_,
    HSMSigner.SCHEME: _hsm,
}


def _required(path: Path | None) -> Path:
    if path is None:
        raise ConfigurationError("The development key has no private half.")
    return path
