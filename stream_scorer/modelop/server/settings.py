"""Settings of `stream-scorer engine`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.model.trust import Trust
from stream_scorer.parsing.addresses import Address, read_address
from stream_scorer.settings.declared import setting
from stream_scorer.system.folders import user_folder

MIB = 1 << 20


@dataclass(frozen=True)
class EngineSettings:
    """The settings, checked. Raises SettingsError."""

    listen: str = setting("127.0.0.1:8003", "HOST:PORT to serve on; port 0: any free port", metavar="ADDRESS")
    data: Path | None = setting(
        None,
        "directory for data that outlasts a restart (default: stream-scorer/engine in the user's data directory)",
        metavar="DIR",
    )
    engines: int = setting(1, "number of engines, named engine-1, engine-2, ...", low=1)
    model_manage: bool = setting(
        True,
        "serve Model Manage, too; without it, schemas are fetched from --connect-prefix",
    )
    tls_cert: Path | None = setting(None, "certificate chain in PEM, for HTTPS")
    tls_key: Path | None = setting(None, "key of --tls-cert, in PEM")
    token: Path | None = setting(None, "file with the token that clients must send, at least 8 characters")
    insecure: bool = setting(
        False,
        "serve other machines without a token: whoever reaches the port can run code here; web pages stay refused",
    )
    connect_prefix: str = setting(
        "",
        "URL of another fleet's Connect, asked for what this one lacks (default: the variable CONNECT_PREFIX)",
        metavar="URL",
    )
    connect_token: Path | None = setting(None, "file with the token for --connect-prefix")
    connect_ca: Path | None = setting(None, "file of certificates, in PEM, to trust for --connect-prefix")
    connect_insecure: bool = setting(
        False,
        "accept any certificate of --connect-prefix: the vendor's are self-signed",
    )
    unverified: bool = setting(
        False, "load MODEL and what goes with it although they are not what the manifest.json beside them says"
    )
    require_signature: Path | None = setting(
        None,
        "file of Ed25519 public keys in PEM: MODEL, ATTACHMENTS and SCHEMAS have to be of a bundle that one has signed",
    )
    policy: Path | None = setting(None, "YAML file with the import policy of engines that were given none")
    max_body: int = setting(512, "largest request body, in MiB, at most 900", low=1)
    max_bodies: int = setting(
        256,
        "most MiB of request bodies in memory, of all clients together; a larger one waits until it is alone",
        low=1,
    )
    max_connections: int = setting(
        400,
        "most connections at a time; a new one displaces one that waits and has sent no request that was let in",
        low=4,
    )
    log_level: str = setting("INFO", "lowest level to log", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    log_format: str = setting("text", "format of log lines", choices=("text", "json"))

    def __post_init__(self) -> None:
        host = self.address.host
        self.trust()
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key go together: give both, or neither.")
        if self.token is None and not self.insecure and not is_loopback(host):
            raise SettingsError(
                f"--listen {self.address} can be reached from other machines, and who reaches it runs code here. "
                "Give --token FILE, listen on 127.0.0.1, or say --insecure."
            )
        if self.max_body > 900:
            raise SettingsError("--max-body: SQLite keeps no more than 900 MiB in one place.")

    def trust(self) -> Trust:
        """What is asked of the files that the environment names. Raises SettingsError."""
        return Trust(self.unverified, self.require_signature)

    @property
    def address(self) -> Address:
        """Host and port to serve on. Raises SettingsError."""
        return read_address(self.listen, "--listen")

    def folder(self) -> Path:
        """Return the directory of the data. Raises SettingsError."""
        if self.data is not None:
            return self.data
        return user_folder("XDG_DATA_HOME", ".local/share") / "engine"


@dataclass(frozen=True)
class Baked:
    """The files that the environment of a baked engine names, by slot or name (rule `i.variables`)."""

    model: Path | None
    schemas: Mapping[str, Path]
    streams: Mapping[int, Path]
    attachments: tuple[Path, ...]
    configuration: Path | None


def baked_from(env: Mapping[str, str]) -> Baked:
    """Read MODEL, SCHEMAS, STREAMS, ATTACHMENTS and FASTSCORE_CONFIG. Raises SettingsError."""
    streams = {}
    for slot, path in _pairs("STREAMS", env):
        if not slot.isdecimal():
            raise SettingsError(f"STREAMS: {slot!r} is not a slot. Write SLOT:PATH;SLOT:PATH.")
        streams[int(slot)] = Path(path)
    model = env.get("MODEL", "").strip()
    configuration = env.get("FASTSCORE_CONFIG", "").strip()
    return Baked(
        model=Path(model) if model else None,
        schemas={name: Path(path) for name, path in _pairs("SCHEMAS", env)},
        streams=streams,
        attachments=tuple(Path(path) for path in _items("ATTACHMENTS", env)),
        configuration=Path(configuration) if configuration else None,
    )


def _items(name: str, env: Mapping[str, str]) -> list[str]:
    return [item.strip() for item in env.get(name, "").split(";") if item.strip()]


def _pairs(name: str, env: Mapping[str, str]) -> list[tuple[str, str]]:
    pairs = []
    for item in _items(name, env):
        key, colon, path = item.partition(":")
        if not colon or not key.strip() or not path.strip():
            raise SettingsError(f"{name}: {item!r} is not of the form NAME:PATH. Write NAME:PATH;NAME:PATH.")
        pairs.append((key.strip(), path.strip()))
    return pairs


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(file: Path, flag: str) -> str:
    """Return the token in a file. Raises SettingsError: it cannot be read, or it is too short."""
    try:
        token = file.read_text().strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{flag} {file}: cannot be read ({error}).") from error
    if len(token) < 8:
        raise SettingsError(f"{flag} {file}: a token of {len(token)} characters is guessed soon. Make a longer one.")
    return token
