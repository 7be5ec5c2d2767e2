"""A broker with TLS, SASL and ACLs, and certificates for it and its clients."""

from __future__ import annotations

from pathlib import Path

from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from support.brokers import NativeBroker, free_ports
from tests.support.certificates import KEY_PASSWORD, Authority
from tests.support.tokens import AUDIENCE, ISSUER, Tokens


class SecuredBroker(NativeBroker):
    """A native broker on which nobody may do anything that no ACL allows, except for its super users.

    Super users are `user`, the client certificate (`client`), and whoever comes over `servers`, the plain listener, which
    is for tests that look and prepare. Any other user has the rights that a test gives by ACLs; `add_user` makes one.

    Attributes:
        credentials: by a way in: its bootstrap servers, and the properties that `user` needs there. See `_ways_in`.
        sasl, tls, sasl_tls, expired: addresses of its listeners: SASL without TLS; TLS that wants a client's certificate;
            SASL with TLS; TLS with a certificate of the broker that has expired.
        tokens: the server of tokens for OAUTHBEARER.
        folder: of its certificates: see `make_certificates`.
    """

    user, password = "scorer", "s3cret,with=signs"

    def __init__(self) -> None:
        self.tokens = Tokens()
        self.tokens.secrets[self.user] = self.password
        try:
            super().__init__()
        except BaseException:
            self.tokens.close()
            raise
        try:
            self.set_password(self.password)
        except BaseException:
            self.close()
            raise
        self.ca = {"ssl.ca.location": str(self.folder / "ca.pem")}
        self.credentials = self._ways_in()

    def _ways_in(self) -> dict[str, tuple[str, dict[str, str]]]:
        sasl = {"sasl.username": self.user, "sasl.password": self.password}
        tls = {"security.protocol": "sasl_ssl", **self.ca}
        mine = {"security.protocol": "ssl", **self.ca, "ssl.certificate.location": str(self.folder / "client.pem")}
        locked = {"ssl.key.location": str(self.folder / "client.locked"), "ssl.key.password": KEY_PASSWORD}
        by = "sasl.mechanisms"
        return {
            "sasl": (self.sasl, {"security.protocol": "sasl_plaintext", by: "SCRAM-SHA-256", **sasl}),
            "tls": (self.tls, mine | {"ssl.key.location": str(self.folder / "client.key")}),
            "tls, locked key": (self.tls, mine | locked),
            "sasl_tls": (self.sasl_tls, tls | {by: "SCRAM-SHA-256"} | sasl),
            "scram-512": (self.sasl_tls, tls | {by: "SCRAM-SHA-512"} | sasl),
            "plain": (self.sasl_tls, tls | {by: "PLAIN"} | sasl),
            "oauthbearer": (self.sasl_tls, tls | self.oidc(self.user, self.password)),
        }

    def oidc(self, client: str, secret: str) -> dict[str, str]:
        """Properties for a client of the server of tokens."""
        return {
            "sasl.mechanisms": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": client,
            "sasl.oauthbearer.client.secret": secret,
            "sasl.oauthbearer.token.endpoint.url": self.tokens.url,
        }

    def add_user(self, user: str, password: str) -> tuple[str, dict[str, str]]:
        """Make a user without any rights. Returns bootstrap servers and properties, by SCRAM-SHA-512 over TLS."""
        self.set_password(password, user)
        servers, properties = self.credentials["scram-512"]
        return servers, properties | {"sasl.username": user, "sasl.password": password}

    def set_password(self, password: str, user: str = user) -> None:
        """For both kinds of SCRAM; PLAIN and OAUTHBEARER know `user` and its first password only."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        for kind in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            change = UserScramCredentialUpsertion(user, ScramCredentialInfo(kind, 4096), password.encode())
            admin.alter_user_scram_credentials([change])[user].result(30)

    def close(self) -> None:
        super().close()
        self.tokens.close()

    def _command(self, main: str, *arguments: str) -> list[str]:
        java, *rest = super()._command(main, *arguments)
        return [java, f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self._jwks.as_uri()}", *rest]

    @property
    def _jwks(self) -> Path:
        return self.folder / "jwks.json"

    def _more_listeners(self) -> tuple[list[str], str]:
        self.sasl, self.tls, self.sasl_tls, self.expired = (f"127.0.0.1:{port}" for port in free_ports(4))
        make_certificates(self.folder)
        self._jwks.write_text(self.tokens.jwks())
        protocols = {"SASL": "SASL_PLAINTEXT", "TLS": "SSL", "SASLTLS": "SASL_SSL", "EXPIRED": "SSL"}
        plain = "".join(f",{name}:PLAINTEXT" for name in ("INSIDE", "OUTSIDE", "PROXIED", "CONTROLLER"))
        properties = [
            "listener.security.protocol.map="
            + ",".join(f"{name}:{protocol}" for name, protocol in protocols.items())
            + plain,
            "allow.everyone.if.no.acl.found=false",
            f"super.users=User:ANONYMOUS;User:{self.user};User:client",
            "ssl.principal.mapping.rules=RULE:^CN=(.*)$/$1/",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={self.folder / 'broker.both'}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self.folder / 'ca.pem'}",
            "listener.name.tls.ssl.client.auth=required",
            f"listener.name.expired.ssl.keystore.location={self.folder / 'expired.both'}",
            *self._sasl("sasl", "SCRAM-SHA-256"),
            *self._sasl("sasltls", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER"),
            # Clients authenticate again every 5 s: a changed password is noticed within that time.
            "listener.name.sasltls.scram-sha-512.connections.max.reauth.ms=5000",
        ]
        names = {"SASL": self.sasl, "TLS": self.tls, "SASLTLS": self.sasl_tls, "EXPIRED": self.expired}
        return [f"{name}://{address}" for name, address in names.items()], "\n".join(properties) + "\n"

    def _sasl(self, listener: str, *mechanisms: str) -> list[str]:
        """Lines of server.properties."""
        security = "org.apache.kafka.common.security"
        plain = f'plain.PlainLoginModule required user_{self.user}="{self.password}";'
        modules = {"PLAIN": plain, "OAUTHBEARER": "oauthbearer.OAuthBearerLoginModule required;"}
        lines = [f"listener.name.{listener}.sasl.enabled.mechanisms={','.join(mechanisms)}"]
        for mechanism in mechanisms:
            module = modules.get(mechanism, "scram.ScramLoginModule required;")
            lines.append(f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config={security}.{module}")
        if "OAUTHBEARER" in mechanisms:
            handler = f"{security}.oauthbearer.OAuthBearerValidatorCallbackHandler"
            token = {"jwks.endpoint.url": self._jwks.as_uri(), "expected.audience": AUDIENCE, "expected.issuer": ISSUER}
            lines += [f"listener.name.{listener}.sasl.oauthbearer.{name}={value}" for name, value in token.items()]
            lines.append(f"listener.name.{listener}.oauthbearer.sasl.server.callback.handler.class={handler}")
        return lines


def make_certificates(folder: Path) -> None:
    """Files as `Authority.sign` writes them.

    By the CA `ca`: broker, expired (of the broker), client, old (a client's, expired). By the CA `other`: stranger.
    """
    ca = Authority(folder, "ca")
    for name in ("broker", "client"):
        ca.sign(name)
    for name in ("expired", "old"):
        ca.sign(name, expired=True)
    Authority(folder, "other").sign("stranger")
