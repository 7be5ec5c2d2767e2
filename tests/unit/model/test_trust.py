"""Bundles that were changed, and bundles that nobody has signed: refused before anything of them is executed or unpacked."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import stream_scorer
from stream_scorer.cli import main
from stream_scorer.commands.model_schema import schema_of
from stream_scorer.errors import ModelError, SettingsError
from stream_scorer.model import trust as trusts
from stream_scorer.model.archive import write_archive
from stream_scorer.model.bundle import export
from stream_scorer.model.locate import locate
from stream_scorer.model.trust import Trust, attached
from stream_scorer.modelop.server.hosted_fleet import HostedFleet
from stream_scorer.modelop.server.settings import EngineSettings, baked_from
from stream_scorer.modelop.server.store import Store
from stream_scorer.scoring.hosting import host_model
from stream_scorer.testing import Driver

SOURCE = """\
# fastscore.schema.0: number
# fastscore.schema.1: double
import pathlib
pathlib.Path({mark!r}).touch()
def action(x): yield x
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A signed bundle, its keys, and the file that appears when its module is executed."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "toy.py").write_text(SOURCE.format(mark=str(folder / "executed")))
    (folder / "number.avsc").write_text('"double"')
    (folder / "reference.json").write_text("[1, 2]")
    write_archive(folder / "attachment.tar.gz", {"helper.py": b""})
    key, pub = keys(folder, "key")
    export(locate(str(folder / "toy.py")), None, folder / "bundle", {"number": '"double"'}, {0: "in", 1: "out"}, key)
    return folder, key, pub


def keys(folder, name, private=None):
    private = private or Ed25519PrivateKey.generate()
    key, pub = folder / f"{name}.pem", folder / f"{name}.pub"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pub.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return key, pub


@pytest.fixture
def bundle(made, tmp_path):
    (made[0] / "executed").unlink(missing_ok=True)
    return Path(shutil.copytree(made[0] / "bundle", tmp_path / "bundle"))


@pytest.fixture(autouse=True)
def _nothing_on_stdin(monkeypatch):
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield


@pytest.fixture
def executed(made):
    return (made[0] / "executed").exists


def _append(name, data=b"\n"):
    def change(bundle):
        path = bundle / name
        path.write_bytes(path.read_bytes() + data)

    return change


def _link(name, elsewhere):
    def change(bundle):
        outside = bundle.parent / "outside"
        shutil.move(bundle / name, outside)
        (bundle / name).symlink_to(outside if elsewhere else name)

    return change


def _manifest(change):
    def rewrite(bundle):
        path = bundle / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))

    return rewrite


def _other_module(manifest):
    manifest["module"] = "../evil.py"
    manifest["files"]["../evil.py"] = manifest["files"]["toy.py"]


