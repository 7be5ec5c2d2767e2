"""A broker with TLS and SASL, and certificates for it and its clients."""

from __future__ import annotations

import subprocess
from pathlib import Path

from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from support.brokers import NativeBroker, NoBroker, free_ports


class SecuredBroker(NativeBroker):
    """A native broker with three more listeners: SCRAM without TLS, SCRAM with TLS, and TLS with client certificates.

    openssl makes its certificates in `folder`: `ca.pem`, `client.pem` with its key in `client.key`, and
    `stranger.pem` with `stranger.key`, signed by another CA.
    """

    user, password = "scorer", "s3cret,with=signs"

    def __init__(self) -> None:
        super().__init__()
        try:
            self.set_password(self.password)
        except BaseException:
            self.close()
            raise
        files = {name: str(self.folder / name) for name in ("ca.pem", "client.pem", "client.key")}
        scram = {"sasl.mechanisms": "SCRAM-SHA-256", "sasl.username": self.user, "sasl.password": self.password}
        self.credentials: dict[str, tuple[str, dict[str, str]]] = {
            "sasl": (self.sasl, {"security.protocol": "sasl_plaintext", **scram}),
            "tls": (
                self.tls,
                {
                    "security.protocol": "ssl",
                    "ssl.ca.location": files["ca.pem"],
                    "ssl.certificate.location": files["client.pem"],
                    "ssl.key.location": files["client.key"],
                },
            ),
            "sasl_tls": (self.sasl_tls, {"security.protocol": "sasl_ssl", "ssl.ca.location": files["ca.pem"], **scram}),
        }
        """By listener: its bootstrap servers, and the properties that a client needs."""

    def set_password(self, password: str) -> None:
        mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        user = UserScramCredentialUpsertion(self.user, mechanism, password.encode())
        admin = AdminClient({"bootstrap.servers": self.servers})
        admin.alter_user_scram_credentials([user])[self.user].result(30)

    def _more_listeners(self) -> tuple[list[str], str]:
        self.sasl, self.tls, self.sasl_tls = (f"127.0.0.1:{port}" for port in free_ports(3))
        make_certificates(self.folder)
        protocols = {"SASL": "SASL_PLAINTEXT", "TLS": "SSL", "SASLTLS": "SASL_SSL"}
        plain = "".join(f",{name}:PLAINTEXT" for name in ("INSIDE", "OUTSIDE", "PROXIED", "CONTROLLER"))
        properties = [
            "listener.security.protocol.map="
            + ",".join(f"{name}:{protocol}" for name, protocol in protocols.items())
            + plain,
            "sasl.enabled.mechanisms=SCRAM-SHA-256",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={self.folder / 'broker.both'}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self.folder / 'ca.pem'}",
            "listener.name.tls.ssl.client.auth=required",
            # Clients authenticate again every 5 s: a changed password is noticed within that time.
            "listener.name.sasl.scram-sha-256.connections.max.reauth.ms=5000",
        ]
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        properties += [f"listener.name.{name}.scram-sha-256.sasl.jaas.config={scram}" for name in ("sasl", "sasltls")]
        return [f"SASL://{self.sasl}", f"TLS://{self.tls}", f"SASLTLS://{self.sasl_tls}"], "\n".join(properties) + "\n"


def make_certificates(folder: Path) -> None:
    """Certificates named ca, other (another CA), broker, client and stranger: NAME.pem, NAME.key, both in NAME.both."""

    def openssl(*arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoBroker(f"openssl {arguments[0]} failed: {done.stderr[-1000:]}")

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for name, signer in (("ca", None), ("other", None), ("broker", "ca"), ("client", "ca"), ("stranger", "other")):
        by = ("-CA", f"{signer}.pem", "-CAkey", f"{signer}.key") if signer else ()
        names = ("-addext", "subjectAltName=IP:127.0.0.1") if signer else ()
        made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
        openssl("req", "-x509", *key, *made, *by, *names)
        (folder / f"{name}.both").write_text(
            (folder / f"{name}.key").read_text() + (folder / f"{name}.pem").read_text()
        )
