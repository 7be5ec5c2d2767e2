"""Slots: numbers no two living processes share."""

from __future__ import annotations

import os
import subprocess
import sys
import types
import uuid
from pathlib import Path

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.service import transactional_id
from stream_scorer.service.transactional_id import InstanceNumber

HOLD = (
    "import sys; from stream_scorer.service.transactional_id import InstanceNumber; s = InstanceNumber(sys.argv[1]); "
    "print(s.number, flush=True); sys.stdin.read()"
)
sockets = pytest.mark.skipif(sys.platform != "linux", reason="no abstract sockets")


@pytest.fixture
def name():
    return f"group-{uuid.uuid4()}"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """As where there are no abstract sockets: the home and the folder for all, both beneath the test's own."""
    monkeypatch.setattr(transactional_id, "_lock_socket", _no_sockets)
    monkeypatch.setattr(transactional_id, "TEMPORARY", tmp_path / "tmp")
    monkeypatch.setattr(
        transactional_id, "pwd", types.SimpleNamespace(getpwuid=lambda _: types.SimpleNamespace(pw_dir=tmp_path))
    )
    return transactional_id._folders()


def _no_sockets(_):
    raise PermissionError("not in this sandbox")


def _held(name, env=(), prepare=""):
    """Another process that holds a slot, and its number."""
    code = HOLD.replace("s = InstanceNumber", f"{prepare}; s = InstanceNumber") if prepare else HOLD
    process = subprocess.Popen(
        [sys.executable, "-c", code, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **dict(env)},
    )
    return process, int(process.stdout.readline())


@pytest.mark.process
def test_another_process_gets_the_next_number_and_its_death_frees_it(name):
    other, number = _held(name)
    with other:
        assert number == 0
        mine = InstanceNumber(name)
        assert mine.number == 1
        other.kill()
    again = InstanceNumber(name)
    assert again.number == 0
    again.release()
    mine.release()


def test_names_do_not_meet(name):
    taken = [InstanceNumber(name), InstanceNumber(f"{name}2"), InstanceNumber(name)]
    assert [slot.number for slot in taken] == [0, 0, 1]
    for slot in taken:
        slot.release()
    released = InstanceNumber(name)
    assert released.number == 0
    released.release()


@pytest.mark.process
@sockets
def test_nothing_of_the_environment_makes_two_services_miss_each_other(name, tmp_path):
    """Nor does a file system that cannot be written to, a home that is none, or a cleaned one."""
    env = {variable: str(tmp_path / variable) for variable in ("TMPDIR", "HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")}
    mine = InstanceNumber(name)
    other, number = _held(name, env)
    with other:
        other.kill()
    mine.release()
    assert number == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
@sockets
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_two_users_of_a_host_get_two_numbers(name):
    mine = InstanceNumber(name)
    other, number = _held(name, prepare="import os; os.setuid(65534)")
    with other:
        other.kill()
    mine.release()
    assert number == 1


@pytest.mark.process
def test_without_sockets_a_file_in_the_home_is_locked(folders, name):
    home = f"import types; import stream_scorer.service.transactional_id as m; m._folders = lambda: [m.Path({str(folders[0])!r})]"
    other, number = _held(name, prepare=f"{home}; m._lock_socket = m._lock_files")
    with other:
        assert number == 0
        mine = InstanceNumber(name)
        assert mine.number == 1
        assert {file.parent for file in folders[0].iterdir()} == {folders[0]}
        other.kill()
    again = InstanceNumber(name)
    assert again.number == 0
    again.release()
    mine.release()


def _link(folder: Path):
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def _open_to_all(folder: Path):
    folder.mkdir()
    folder.chmod(0o777)


def _anothers(folder: Path):
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)


def _a_file(folder: Path):
    folder.touch()


def _a_pipe(folder: Path):
    """Whoever opens it waits for a writer."""
    os.mkfifo(folder)


def _for_the_group(folder: Path):
    folder.mkdir()
    folder.chmod(0o770)


def _a_closed_one(folder: Path):
    folder.mkdir(mode=0o000)


WRONG = {
    "a pipe": (_a_pipe, "exists"),
    "open to the group": (_for_the_group, "others may write"),
    "closed": pytest.param(
        (_a_closed_one, "denied"), marks=pytest.mark.skipif(os.geteuid() == 0, reason="root opens what is closed")
    ),
    "a link": (_link, "a link"),
    "open to all": (_open_to_all, "others may write"),
    "a file": (_a_file, "exists"),
    "another user's": pytest.param(
        (_anothers, "user 65534"), marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it away")
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_folder_that_is_not_ours_alone_is_not_used(folders, name, wrong):
    make, _ = wrong
    folders[0].parent.mkdir(parents=True)
    make(folders[0])
    slot = InstanceNumber(name)
    slot.release()
    assert [file.name[32:] for file in folders[1].iterdir()] == [".0"]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_without_any_folder_the_service_ends_and_says_why(folders, name, wrong):
    make, reason = wrong
    for folder in folders:
        folder.parent.mkdir(parents=True, exist_ok=True)
        make(folder)
    with pytest.raises(SettingsError, match=rf"(?s)locks: .*{reason}.*tmp.*{reason}"):
        InstanceNumber(name)


@pytest.mark.parametrize(
    "put", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "link"]
)
def test_what_lies_in_the_place_of_a_lock_is_not_opened(folders, name, put):
    InstanceNumber(name).release()
    (lock,) = folders[0].iterdir()
    lock.unlink()
    put(lock)
    first, second = InstanceNumber(name), InstanceNumber(name)
    assert (first.number, second.number) == (0, 1)
    second.release()
    first.release()


@pytest.mark.parametrize("broken", [0, 1])
def test_a_folder_that_fails_for_a_while_makes_no_two_services_miss_each_other(folders, name, broken):
    InstanceNumber(name).release()
    folders[broken].chmod(0o777)
    first = InstanceNumber(name)
    folders[broken].chmod(0o700)
    second = InstanceNumber(name)
    assert (first.number, second.number) == (0, 1)
    second.release()
    first.release()


def test_two_users_without_a_common_lock_get_two_ids(folders, name):
    mine = InstanceNumber(name)
    assert mine.text == f"{os.getuid()}-0"
    mine.release()


@sockets
def test_where_all_users_share_the_lock_the_id_is_the_number(name):
    mine = InstanceNumber(name)
    assert mine.text == "0"
    mine.release()


def test_a_user_without_an_entry_has_the_other_folder(folders, name, monkeypatch):
    def nobody(_):
        raise KeyError("uid not found")

    monkeypatch.setattr(transactional_id.pwd, "getpwuid", nobody)
    InstanceNumber(name).release()
    assert folders[1].is_dir()


def test_all_numbers_taken(monkeypatch, name):
    monkeypatch.setattr(transactional_id, "MAX_SERVICES", 2)
    taken = [InstanceNumber(name), InstanceNumber(name)]
    with pytest.raises(SettingsError, match="another --instance"):
        InstanceNumber(name)
    for slot in taken:
        slot.release()
