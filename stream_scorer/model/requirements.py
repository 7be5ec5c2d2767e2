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
"""The first release with tensorflow.compat.v1 that all of its users run on."""
_WITH_NUMPY_1 = {"numpy": "<1.23"}
"""numpy.asscalar left with 1.23, numpy.float and its like with 1.24."""


def requirements(source: str, module: Path, compat: str | None, attached: Iterable[str] = ()) -> str:
    """A line for each package that the module imports: in the version in use here, or in one of the model's own time.

    Args:
        compat: what the module's `stream-scorer.compat` comment says.
        attached: names of the attachment's files. The modules among them need no line.
    Raises:
        ModelError: a package is not installed here.
    """
    found = [] if compat == "none" else find_reasons(source, module.name, module.parent)
    era = [reason for reason in found if reason.era in (TF1, NUMPY1)]
    of_its_time = _family(era, compat)
    packages = importlib.metadata.packages_distributions()
    own = {PurePosixPath(name).parts[0].removesuffix(".py") for name in attached if name.endswith(".py")}
    names = sorted(_imports(source) - set(sys.stdlib_module_names) - own - {"fastscore"})
    if of_its_time is None:
        lines = [_in_use(_distribution(name, module, packages)) for name in names]
    else:
        lines = [_told(module, era, of_its_time)]
        lines += [
            name + of_its_time[name] if name in of_its_time else _distribution(name, module, packages) for name in names
        ]
    return "".join(f"{line}\n" for line in lines)


def _family(era: list[Reason], compat: str | None) -> dict[str, str] | None:
    """Versions that go together; None for a model of today."""
    old = [reason.name for reason in era if reason.era == TF1]
    if any(name.startswith("tensorflow.compat.v1") for name in old):
        return _WITH_TENSORFLOW_1_15
    if old or compat == "tf1":
        return _WITH_TENSORFLOW_1_4
    return _WITH_NUMPY_1 if era else None


def _told(module: Path, era: list[Reason], family: dict[str, str]) -> str:
    why = f"{era[0].name} at {era[0].file}:{era[0].line}" if era else "its stream-scorer.compat comment says so"
    what, python = (TF1, "3.6") if "tensorflow" in family else (NUMPY1, "3.10 or earlier")
    return f"# {module.name} was written for {what} ({why}): libraries of that time, which need Python {python}."


def _in_use(distribution: str) -> str:
    return f"{distribution}=={importlib.metadata.version(distribution)}"


def _distribution(name: str, module: Path, packages: Mapping[str, list[str]]) -> str:
    if name not in packages:
        raise ModelError(
            f"{module}: imports {name}, which is not installed here, so its version is not known. Install it."
        )
    return packages[name][0]


def _imports(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found
