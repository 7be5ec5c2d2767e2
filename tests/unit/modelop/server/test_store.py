"""The store: what it has said it keeps is there after a restart."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.server.store import Item, Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store.sqlite")
    yield store
    store.close()


def test_all_is_there_after_a_restart(store, tmp_path):
    assert store.put("model", "m", "t", b"\0\xff")
    assert not store.put("model", "m", "t2", b"source")
    assert store.put("schema", "m", "json", b"1")
    assert store.put_attachment("m", "a.zip", "application/zip", bytes(100_000))
    assert store.add_snapshot("m", "abcdefgh", b"state")
    store.close()
    again = Store(tmp_path / "store.sqlite")
    assert again.get("model", "m") == Item("t2", b"source")
    assert again.types("model") == [("m", "t2")]
    assert again.attachments("m") == ["a.zip"]
    assert again.attachment_size("m", "a.zip") == ("application/zip", 100_000)
    assert again.attachment("m", "a.zip") == Item("application/zip", bytes(100_000))
    assert again.snapshot("m", "abcdefgh") == b"state"
    again.close()


def test_with_a_model_go_its_attachments_and_snapshots_alone(store):
    for model in ("m", "n"):
        store.put("model", model, "t", b"")
        store.put_attachment(model, "a.zip", "t", b"")
        store.add_snapshot(model, "abcdefgh", b"")
    assert store.remove("model", "m")
    assert not store.remove("model", "m")
    assert (store.attachments("m"), store.snapshots("m")) == ([], [])
    assert (store.attachments("n"), len(store.snapshots("n"))) == (["a.zip"], 1)


def test_snapshots_are_found_by_time_count_and_prefix(store):
    for id_ in ("aaaaaaaa", "aabbbbbb", "cccccccc"):
        assert store.add_snapshot("m", id_, id_.encode())
    assert not store.add_snapshot("m", "cccccccc", b"other")
    now = datetime.now(UTC)
    assert [info.id for info in store.snapshots("m")] == ["cccccccc", "aabbbbbb", "aaaaaaaa"]
    assert [info.id for info in store.snapshots("m", count=1)] == ["cccccccc"]
    assert len(store.snapshots("m", since=now - timedelta(hours=1), until=now + timedelta(hours=1))) == 3
    assert store.snapshots("m", since=now + timedelta(hours=1)) == []
    assert store.snapshots("m", until=now - timedelta(hours=1)) == []
    assert [info.id for info in store.snapshots_like("m", "aa")] == ["aaaaaaaa", "aabbbbbb"]
    assert [info.id for info in store.snapshots_like("m", "aab")] == ["aabbbbbb"]
    assert store.snapshots_like("m", "%") == []
    assert store.snapshots_like("n", "aa") == []


def test_an_id_that_begins_another_is_itself(store):
    store.add_snapshot("m", "abc", b"")
    store.add_snapshot("m", "abcd", b"")
    assert [info.id for info in store.snapshots_like("m", "abc")] == ["abc"]


def test_many_threads_lose_nothing(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: store.put("schema", f"s{at}", "json", b"%d" % at), range(100)))
    assert len(store.names("schema")) == 100
    assert store.get("schema", "s42").body == b"42"


@pytest.mark.parametrize("content", [b"no database at all, and long enough to be looked at" * 20, None])
def test_a_file_that_is_no_store_of_ours_is_refused(tmp_path, content):
    file = tmp_path / "store.sqlite"
    if content is None:
        with sqlite3.connect(file) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"cannot be used|later version"):
        Store(file)
