"""YAML from outside, read as plain values: what JSON can say, and nothing that is larger than its text.

YAML can say much in few bytes: an alias stands for a whole part of the text, and aliases of aliases for any size. It has
dates, sets and tags that JSON has not, and mappings that contain themselves. Clients get what is read here as JSON.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import yaml

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.spelling import is_text

MAX_BYTES = 256 << 10
"""Of a text: the reader takes seconds for this."""
MAX_DEPTH = 64
MAX_NODES, MAX_CHARACTERS = 150_000, 512 << 10
"""Of what a text stands for, with each alias counted as what it stands for."""
_STRING = "tag:yaml.org,2002:str"
_TEXTS = {"tag:yaml.org,2002:python/unicode", "tag:yaml.org,2002:python/str"}
_DATE = "tag:yaml.org,2002:timestamp"
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq", "merge")}


class _Loader(yaml.SafeLoader):
    """Reads dates as the text that is there, and the tags that Python 2 gives its strings."""

    # The two places where the scanner goes one level deeper: its time grows with the square of the depth.
    def fetch_flow_collection_start(self, token: Any) -> None:
        self._check_depth(self.flow_level)
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> Any:
        self._check_depth(len(self.indents))
        return super().add_indent(column)

    def _check_depth(self, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise yaml.YAMLError(f"nested more than {MAX_DEPTH} deep, at line {self.line + 1}")


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(text: bytes | str, name: str) -> Any:
    """Return YAML as None, bool, int, float, str, list and dict; the keys of a dict are texts. `name` says what it is.

    Raises SettingsError: it is not YAML, or it is not plain: too large, nested too deeply, a mapping or list that contains
    itself, a tag, a key that is not a single value, a number that JSON cannot have.
    """
    if len(text) > MAX_BYTES:
        raise SettingsError(f"{name}: {len(text):,} bytes of YAML; at most {MAX_BYTES:,} are read.")
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, name)
        return _plain(loader.construct_document(node), name)
    except (yaml.YAMLError, ValueError, ArithmeticError, TypeError, AttributeError, LookupError) as error:
        raise SettingsError(f"{name} is not YAML: {' '.join(str(error).split())[:300]}") from error
    finally:
        if loader is not None:
            loader.dispose()


class _Size(NamedTuple):
    """What a node stands for: values, characters of texts, levels."""

    nodes: int
    characters: int
    height: int


def _check(root: Any, name: str) -> None:
    """Raises SettingsError if the nodes stand for too much, contain themselves, or have tags."""
    known: dict[int, _Size] = {}
    above: set[int] = set()

    def refuse(node: Any, what: str) -> SettingsError:
        return SettingsError(f"{name}: line {node.start_mark.line + 1} {what}")

    def measure(node: Any) -> _Size:
        if id(node) in above:
            raise refuse(node, "contains itself (by an alias of what is around it).")
        if id(node) in known:
            return known[id(node)]
        if node.tag in _TEXTS:
            node.tag = _STRING
        if node.tag not in _PLAIN:
            raise refuse(node, f"has the tag {node.tag[:100]!r}: write plain values without tags.")
        above.add(id(node))
        parts = [measure(child) for child in _children(node)]
        above.discard(id(node))
        size = known[id(node)] = _Size(
            1 + sum(part.nodes for part in parts),
            (len(node.value) if isinstance(node, yaml.ScalarNode) else 0) + sum(part.characters for part in parts),
            1 + max((part.height for part in parts), default=0),
        )
        if size.height > MAX_DEPTH:
            raise refuse(node, f"is nested more than {MAX_DEPTH} deep.")
        if size.nodes > MAX_NODES or size.characters > MAX_CHARACTERS:
            raise refuse(
                node,
                f"stands for more than {MAX_NODES:,} values or {MAX_CHARACTERS:,} characters, by aliases of aliases. "
                "Write out what they stand for.",
            )
        return size

    measure(root)


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _plain(value: Any, name: str) -> Any:
    """Return the value with texts for keys. Raises SettingsError for what JSON cannot have."""
    if isinstance(value, dict):
        return {_key(key, name): _plain(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, name) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{name}: {value} is not a number that JSON can have. Write it as a text, in quotes.")
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        raise SettingsError(f"{name}: a whole number of {value.bit_length()} bits. Write it as a text, in quotes.")
    if isinstance(value, str) and not is_text(value):
        raise SettingsError(f"{name}: {value[:60]!r} has half of a surrogate pair, which no encoding of text has.")
    return value


def _key(key: Any, name: str) -> str:
    if isinstance(key, str):
        return str(_plain(key, name))
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(_plain(key, name))
