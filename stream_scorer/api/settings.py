"""Settings of `run`, given as keyword arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.spelling import did_you_mean
from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.declared import load
from stream_scorer.settings.paths import with_absolute_paths

Setting = str | int | float | bool | Path | Mapping[str, str | Path] | None
"""Value of a setting. None is as if it were not given; KEY=VALUE settings, as `kafka`, are mappings."""
OF_A_PROCESS = frozenset(("workers", "log_level", "log_format"))
"""These settings are of a process of its own, which the caller's is not."""


def run_settings(
    given: Mapping[str, Setting],
    *,
    config: str | Path | None = None,
    without: Set[str] = frozenset(),
    defaults: Mapping[str, Setting] | None = None,
) -> RunSettings:
    """The settings of `run` by their names, with underscores. The environment is not looked at; relative paths lead from here.

    Args:
        defaults: used for settings that are not given, in place of those of `run`.
        config: TOML file of settings, for those that are not given.
        without: settings that have no meaning where they are given.
    Raises:
        SettingsError: there is no such setting, its value is not a legal one, or settings contradict each other.
    """
    names = [field.name for field in dataclasses.fields(RunSettings) if field.name not in without]
    for name in given:
        if name in without:
            raise SettingsError(f"{name}: this setting of `stream-scorer run` has no meaning here. Leave it out.")
        if name not in names:
            near = did_you_mean(name, names) or f" There are: {', '.join(sorted(names))}."
            raise SettingsError(f"{name}: no such setting.{near}")
    chosen = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in {**(defaults or {}), **given}.items()
        if value is not None
    }
    return with_absolute_paths(load(RunSettings, chosen, None if config is None else Path(config), env={}))