CHANGES = {
    "module": (_append("toy.py"), "toy.py has sha256"),
    "attachment": (_append("attachment.tar.gz"), r"attachment\.tar\.gz has sha256"),
    "schema": (_append("number.avsc"), r"number\.avsc has sha256"),
    "reference": (_append("reference.json"), r"reference\.json has sha256"),
    "requirements": (_append("requirements.txt", b"evil\n"), r"requirements\.txt has sha256"),
    "missing": (lambda bundle: (bundle / "attachment.tar.gz").unlink(), r"attachment\.tar\.gz is missing"),
    "extra": (lambda bundle: (bundle / "toy.tar.gz").write_bytes(b""), r"toy\.tar\.gz is not listed"),
    "extra, and what to do": (
        lambda bundle: (bundle / ".DS_Store").touch(),
        r"'\.DS_Store' is not listed\. Remove that; or",
    ),
    "extra escape": (lambda bundle: (bundle / "\x1b[2J\n").write_bytes(b""), r"'\\x1b\[2J\\n' is not listed"),
    "extra folder": (lambda bundle: (bundle / "numpy").mkdir(), "numpy is not listed"),
    "renamed": (lambda bundle: (bundle / "number.avsc").rename(bundle / "x.avsc"), "is missing; x.avsc is not listed"),
    "link out": (_link("attachment.tar.gz", True), "is a link to a place outside"),
    "link in a circle": (_link("toy.py", False), "is a link to a place outside"),
    "folder in place": (lambda b: ((b / "toy.py").unlink(), (b / "toy.py").mkdir()), "toy.py is not a plain file"),
    "pipe in place": (lambda b: ((b / "toy.py").unlink(), os.mkfifo(b / "toy.py")), "toy.py is not a plain file"),
    "manifest of another size": (_manifest(lambda m: m["files"]["toy.py"].update(bytes=1)), "bytes, not 1"),
    "manifest of a path": (_manifest(_other_module), r"'\.\./evil\.py' is not the name of a file"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_bundle_is_refused_before_it_is_executed(case, bundle, executed):
    change, text = CHANGES[case]
    change(bundle)
    with pytest.raises(ModelError, match=text) as raised, host_model(locate(str(bundle)), {}):
        pass
    assert "\n" not in str(raised.value)
    assert not executed()


def _score_module(bundle):
    return main(["score", str(bundle / "toy.py")])


def _backtest(bundle):
    prices = bundle.parent / "prices.csv"
    prices.write_text("Date,Close\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n")
    return main(["backtest", str(bundle), "--prices", str(prices), "--out", str(bundle.parent / "report")])


def _open_model(bundle):
    with stream_scorer.open_model(bundle):
        pass


WAYS = {
    "score": lambda bundle: main(["score", str(bundle)]),
    "score of the module": _score_module,
    "verify": lambda bundle: main(["verify", str(bundle)]),
    "export": lambda bundle: main(["export", str(bundle), "--out", str(bundle.parent / "again")]),
    "backtest": _backtest,
    "run": lambda bundle: main(
        ["run", str(bundle), "--bootstrap-servers", "127.0.0.1:1", "--input-topic", "a", "--output-topic", "b"]
    ),
    "replay": lambda bundle: main(
        ["replay", __file__, "--for", str(bundle), "--bootstrap-servers", "127.0.0.1:1", "--topic", "a"]
    ),
    "open_model": _open_model,
    "score in Python": lambda bundle: list(stream_scorer.score(bundle, [1.0])),
    "Driver": Driver,
    "schema_of": lambda bundle: schema_of(str(bundle), 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_use_a_bundle_refuses_a_changed_one(way, bundle, executed, capfd):
    _append("toy.py")(bundle)
    code = None
    with contextlib.suppress(ModelError):
        code = WAYS[way](bundle)
        assert code in (1, 3), "refused, with the exit code of models"
        assert "not what its manifest says: toy.py has sha256" in capfd.readouterr().err
    assert not executed()
    assert not (bundle.parent / "again").exists()


def test_unverified_says_that_it_may_be_used(bundle, executed, capsys):
    _append("toy.py")(bundle)
    assert main(["verify", str(bundle), "--unverified"]) == 0
    assert capsys.readouterr().out.startswith("ok  manifest: NOT checked, as --unverified says\n")
    assert executed()


def test_what_was_checked_is_what_is_used(bundle, executed):
    """Whoever can write to the folder changes it after the check."""
    located = locate(str(bundle))
    for name in ("toy.py", "number.avsc", "reference.json"):
        (bundle / name).write_text("raise SystemExit('evil')")
    with host_model(located, {}) as hosted:
        assert hosted.schemas[0].primitive == "double"
        assert located.beside("reference.json").startswith(b"[")
    assert executed()


def test_an_attachment_changed_after_the_check_is_refused(bundle, executed):
    located = locate(str(bundle))
    write_archive(bundle / "attachment.tar.gz", {"helper.py": b"evil"})
    with pytest.raises(ModelError, match="changed after it was checked"), host_model(located, {}):
        pass
    assert not executed()


def test_a_key_may_come_by_a_pipe(made, bundle, tmp_path):
    """Encrypted keys are decrypted into one, and a pipe can be read only once."""
    reader, writer = os.pipe()
    os.write(writer, made[1].read_bytes())
    os.close(writer)
    try:
        export(locate(str(bundle)), None, tmp_path / "again", {"number": '"double"'}, {}, Path(f"/dev/fd/{reader}"))
    finally:
        os.close(reader)
    assert locate(str(tmp_path / "again"), trust=Trust(signers=made[2])).contents


@pytest.mark.parametrize("model", ["bundle", "module"])
def test_an_attachment_of_another_bundle_has_to_be_what_the_manifest_beside_it_says(model, bundle, write):
    other = Path(shutil.copytree(bundle, bundle.parent / "other"))
    chosen = str(bundle if model == "bundle" else write("plain.py", "def action(x): yield x"))
    with host_model(locate(chosen, other / "attachment.tar.gz"), {}):
        pass
    write_archive(other / "attachment.tar.gz", {"helper.py": b"evil"})
    with (
        pytest.raises(ModelError, match="not what the manifest says"),
        host_model(locate(chosen, other / "attachment.tar.gz"), {}),
    ):
        pass
    with host_model(locate(chosen, other / "attachment.tar.gz", Trust(unverified=True)), {}):
        pass


def test_an_attachment_changed_while_the_model_is_loaded_changes_nothing(write):
    archive = write("a.tar.gz", b"one")
    with attached(archive) as copy:
        archive.write_bytes(b"two")
        assert copy.path.read_bytes() == b"one"
        assert copy.sha256 == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert not copy.path.parent.exists()


def test_a_module_in_a_folder_with_a_manifest_of_another_kind_is_a_module(write):
    write("manifest.json", '{"name": "an app of the web", "version": "1"}')
    assert locate(str(write("toy.py", "def action(x): yield x"))).contents is None


def test_other_files_beside_a_module_that_is_named_itself_are_no_matter(bundle):
    (bundle / "other.py").write_text("")
    (bundle / "toy.tar.gz").write_bytes(b"not listed")
    found = locate(str(bundle / "toy.py"))
    assert found.attachment == bundle / "attachment.tar.gz"


def test_a_mounted_config_map_is_a_bundle(bundle):
    """Kubernetes makes links of the files, within the folder."""
    data = bundle / "..2026_01_01"
    data.mkdir()
    (bundle / "..data").symlink_to("..2026_01_01")
    for path in [path for path in bundle.iterdir() if not path.name.startswith("..")]:
        path.rename(data / path.name)
        path.symlink_to(f"..data/{path.name}")
    assert locate(str(bundle)).contents


DEEP = "[" * 100_000
BROKEN = {
    "empty": b"",
    "no text": b"\xff\xfe{}",
    "a mark": b"\xef\xbb\xbf{}",
    "cut": b'{"format": 1',
    "a list": b"[]",
    "a text": b'"manifest"',
    "deep": DEEP.encode(),
    "a huge number": b'{"format": ' + b"9" * 5000 + b"}",
    "large": b" " * (1 << 20) + b"{}",
    "NaN": b'{"format": NaN}',
    "twice": b'{"format": 1, "format": 1, "module": "a", "files": {}}',
    "true": b'{"format": true, "module": "a", "files": {}}',
    "another format": b'{"format": 2, "module": "a", "files": {}}',
    "no module": b'{"format": 1, "files": {}}',
    "a module that is none": b'{"format": 1, "module": 5, "files": {}}',
    "files as a list": b'{"format": 1, "module": "a", "files": []}',
    "a module not listed": b'{"format": 1, "module": "a\\u001b[2J", "files": {}}',
    "many": json.dumps({"format": 1, "module": "a", "files": {str(at): {} for at in range(1001)}}).encode(),
}
ENTRIES = {
    "null": None, "text": "x", "empty": {}, "a number as hash": {"sha256": 5, "bytes": 1}, "short": {"sha256": "ab", "bytes": 1},
    "upper case": {"sha256": "A" * 64, "bytes": 1}, "no size": {"sha256": "a" * 64}, "true": {"sha256": "a" * 64, "bytes": True},
    "negative": {"sha256": "a" * 64, "bytes": -1}, "1.5": {"sha256": "a" * 64, "bytes": 1.5},
    "huge": {"sha256": "a" * 64, "bytes": 10**400},
}  # fmt: skip
NAMES = [
    "",
    ".",
    "..",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "a\nb",
    ".hidden",
    "manifest.json",
    "manifest.sig",
    "n" * 256,
]


@pytest.mark.parametrize("case", [*BROKEN, *ENTRIES, *NAMES, "surrogate"])
def test_a_broken_manifest_is_told_in_one_line(case, tmp_path, capfd):
    good = {"sha256": "a" * 64, "bytes": 1}
    name = "\ud800" if case == "surrogate" else case
    entry = ENTRIES.get(case, good)
    data = BROKEN.get(
        case, json.dumps({"format": 1, "module": "m", "sha256": "a" * 64, "files": {"m": good, name: entry}}).encode()
    )
    (tmp_path / "manifest.json").write_bytes(data)
    (tmp_path / "m").write_bytes(b"")
    assert main(["score", str(tmp_path)]) == 3
    err = capfd.readouterr().err
    assert err.startswith(f"stream-scorer score: {tmp_path}/manifest.json: ")
    assert err.endswith("Export the bundle again.\n")
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    assert len(err) < 500


@pytest.mark.parametrize("model", ["n" * 300, "n/" * 3000, "a\0b", "\udcff"])
def test_what_no_file_can_be_named_is_told(model):
    with pytest.raises(ModelError, match=r"^model '"):
        locate(model)


def test_a_signed_bundle_is_used_if_one_of_the_keys_has_signed_it(made, bundle, tmp_path):
    pub = made[2]
    _, other = keys(tmp_path, "other")
    both = tmp_path / "both.pub"
    both.write_bytes(other.read_bytes() + b"# the key before\n" + pub.read_bytes())
    for signers in (pub, both):
        assert locate(str(bundle), trust=Trust(signers=signers)).contents
    with pytest.raises(
        ModelError, match=r"manifest\.sig is no signature of its manifest\.json by a key in .*other\.pub"
    ):
        locate(str(bundle), trust=Trust(signers=other))


def test_who_changes_a_signed_bundle_cannot_change_its_manifest(made, bundle, executed, capfd):
    """The hashes agree: only the signature tells."""
    (bundle / "toy.py").write_text("evil = 1")
    export(locate(str(bundle / "toy.py"), trust=Trust(unverified=True)), None, bundle, {"number": '"double"'}, {})
    assert not (bundle / "manifest.sig").exists(), "the signature of the bundle before is gone"
    shutil.copy(made[0] / "bundle" / "manifest.sig", bundle)
    assert locate(str(bundle)).contents
    for way in (["verify", str(bundle)], ["score", str(bundle)], ["export", str(bundle), "--out", str(bundle / "x")]):
        assert main([*way, "--require-signature", str(made[2])]) in (1, 3)
    with (
        pytest.raises(ModelError, match="is no signature"),
        stream_scorer.open_model(bundle, require_signature=made[2]),
    ):
        pass
    assert not executed()


SIGNATURES = {
    "none": (lambda path: path.unlink(), "not signed: it has no manifest.sig"),
    "empty": (lambda path: path.write_bytes(b""), "has 0 bytes: a signature has 64 bytes"),
    "long": (lambda path: path.write_bytes(bytes(65)), "has more than 64 bytes"),
    "zeros": (lambda path: path.write_bytes(bytes(64)), "is no signature"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is not a plain file"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "is not a plain file"),
    "no target": (lambda path: (path.unlink(), path.symlink_to("gone")), "is missing"),
}


@pytest.mark.parametrize("case", SIGNATURES)
def test_what_is_no_signature_is_told(case, made, bundle):
    change, text = SIGNATURES[case]
    change(bundle / "manifest.sig")
    with pytest.raises(ModelError, match=text):
        locate(str(bundle), trust=Trust(signers=made[2]))


@pytest.mark.parametrize("model", ["toy.py", "tf_sp500_lstm"])
def test_what_cannot_be_signed_is_refused_where_signatures_are_asked_for(model, made, bundle):
    name = str(bundle / model) if model.endswith(".py") else model
    with pytest.raises(ModelError, match="asks for a signed bundle, and this is none"):
        locate(name, trust=Trust(signers=made[2]))


def test_no_signature_covers_other_files(made, bundle, capfd):
    for more in (["--attachment", "a.zip"], ["--schema", "number=x.avsc"], ["--unverified"]):
        assert main(["score", str(bundle), "--require-signature", str(made[2]), *more]) == 2
        assert "contradicts --require-signature" in capfd.readouterr().err


def test_keys_that_are_none_are_told(made, bundle, tmp_path):
    folder, key, pub = made
    _, curve = keys(tmp_path, "curve", ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "locked.pem").write_bytes(
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    for file in (key, curve, bundle / "toy.py", tmp_path / "gone", tmp_path):
        with pytest.raises(SettingsError, match=r"^--require-signature .*: "):
            locate(str(bundle), trust=Trust(signers=file))
    texts = {
        pub: "not a private key",
        curve.with_suffix(".pem"): "not an Ed25519 key",
        tmp_path / "gone": "cannot be read",
    }
    for file, text in {**texts, tmp_path / "locked.pem": "the key is encrypted"}.items():
        with pytest.raises(SettingsError, match=text) as raised:
            export(locate(str(folder / "toy.py")), None, tmp_path / "out", {}, {}, file)
        assert "KEY-----" not in str(raised.value).replace("-----BEGIN PUBLIC KEY-----", "")
    assert not (tmp_path / "out").exists()


@pytest.mark.process
def test_openssl_checks_our_signatures(made):
    folder, _, pub = made
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    bundle = folder / "bundle"
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(pub), "-rawin", "-in", "manifest.json"]
    done = subprocess.run([*command, "-sigfile", "manifest.sig"], cwd=bundle, capture_output=True, check=False)
    assert done.returncode == 0, done


def test_files_of_the_bundle_before_are_removed_and_others_are_told(made, bundle, capsys):
    (bundle / "notes.txt").write_text("mine")
    plain = made[0] / "plain.py"
    plain.write_text("def action(x): yield x")
    (made[0] / "attachment.tar.gz").rename(made[0] / "aside")
    try:
        assert main(["export", str(plain), "--out", str(bundle)]) == 0
    finally:
        (made[0] / "aside").rename(made[0] / "attachment.tar.gz")
    assert "notes.txt is not listed in the manifest" in capsys.readouterr().err
    assert not {"toy.py", "attachment.tar.gz", "manifest.sig"} & {path.name for path in bundle.iterdir()}


def test_a_schema_cannot_be_named_so_that_it_is_written_elsewhere(tmp_path, write):
    model = locate(str(write("toy.py", "def action(x): yield x")))
    with pytest.raises(ModelError, match=r"a bundle cannot have a file named '\.\./evil\.avsc'"):
        export(model, None, tmp_path / "deep" / "out", {"../evil": '"double"'}, {})


def test_the_default_is_to_check():
    assert Trust(unverified=False, signers=None) == trusts.CHECKED


UPLOADS = {
    "model add": (["model", "add", "toy"], "toy.py"),
    "attachment upload": (["attachment", "upload", "toy"], "attachment.tar.gz"),
    "schema add": (["schema", "add", "number"], "number.avsc"),
    "stream add": (["stream", "add", "rest"], "rest.json"),
}


@pytest.mark.parametrize("case", UPLOADS)
def test_parts_of_a_changed_bundle_are_not_sent_to_an_engine(case, made, bundle, capsys, monkeypatch):
    words, name = UPLOADS[case]
    sent = []
    monkeypatch.setattr("stream_scorer.modelop.client.fleet_client.Fleet.model_manage", lambda fleet: _Server(sent))
    command = [*words, str(bundle / name), "--server", "http://127.0.0.1:1"]
    assert main([*command, "--require-signature", str(made[2])]) == 0
    assert len(sent) == 1
    _append(name)(bundle)
    assert main(command) == 3
    assert f"not what its manifest says: {name} has sha256" in capsys.readouterr().err
    assert len(sent) == 1
    assert main([*command, "--unverified"]) == 0
    (bundle / "manifest.json").unlink()
    assert main([*command, "--require-signature", str(made[2])]) == 3
    assert "asks for a file of a signed bundle" in capsys.readouterr().err


class _Server:
    def __init__(self, sent):
        self._sent = sent

    def call(self, method, path, body=b"", **_):
        self._sent.append((method, path, body))
        return self

    send = call
    status = 201


@pytest.mark.parametrize("name", ["toy.py", "attachment.tar.gz", "number.avsc"])
def test_an_engine_does_not_load_a_changed_bundle_that_its_environment_names(name, made, bundle, tmp_path, executed):
    files = {"MODEL": bundle / "toy.py", "ATTACHMENTS": bundle / "attachment.tar.gz"}
    environment = {**{key: str(path) for key, path in files.items()}, "SCHEMAS": f"number:{bundle / 'number.avsc'}"}
    _append(name)(bundle)
    settings = EngineSettings(require_signature=made[2])
    with (
        contextlib.closing(Store(tmp_path / "data")) as store,
        pytest.raises(ModelError, match="not what its manifest says"),
    ):
        HostedFleet(settings, baked_from(environment), store, ("127.0.0.1", 1))
    assert not executed()
