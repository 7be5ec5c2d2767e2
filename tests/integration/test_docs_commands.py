"""The commands of README and docs run as they are written, and print what their page shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from support.brokers import free_ports
from support.engine import clean_environment
from tests.support import docs
from tests.support.pages import first_missing, lines_of, read_page
from tests.support.registry import registry
from tests.support.secured import make_certificates

pytestmark = [pytest.mark.process, pytest.mark.broker, pytest.mark.tensorflow, pytest.mark.slow]

PAGES = [page for page in map(read_page, docs.PAGES) if page.commands]
INSTEAD = {
    "make demo": "stream-scorer demo",  # which it runs once it has made an environment by pip
    ".venv/bin/stream-scorer demo": "true",  # the same again
    "stream-scorer train ": "{} --iterations 2 --no-plots",  # 1,500 take a minute
}
"""What is run in place of a command. {}: the command itself."""
NOT_RUN = {
    "make test": "runs these tests",
    "make check": "runs tests",
    "make format": "changes the repository",
    ".venv/bin/pytest": "runs tests",
    "STREAM_SCORER_TEST_BROKER=native make test": "runs tests",
    "make bench": "takes 15 minutes, and measures",
    ".venv/bin/python -m bench keep": "changes a file of the repository",
    "python3 -m venv": "pip needs the network; CI does it from a fresh clone",
    ".venv/bin/pip install": "pip needs the network; CI does it from a fresh clone",
    "docker run": "needs an image; tests/e2e runs it",
    "fastscore ": "the vendor's client is not ours to install; tests/integration/test_vendor_api.py sends its requests",
    "stream-scorer train-forecaster": "takes ten minutes; tests/parity/test_forecaster.py does it on less",
    "stream-scorer export sp500_forecast --weights forecaster": "needs what train-forecaster writes",
}
"""Commands that are left out, by their first words, and why."""
LONGEST_S = 1_200
"""Ends commands that hang; on an idle machine the longest block of a page takes some 100 s."""


@pytest.fixture
def address(own_broker):
    """Of a broker that has no topic and group of a page, before it and after it."""
    admin = AdminClient({"bootstrap.servers": own_broker.servers})
    topics, groups = _topics(admin), _groups(admin)
    yield own_broker.servers
    for gone in ({}, *(part.values() for part in _dropped(admin, _topics(admin) - topics, _groups(admin) - groups))):
        for future in gone:
            future.result()


def _topics(admin):
    return {topic for topic in admin.list_topics(timeout=30).topics if not topic.startswith("__")}


def _groups(admin):
    return {group.group_id for group in admin.list_consumer_groups().result().valid}


def _dropped(admin, topics, groups):
    yield admin.delete_topics(list(topics)) if topics else {}
    yield admin.delete_consumer_groups(list(groups)) if groups else {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_commands_do_what_the_page_says(page, address, tmp_path, request):
    text = page.path.read_text()
    engine, tls_engine = free_ports(2)
    places = {
        "localhost:9092": address,
        "127.0.0.1:8443": f"127.0.0.1:{tls_engine}",
    }
    if "broker.example.com" in text:
        secured = request.getfixturevalue("secured")
        places |= {"broker.example.com:9093": secured.sasl_tls, "broker.example.com:9094": secured.tls}
        (tmp_path / "password.txt").write_text(secured.password)
        for name in ("ca.pem", "client.pem", "client.key"):
            (tmp_path / name).write_bytes((secured.folder / name).read_bytes())
    _write_what_commands_name(tmp_path, text)
    with registry() as server:
        server.texts[1] = '"double"'
        places["http://registry.example.com:8081"] = server.url
        for name, content in (README_FILES | page.files).items():
            (tmp_path / name).write_text(_with(places, content))
        if page.path.parent.name == "examples":
            shutil.copytree(page.path.parent, tmp_path, dirs_exist_ok=True)
        environment = clean_environment(
            tmp_path / "home",
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            STREAM_SCORER_LISTEN=f"127.0.0.1:{engine}",
        )
        if ".toml" not in text:  # a variable wins over the file
            environment["STREAM_SCORER_BOOTSTRAP_SERVERS"] = address
        _run(f"stream-scorer connect --nowait http://127.0.0.1:{engine}", tmp_path, environment)
        for commands in page.commands:
            output = _run(_with(places, _runnable(commands.script)), tmp_path, environment)
            lacking = first_missing(commands.shown, output)
            assert lacking is None, f"{page.path.name}:{commands.line} shows {lacking!r}; it printed:\n{output[-4000:]}"


README_FILES = read_page(docs.ROOT / "README.md").files
"""Of the model that other pages use, too."""


def _write_what_commands_name(folder: Path, text: str) -> None:
    """Prices, certificates and a token, as users bring them."""
    from stream_scorer_training.data import synthetic_prices

    (folder / "home").mkdir()
    prices, cpi = synthetic_prices(1_300)
    prices.to_csv(folder / "sp500.csv")
    cpi.to_csv(folder / "CPIAUCSL.csv", index_label="DATE")
    if "cert.pem" in text:
        made = folder / "home" / "certificates"
        made.mkdir()
        make_certificates(made)
        (folder / "cert.pem").write_bytes((made / "broker.pem").read_bytes() + (made / "ca.pem").read_bytes())
        (folder / "key.pem").write_bytes((made / "broker.key").read_bytes())
        (folder / "ca.pem").write_bytes((made / "ca.pem").read_bytes())
        (folder / "token.txt").write_text("a token of this test\n")


def _with(places: dict[str, str], text: str) -> str:
    for written, real in places.items():
        text = text.replace(written, real)
    return text


def _runnable(script: str) -> str:
    lines = []
    for line in lines_of(script):
        if not any(line.startswith(words) for words in NOT_RUN):
            instead = next((done for words, done in INSTEAD.items() if line.startswith(words)), "{}")
            lines.append(instead.replace("{}", line.partition("   #")[0].rstrip()))
    return "\n".join(lines)


def _run(script: str, folder: Path, environment: dict[str, str]) -> str:
    """What it printed, stdout and stderr as they came. What it has started in the background ends with it."""
    whole = f"trap 'set +e; jobs -p | xargs -r kill; wait' EXIT\nset -e -o pipefail\n{script}\n"
    with (folder / "home" / "output").open("w+") as output:
        done = subprocess.run(
            ["bash", "-c", whole],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=LONGEST_S,
            check=False,
        )
        output.seek(0)
        printed = output.read()
    assert done.returncode == 0, f"{script}\nended with {done.returncode}:\n{printed[-4000:]}"
    return printed


def test_every_exception_is_of_a_command_that_is_there():
    lines = [line for page in PAGES for commands in page.commands for line in lines_of(commands.script)]
    assert [words for words in (*NOT_RUN, *INSTEAD) if not any(line.startswith(words) for line in lines)] == []
