"""Environment variables that look like settings and are not."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

from stream_scorer.commands.kafka_flags import DeadLetterSettings, TailSettings
from stream_scorer.modelop.server.settings import EngineSettings
from stream_scorer.parsing.spelling import did_you_mean
from stream_scorer.service.lifeline import VARIABLE
from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.declared import ENV_PREFIX

_OTHERS = {"SERVER", "TOKEN", VARIABLE.removeprefix(ENV_PREFIX), "TEST_BROKER", "REQUIRE_ALL"}
"""Read by the client, the supervisor's workers and the tests."""
_OF_KUBERNETES = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""Set in every pod for a Service whose name begins with `stream-scorer`."""


def known() -> set[str]:
    """Names of all settings, without the prefix."""
    classes = (RunSettings, TailSettings, DeadLetterSettings, EngineSettings)
    return {field.name.upper() for cls in classes for field in dataclasses.fields(cls)} | _OTHERS


def unknown(variables: Iterable[str]) -> Iterator[str]:
    """A warning for each variable that begins with the prefix and that nothing reads."""
    names = known()
    for variable in sorted(variables):
        name = variable.removeprefix(ENV_PREFIX)
        if variable.startswith(ENV_PREFIX) and name not in names and not _OF_KUBERNETES.fullmatch(name):
            near = did_you_mean(name, names, ENV_PREFIX)
            yield f"{variable} is set, and there is no such setting.{near}"
