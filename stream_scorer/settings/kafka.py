"""Where Kafka is, and who we are there: the same settings for every command that talks to it."""

from __future__ import annotations

import dataclasses

from stream_scorer.errors import SettingsError
from stream_scorer.settings.declared import ENV_PREFIX, setting


@dataclasses.dataclass(frozen=True)
class KafkaSettings:
    """The connection. Commands add what else they share with `run` by name."""

    bootstrap_servers: str = setting("localhost:9092", "Kafka brokers, host:port with commas between")
    kafka: dict[str, str] = setting(
        {}, "KEY=VALUE: any librdkafka property; VALUE @FILE is read from a file; may be repeated"
    )

    def __post_init__(self) -> None:
        self.need("bootstrap_servers")

    def need(self, *names: str) -> None:
        """Raises SettingsError if one is not set."""
        for name in names:
            if not getattr(self, name):
                raise SettingsError(
                    f"--{name.replace('_', '-')} is not set. Give the flag, {ENV_PREFIX}{name.upper()}, or the key in --config."
                )
