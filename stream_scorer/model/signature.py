"""Signatures of bundles: Ed25519 over the bytes of `manifest.json`, whose sha256 cover every file. Needs the extra `signing`.

The formats are those of OpenSSL: keys are PEM files, a signature is its 64 bytes. So `openssl pkeyutl` checks them, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from stream_scorer.errors import ModelError, SettingsError
from stream_scorer.model.manifest import MANIFEST, SIGNATURE, read_within, short

SIZE = 64
"""Bytes of a signature."""
_MAX_KEY = 64 << 10
_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]{1,4096}-----END PUBLIC KEY-----")
_MAKE = "Make a pair by `openssl genpkey -algorithm ed25519 -out KEY` and `openssl pkey -in KEY -pubout -out PUB`."


def signer(key: Path) -> Callable[[bytes], bytes]:
    """What makes the signature of a manifest. key: file of an Ed25519 private key in PEM, not encrypted; it may be a pipe, which
    is read once.

    Raises SettingsError: there is no such key in the file.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key.read_bytes()[:_MAX_KEY], None)
    except OSError as error:
        raise SettingsError(f"--sign {key}: cannot be read ({error.strerror}).") from error
    except TypeError as error:
        raise SettingsError(
            f"--sign {key}: the key is encrypted. Decrypt it into a pipe: --sign <(openssl pkey -in KEY)."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:  # its text may repeat the file
        raise SettingsError(f"--sign {key}: not a private key in PEM. {_MAKE}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError(f"--sign {key}: not an Ed25519 key, but another kind. {_MAKE}")
    return private.sign


def check_signature(manifest: bytes, signature: bytes | None, public: Path, where: str) -> None:
    """Return if one of the keys in the file `public` has signed these bytes. where: the bundle, for errors.

    Raises ModelError: none of them has. SettingsError: the file has no Ed25519 public keys.
    """
    from cryptography.exceptions import InvalidSignature

    keys = _public_keys(public)
    if signature is None:
        raise ModelError(
            f"{where}: not signed: it has no {SIGNATURE}, and --require-signature asks for one. "
            "Export it with --sign KEY."
        )
    for key in keys:
        try:
            key.verify(signature, manifest)
        except InvalidSignature:
            continue
        return
    raise ModelError(
        f"{where}: {SIGNATURE} is no signature of its {MANIFEST} by a key in {public}. The bundle was changed after it was "
        "signed, or another key has signed it. Do not run it; export it again with --sign KEY."
    )


def read_signature(bundle: Path) -> bytes | None:
    """The signature in a bundle; None if there is none. Raises ModelError: it cannot be read, or has another size."""
    path = bundle / SIGNATURE
    if not path.is_symlink() and not path.exists():
        return None
    try:
        return sized(read_within(path, SIZE))
    except ValueError as error:
        raise ModelError(
            f"{path}: {short(error)}: a signature has {SIZE} bytes. Export it again with --sign KEY."
        ) from error


def sized(signature: bytes) -> bytes:
    """The same. Raises ValueError: it has not the size of a signature."""
    if len(signature) != SIZE:
        raise ValueError(f"has {len(signature)} bytes")
    return signature


def _public_keys(public: Path) -> list:  # type: ignore[type-arg]  # of Ed25519PublicKey, from a package that may be missing
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        data = read_within(public, _MAX_KEY)
    except ValueError as error:
        raise SettingsError(f"--require-signature {public}: {error}.") from error
    try:
        keys = [load_pem_public_key(block) for block in _PUBLIC.findall(data)]
    except (ValueError, UnsupportedAlgorithm):
        keys = []
    if not keys or not all(isinstance(key, Ed25519PublicKey) for key in keys):
        raise SettingsError(
            f"--require-signature {public}: expected Ed25519 public keys in PEM (-----BEGIN PUBLIC KEY-----), one or "
            f"more. {_MAKE}"
        )
    return keys
