"""HOST:PORT as people write it."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.addresses import Address, listen, read_address

PORTS = st.integers(0, 65_535)
HOSTS = st.one_of(st.ip_addresses().map(str), st.sampled_from(["localhost", "scorer-1.example.org"]))


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("9000", "127.0.0.1", 9000, "127.0.0.1:9000"),
        (":9000", "127.0.0.1", 9000, "127.0.0.1:9000"),
        ("0.0.0.0:0", "0.0.0.0", 0, "0.0.0.0:0"),
        ("[::1]:9000", "::1", 9000, "[::1]:9000"),
        ("[::]:9000", "::", 9000, "[::]:9000"),
        ("[fe80::1%eth0]:9000", "fe80::1%eth0", 9000, "[fe80::1%eth0]:9000"),
    ],
)
def test_an_address_is_read(text, host, port, shown):
    found = read_address(text, "--http")
    assert found == (host, port)
    assert str(found) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("::1", "needs brackets"),
        ("::1:9000", "needs brackets"),
        ("[::1]", "needs brackets"),
        ("[::1]:", "expected a port"),
        ("[localhost]:9000", r"\[localhost\] is not an IPv6 address"),
        ("localhost", "expected a port"),
        ("localhost:http", "expected a port"),
        ("localhost:65536", "expected a port"),
        ("localhost:-1", "expected a port"),
        ("localhost:٣", "expected a port"),
        ("", "expected a port"),
    ],
)
def test_what_is_none_is_told_with_its_setting(text, said):
    with pytest.raises(SettingsError, match=said) as caught:
        read_address(text, "--http")
    assert f"--http {text}" in str(caught.value)


@given(HOSTS, PORTS)
def test_what_an_address_shows_is_read_as_itself(host, port):
    assert read_address(str(Address(host, port)), "--http") == (host, port)


@given(PORTS, st.integers(1, 100))
def test_every_worker_has_a_port_or_the_setting_is_refused(port, workers):
    if port + workers - 1 > 65_535:
        with pytest.raises(SettingsError, match="expected a port"):
            read_address(str(port), "--http", ports=workers)
        return
    first = read_address(str(port), "--http", ports=workers)
    ports = [first.plus(number).port for number in range(workers)]
    assert all(0 <= one <= 65_535 for one in ports)
    assert len(set(ports)) == (workers if port else 1)


def _has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", pytest.param("::1", marks=ipv6), pytest.param("::", marks=ipv6)]
)
def test_a_socket_listens_and_a_second_one_is_refused(host):
    with listen(Address(host, 0), "--http") as listener:
        address = Address(host, listener.getsockname()[1])
        with socket.create_connection(("::1" if host == "::" else address.host, address.port), 5):
            pass
        with pytest.raises(SettingsError, match=r"--http .*cannot listen on it .*in use"):
            listen(address, "--http")


@ipv6
def test_all_of_ipv6_is_all_of_ipv4_too():
    with (
        listen(Address("::", 0), "--http") as listener,
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), 5),
    ):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 300])
def test_a_host_that_is_not_here_is_told(host):
    with pytest.raises(SettingsError, match="cannot listen on it"):
        listen(Address(host, 0), "--http")
