"""The connection to Kafka: settings of every command that talks to it."""

from __future__ import annotations

import dataclasses

from stream_scorer.errors import SettingsError
from stream_scorer.settings.declared import ENV_PREFIX, setting


@dataclasses.dataclass(frozen=True)
class KafkaSettings:
    """The connection. Subclasses add settings, with the names that `run` has for them."""

    bootstrap_servers: str = setting("localhost:9092", "Kafka brokers: HOST:PORT,HOST:PORT", metavar="SERVERS")
    kafka: dict[str, str] = setting(
        {}, "a librdkafka property; the value @FILE is read from the file; repeat the flag for more"
    )

    def __post_init__(self) -> None:
        self.need("bootstrap_servers")
        if "@" in self.bootstrap_servers:
            raise SettingsError(
                "--bootstrap-servers: expected HOST:PORT,HOST:PORT, found an @. A user and a password belong into --kafka "
                "sasl.username=... and --kafka sasl.password=@FILE."
            )

    def need(self, *names: str) -> None:
        """Raises SettingsError if one of these settings is empty."""
        for name in names:
            if not getattr(self, name):
                raise SettingsError(
                    f"--{name.replace('_', '-')} is not set. Give the flag, {ENV_PREFIX}{name.upper()}, or the key in --config."
                )
