"""Settings of the commands that talk to Kafka beside `run`: a file and an environment made for `run` serve them too."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TypeVar

from stream_scorer.errors import SettingsError
from stream_scorer.service.settings import RunSettings, topics_by_slot
from stream_scorer.settings.declared import add_flags, load, setting
from stream_scorer.settings.kafka import KafkaSettings

T = TypeVar("T", bound=KafkaSettings)


@dataclasses.dataclass(frozen=True)
class TailSettings(KafkaSettings):
    output_topic: str = setting("", "the topic of scores: forecasts that still wait are shown too")
    evaluation_topic: str = setting("", "what `run --evaluate` writes (default: OUTPUT_TOPIC-evaluation)")

    def scores(self) -> str | None:
        """The topic whose forecasts are judged, as `run --evaluate` chooses it; None if none is named."""
        topics = topics_by_slot(self.output_topic)
        return topics[min(topics)] or None

    def evaluations(self) -> str:
        """Raises SettingsError."""
        scores = self.scores()
        if not self.evaluation_topic and scores is None:
            raise SettingsError("tail needs --output-topic or --evaluation-topic. Which one did `run --evaluate` name?")
        return self.evaluation_topic or f"{scores}-evaluation"


@dataclasses.dataclass(frozen=True)
class DeadLetterSettings(KafkaSettings):
    input_topic: str = setting("", "topic whose dead letters are meant")
    dead_letter_topic: str = setting("", "their topic (default: INPUT_TOPIC.dead-letters)")

    def topic(self) -> str:
        """Raises SettingsError."""
        if not self.dead_letter_topic:
            self.need("input_topic")
        return self.dead_letter_topic or f"{self.input_topic}.dead-letters"


def add_kafka_flags(parser: argparse.ArgumentParser, cls: type[KafkaSettings]) -> None:
    """--config and one flag per field of `cls`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings, as `run` takes it")
    add_flags(parser, cls)


def load_kafka(cls: type[T], args: argparse.Namespace) -> T:
    """Raises SettingsError."""
    return load(cls, vars(args), args.config, others=RunSettings)
