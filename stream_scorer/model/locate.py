"""Finds the files of a model by the MODEL of a command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream_scorer.errors import ModelError
from stream_scorer.model.bundle import attachment_beside, is_bundle, module_of

SHIPPED = ("tf_sp500_lstm", "sp500_forecast")


@dataclass(frozen=True)
class Located:
    """A module file, the attachment beside it if there is one, and the folder where its schemas are looked for."""

    module: Path
    attachment: Path | None
    schema_dir: Path


def locate(model: str) -> Located:
    """A path to a .py file, a bundle directory, or the name of a shipped model. Raises ModelError."""
    path = Path(model)
    if path.is_dir() and is_bundle(path):
        return _beside(path / module_of(path))
    if path.is_file():
        return _beside(path.resolve())
    if model in SHIPPED and not path.exists():
        return _beside(_shipped_folder() / f"{model}.py")
    problem = "a directory without manifest.json" if path.is_dir() else "no such file"
    raise ModelError(
        f"model {model!r}: {problem}. Give the path of a module (.py), of a bundle that `stream-scorer export` wrote, "
        f"or the name of a shipped model: {', '.join(SHIPPED)}."
    )


def absolute(model: str) -> str:
    """The same MODEL for `locate`, wherever the process goes."""
    return str(Path(model).resolve()) if Path(model).exists() else model


def _beside(module: Path) -> Located:
    module = module.resolve()
    return Located(module, attachment_beside(module), module.parent)


def _shipped_folder() -> Path:
    return Path(__file__).parents[1] / "models"
