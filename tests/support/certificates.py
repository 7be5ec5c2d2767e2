"""Certificates of tests, as files: of a CA, of brokers and of clients, also expired ones, and keys with a password."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KEY_PASSWORD = "k3y,with=signs"
"""Of the encrypted keys."""


class Authority:
    """A CA that signs certificates; NAME.pem has its own. Each is valid for two days, an expired one was until yesterday."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name, self._key = folder, name, _new_key()
        self._write(name, self._key, self._signed(name, self._key, []))

    def sign(self, name: str, hosts: Sequence[str] = ("127.0.0.1",), *, expired: bool = False) -> None:
        """Write NAME.pem, NAME.key, both of them in NAME.both, and the key in NAME.locked, encrypted with KEY_PASSWORD."""
        key = _new_key()
        self._write(name, key, self._signed(name, key, hosts, expired=expired))

    def _signed(self, name: str, key: Any, hosts: Sequence[str], *, expired: bool = False) -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        own, day = name == self._name, datetime.timedelta(days=1)
        begin = datetime.datetime.now(datetime.UTC) - (3 * day if expired else day)
        builder = x509.CertificateBuilder(
            issuer_name=_common_name(self._name),
            subject_name=_common_name(name),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=begin,
            not_valid_after=begin + 2 * day,
        ).add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, key: Any, certificate: Any) -> None:
        from cryptography.hazmat.primitives import serialization as form

        def pem(encryption: Any) -> bytes:
            return bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, encryption))

        plain, public = pem(form.NoEncryption()), certificate.public_bytes(form.Encoding.PEM)
        locked = pem(form.BestAvailableEncryption(KEY_PASSWORD.encode()))
        for ending, content in (("pem", public), ("key", plain), ("both", plain + public), ("locked", locked)):
            (self._folder / f"{name}.{ending}").write_bytes(content)


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _common_name(name: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _host(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
