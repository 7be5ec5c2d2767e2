"""The third-party packages that a model needs, as lines of a requirements.txt."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from stream_scorer.errors import ModelError
from stream_scorer.model.compat.detect import NUMPY1, TF1, Reason, find_reasons

_WITH_TENSORFLOW_1_4 = {"tensorflow": "==1.4.*", "numpy": "==1.13.*", "pandas": "==0.20.*", "keras": "==2.1.*"}
_WITH_TENSORFLOW_1_15 = {"tensorflow": "==1.15.*", "numpy": "==1.16.*", "pandas": "==0.25.*", "keras": "==2.3.*"}
"""A release that every model with tensorflow.compat.v1 runs on."""
_WITH_NUMPY_1 = {"numpy": "<1.23"}
"""NumPy dropped asscalar in 1.23, float and the like in 1.24."""


def requirements(source: str, module: Path, compat: str | None, attached: Iterable[str] = ()) -> str:
    """A line for each package that the module imports: the version installed here, or for a legacy model one of its time.

    Args:
        compat: value of the module's `stream-scorer.compat` comment.
        attached: names of the files in the attachment. The modules among them get no line.
    Raises:
        ModelError: a package is not installed here.
    """
    reasons = [] if compat == "none" else find_reasons(source, module.name, module.parent)
    era = [reason for reason in reasons if reason.era in (TF1, NUMPY1)]
    versions = _versions_of_its_time(era, compat)
    packages = importlib.metadata.packages_distributions()
    own = {PurePosixPath(name).parts[0].removesuffix(".py") for name in attached if name.endswith(".py")}
    names = sorted(_imports(source) - set(sys.stdlib_module_names) - own - {"fastscore"})
    if versions is None:
        lines = [_in_use(_distribution(name, module, packages)) for name in names]
    else:
        lines = [_comment(module, era, versions)]
        lines += [
            name + versions[name] if name in versions else _distribution(name, module, packages) for name in names
        ]
    return "".join(f"{line}\n" for line in lines)


def _versions_of_its_time(era: list[Reason], compat: str | None) -> dict[str, str] | None:
    """Versions that work together, by package; None for a model of today."""
    old = [reason.name for reason in era if reason.era == TF1]
    if any(name.startswith("tensorflow.compat.v1") for name in old):
        return _WITH_TENSORFLOW_1_15
    if old or compat == "tf1":
        return _WITH_TENSORFLOW_1_4
    return _WITH_NUMPY_1 if era else None


def _comment(module: Path, era: list[Reason], versions: dict[str, str]) -> str:
    why = f"{era[0].name} at {era[0].file}:{era[0].line}" if era else "its stream-scorer.compat comment says so"
    library, python = (TF1, "3.6") if "tensorflow" in versions else (NUMPY1, "3.10 or earlier")
    return f"# {module.name} was written for {library} ({why}): libraries of that time, which need Python {python}."


def _in_use(distribution: str) -> str:
    return f"{distribution}=={importlib.metadata.version(distribution)}"


def _distribution(name: str, module: Path, packages: Mapping[str, list[str]]) -> str:
    if name not in packages:
        raise ModelError(
            f"{module}: imports {name}, which is not installed here, so its version is not known. Install it."
        )
    return packages[name][0]


def _imports(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names
