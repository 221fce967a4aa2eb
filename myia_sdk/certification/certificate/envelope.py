"""DSSE envelopes: signed bytes together with the type of what they mean."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from myia_sdk.certification.request import JSON, RecordReader
from myia_sdk.errors import CertificateError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from myia_sdk.certification.certificate.keys import PublicKey
    from myia_sdk.certification.certificate.signing import Signer

#: An envelope with more signatures is refused: each one costs a verification a key.
_MAX_SIGNATURES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeSignature:
    """One signature over an envelope."""

    #: A hint which key made it. Nobody vouches for it: it never decides anything.
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Bytes, the type of what they mean, and signatures over both."""

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]

    @classmethod
    def sign(cls, payload_type: str, payload: bytes, signer: Signer) -> Self:
        """Put bytes into an envelope signed by one key."""
        signature = signer.sign(pre_authentication_encoding(payload_type, payload))
        return cls(
            payload_type=payload_type,
            payload=payload,
            signatures=(EnvelopeSignature(key_id=signer.key_id, signature=signature),),
        )

    def verify(self, keys: Iterable[PublicKey]) -> PublicKey:
        """Find a trusted key that signed exactly these bytes.

        Every key is tried on every signature; the key ids in the envelope play no
        part, because nobody signs them.

        Parameters
        ----------
        keys : iterable of PublicKey
            The keys to trust.

        Returns
        -------
        PublicKey
            The key whose signature holds.

        Raises
        ------
        SignatureError
            No trusted key signed these bytes under this type.
        """
        trusted = tuple(keys)
        signed = pre_authentication_encoding(self.payload_type, self.payload)
        for key in trusted:
            for one in self.signatures:
                if key.accepts(one.signature, signed):
                    return key
        hints = ", ".join(one.key_id[:16] or "no id" for one in self.signatures)
        known = ", ".join(key.key_id[:16] for key in trusted)
        raise SignatureError(
            f"None of the {len(trusted)} trusted keys ({known or 'none'}) signed these "
            f"bytes; the envelope claims {hints or 'no signature'}. It was altered, or "
            "signed by a key you do not trust."
        )

    def payload_object(self) -> dict[str, object]:
        """Parse the payload as one strict JSON object.

        Raises
        ------
        CertificateError
            The payload is no JSON object, repeats a key or holds NaN.
        """
        return parse_object(self.payload, "The payload")

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this envelope."""
        return {
            "payloadType": self.payload_type,
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "signatures": [
                {
                    "keyid": one.key_id,
                    "sig": base64.b64encode(one.signature).decode("ascii"),
                }
                for one in self.signatures
            ],
        }

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Read the JSON object of an envelope; unknown keys are ignored.

        Raises
        ------
        CertificateError
            A key is missing or has the wrong type, or base64 is malformed.
        """
        reader = RecordReader(record, "The envelope", CertificateError)
        signatures = reader.items("signatures")
        if len(signatures) > _MAX_SIGNATURES:
            raise CertificateError(
                f"The envelope has {len(signatures)} signatures; "
                f"at most {_MAX_SIGNATURES} are accepted."
            )
        return cls(
            payload_type=reader.text("payloadType"),
            payload=_decoded(reader.text("payload"), "payload"),
            signatures=tuple(_read_signature(item) for item in signatures),
        )


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that a DSSE signature covers: type and payload with lengths."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_object(text: bytes | str, what: str) -> dict[str, object]:
    """Parse one JSON object, refusing repeated keys and numbers JSON has not.

    Parameters
    ----------
    text : bytes or str
        The JSON text, UTF-8.
    what : str
        How the error calls it, to begin a sentence.

    Raises
    ------
    CertificateError
        The text is not one strict JSON object.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_without_repeats, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as exc:
        raise CertificateError(f"{what} is not valid JSON: {exc}.") from exc
    if not isinstance(value, dict):
        raise CertificateError(
            f"{what} is a JSON {type(value).__name__}; it must be an object."
        )
    return value


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return result


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _read_signature(item: object) -> EnvelopeSignature:
    reader = RecordReader(item, "A signature of the envelope", CertificateError)
    return EnvelopeSignature(
        key_id=reader.text("keyid", ""),
        signature=_decoded(reader.text("sig"), "sig"),
    )


def _decoded(text: str, where: str) -> bytes:
    """Decode standard or URL-safe base64, with or without padding."""
    standard = text.translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CertificateError(
            f"The envelope's {where!r} is not base64: {exc}."
        ) from exc


def envelope_of(record: Mapping[str, object]) -> Envelope:
    """Read an envelope, or the one within a sigstore bundle."""
    inner = record.get("dsseEnvelope")
    return Envelope.from_record(record if inner is None else inner)
