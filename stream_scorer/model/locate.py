"""Finds the files of a model by the MODEL of a command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream_scorer.errors import ModelError
from stream_scorer.model.bundle import attachment_beside, is_bundle, module_of

SHIPPED = ("tf_sp500_lstm", "sp500_forecast")


@dataclass(frozen=True)
class Located:
    """The absolute paths of a module file, of its attachment if it has one, and of the folder of its schemas."""

    module: Path
    attachment: Path | None
    schema_dir: Path

    @property
    def attachments(self) -> list[str]:
        """Names of the attachments, as `begin` gets them."""
        return [self.attachment.name] if self.attachment else []


def locate(model: str, attachment: Path | None = None) -> Located:
    """Find the files of a model. Raises ModelError: there is no such model.

    Args:
        model: path of a module file or of a bundle directory, or the name of a shipped model.
        attachment: archive of the model's files; None: the one beside the module, if any.
    """
    path = Path(model)
    if path.is_dir() and is_bundle(path):
        return _located(path / module_of(path), attachment)
    if path.is_file():
        return _located(path, attachment)
    if model in SHIPPED and not path.exists():
        return _located(_shipped_folder() / f"{model}.py", attachment)
    problem = "a directory without manifest.json" if path.is_dir() else "no such file"
    raise ModelError(
        f"model {model!r}: {problem}. Give the path of a module (.py), of a bundle that `stream-scorer export` wrote, "
        f"or the name of a shipped model: {', '.join(SHIPPED)}."
    )


def absolute(model: str) -> str:
    """Return a MODEL that `locate` finds from any working directory."""
    return str(Path(model).resolve()) if Path(model).exists() else model


def _located(module: Path, attachment: Path | None) -> Located:
    module = module.resolve()
    return Located(module, attachment.resolve() if attachment else attachment_beside(module), module.parent)


def _shipped_folder() -> Path:
    return Path(__file__).parents[1] / "models"
