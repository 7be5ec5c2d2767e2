"""Settings of the other commands that talk to Kafka. A file and an environment made for `run` serve them, too."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TypeVar

from stream_scorer.errors import SettingsError
from stream_scorer.service.settings import RunSettings, topics_by_slot
from stream_scorer.settings.declared import add_flags, load, setting
from stream_scorer.settings.kafka import KafkaSettings

_SUFFIX = ".dead-letters"
T = TypeVar("T", bound=KafkaSettings)


@dataclasses.dataclass(frozen=True)
class TailSettings(KafkaSettings):
    output_topic: str = setting("", "topic of scores, to show pending forecasts, too", metavar="TOPIC")
    evaluation_topic: str = setting(
        "", "topic that `run --evaluate` writes (default: OUTPUT_TOPIC-evaluation)", metavar="TOPIC"
    )

    def scores(self) -> str | None:
        """The topic of the scores that `run --evaluate` judges, that of the first slot; None without --output-topic."""
        topics = topics_by_slot(self.output_topic)
        return topics[min(topics)] or None

    def evaluations(self) -> str:
        """The topic of evaluations. Raises SettingsError."""
        scores = self.scores()
        if not self.evaluation_topic and scores is None:
            raise SettingsError("tail needs --output-topic or --evaluation-topic. Which one did `run --evaluate` name?")
        return self.evaluation_topic or f"{scores}-evaluation"


@dataclasses.dataclass(frozen=True)
class DeadLetterSettings(KafkaSettings):
    input_topic: str = setting("", "input topic of the service that wrote the dead letters", metavar="TOPIC")
    dead_letter_topic: str = setting(
        "", "topic of the dead letters (default: INPUT_TOPIC.dead-letters)", metavar="TOPIC"
    )

    def topic(self) -> str:
        """The topic of the dead letters. Raises SettingsError."""
        if not self.dead_letter_topic:
            self.need("input_topic")
        return self.dead_letter_topic or f"{self.input_topic}{_SUFFIX}"

    def source(self) -> str:
        """The topic that the records came from; an empty text if neither its name nor a default name tells it."""
        named = self.dead_letter_topic
        return self.input_topic or (named.removesuffix(_SUFFIX) if named.endswith(_SUFFIX) else "")


def add_kafka_flags(parser: argparse.ArgumentParser, cls: type[KafkaSettings]) -> None:
    """Add --config, and one flag per field of `cls`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings, as `run` takes it")
    add_flags(parser, cls)


def load_kafka(cls: type[T], args: argparse.Namespace) -> T:
    """The settings of `cls` from file, environment and flags. Raises SettingsError."""
    return load(cls, vars(args), args.config, others=RunSettings)
