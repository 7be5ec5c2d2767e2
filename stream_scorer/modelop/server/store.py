"""The SQLite file of Model Manage and Connect. A change is on disk when its call returns."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from stream_scorer.errors import SettingsError

FORMAT = 1
SNAPSHOT_TYPE = "ETS1"
_TABLES = """
CREATE TABLE item (kind TEXT, name TEXT, type TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, name));
CREATE TABLE attachment (model TEXT, name TEXT, type TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (model, name));
CREATE TABLE snapshot (
    model TEXT, id TEXT, created_on TEXT NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (model, id)
);
CREATE INDEX snapshot_by_time ON snapshot (model, created_on);
"""


class Item(NamedTuple):
    """A stored item. `type` is its Content-Type, without parameters."""

    type: str
    body: bytes


class SnapshotInfo(NamedTuple):
    """Metadata of a snapshot. `created_on` is ISO 8601 in UTC; `size` is in bytes."""

    id: str
    created_on: str
    type: str
    size: int


class Store:
    """Safe from any thread; calls wait for each other. Kinds of items: schema, stream, sensor, model, config, policy, id."""

    def __init__(self, file: Path) -> None:
        """Open the file, or make it. Raises SettingsError."""
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
        except sqlite3.Error as error:
            raise SettingsError(
                f"{file}: cannot be used as the engine's store ({error}). Give another --data."
            ) from error
        if version > FORMAT:
            raise SettingsError(
                f"{file}: written by a later version (format {version}, not {FORMAT}). Update this one."
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Items by kind and name.

    def names(self, kind: str) -> list[str]:
        return [name for (name,) in self._rows("SELECT name FROM item WHERE kind = ? ORDER BY name", kind)]

    def types(self, kind: str) -> list[tuple[str, str]]:
        """Return (name, type) of each item of a kind."""
        return self._rows("SELECT name, type FROM item WHERE kind = ? ORDER BY name", kind)

    def get(self, kind: str, name: str) -> Item | None:
        rows = self._rows("SELECT type, body FROM item WHERE kind = ? AND name = ?", kind, name)
        return Item(*rows[0]) if rows else None

    def put(self, kind: str, name: str, type_: str, body: bytes) -> bool:
        """Add or replace it. Return whether there was none of that name before."""
        with self._change() as db:
            new = self.get(kind, name) is None
            db.execute("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)", (kind, name, type_, body))
        return new

    def remove(self, kind: str, name: str) -> bool:
        """Remove an item; with a model, its attachments and snapshots. Return whether there was one."""
        with self._change() as db:
            if kind == "model":
                db.execute("DELETE FROM attachment WHERE model = ?", (name,))
                db.execute("DELETE FROM snapshot WHERE model = ?", (name,))
            return db.execute("DELETE FROM item WHERE kind = ? AND name = ?", (kind, name)).rowcount > 0

    # Attachments of a model.

    def attachments(self, model: str) -> list[str]:
        return [name for (name,) in self._rows("SELECT name FROM attachment WHERE model = ? ORDER BY name", model)]

    def attachment(self, model: str, name: str) -> Item | None:
        rows = self._rows("SELECT type, body FROM attachment WHERE model = ? AND name = ?", model, name)
        return Item(*rows[0]) if rows else None

    def attachment_size(self, model: str, name: str) -> tuple[str, int] | None:
        """Return type and size in bytes, without reading the attachment; None if there is none."""
        rows = self._rows("SELECT type, length(body) FROM attachment WHERE model = ? AND name = ?", model, name)
        return rows[0] if rows else None

    def put_attachment(self, model: str, name: str, type_: str, body: bytes) -> bool:
        """Add or replace it. Return whether there was none of that name before."""
        with self._change() as db:
            new = self.attachment_size(model, name) is None
            db.execute("INSERT OR REPLACE INTO attachment VALUES (?, ?, ?, ?)", (model, name, type_, body))
        return new

    def remove_attachment(self, model: str, name: str) -> bool:
        with self._change() as db:
            return db.execute("DELETE FROM attachment WHERE model = ? AND name = ?", (model, name)).rowcount > 0

    # Snapshots of a model, the latest first.

    def snapshots(
        self, model: str, since: datetime | None = None, until: datetime | None = None, count: int | None = None
    ) -> list[SnapshotInfo]:
        return [
            SnapshotInfo(*row)
            for row in self._rows(
                "SELECT id, created_on, type, length(body) FROM snapshot"
                " WHERE model = ? AND created_on BETWEEN ? AND ? ORDER BY created_on DESC, rowid DESC LIMIT ?",
                model,
                _stamp(since) if since else "",
                _stamp(until) if until else "9999",
                -1 if count is None else count,
            )
        ]

    def snapshots_like(self, model: str, prefix: str) -> list[SnapshotInfo]:
        """Return the snapshots whose id begins with `prefix`; only the one with this very id, if there is one."""
        rows = self._rows(
            "SELECT id, created_on, type, length(body) FROM snapshot WHERE model = ? AND substr(id, 1, ?) = ? ORDER BY id",
            model,
            len(prefix),
            prefix,
        )
        matching = [SnapshotInfo(*row) for row in rows]
        return [info for info in matching if info.id == prefix] or matching

    def snapshot(self, model: str, id_: str) -> bytes | None:
        rows = self._rows("SELECT body FROM snapshot WHERE model = ? AND id = ?", model, id_)
        return rows[0][0] if rows else None

    def add_snapshot(self, model: str, id_: str, body: bytes) -> bool:
        """Add a snapshot. Return False if the id is taken."""
        with self._change() as db:
            if self.snapshot(model, id_) is not None:
                return False
            now = _stamp(datetime.now(UTC))
            db.execute("INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)", (model, id_, now, SNAPSHOT_TYPE, body))
        return True

    def remove_snapshot(self, model: str, id_: str) -> bool:
        with self._change() as db:
            return db.execute("DELETE FROM snapshot WHERE model = ? AND id = ?", (model, id_)).rowcount > 0

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _stamp(time: datetime) -> str:
    """Return a time as text that sorts in the order of time."""
    return (
        time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    )  # %Y writes no zeros before
