"""Under which names the server may be asked, and which pages are its own."""

import pytest

from rag_graph.errors import SettingsError
from rag_graph.server.hosts import AllowedHosts, Host, is_own_origin


def allows(listed: str, host: str, *, address: str = "127.0.0.1", has_keys: bool = False) -> bool:
    parsed = Host.parse(host)
    assert parsed is not None
    return AllowedHosts.choose(listed, address=address, has_keys=has_keys).allow(parsed)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "localhost.", "rag.localhost:1", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000",
     "10.1.2.3:8000", "[fd00::1]:8000", "0.0.0.0:8000"],
)  # fmt: skip
def test_names_of_this_machine_and_addresses_are_always_allowed(host: str) -> None:
    assert allows("", host)
    assert allows("example.org", host, address="0.0.0.0", has_keys=True)


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "localhost.rebound.example",
        "127.0.0.1.rebound.example",
        "notlocalhost",
        "server",
        "2130706433",
    ],
)
def test_any_other_name_must_be_listed(host: str) -> None:
    assert not allows("", host)
    assert not allows("", host, address="0.0.0.0")
    assert allows(f"other.example, {host.upper()}", f"{host}:8000")


def test_names_below_a_listed_ending_are_allowed_and_it_itself_is_not() -> None:
    assert allows("*.example.org", "a.b.example.org")
    assert not allows("*.example.org", "example.org")
    assert not allows("*.example.org", "badexample.org")
    assert allows("*", "anything.example")


def test_the_name_that_is_listened_on_is_allowed() -> None:
    assert allows("", "rag.internal:8000", address="rag.internal")


def test_beyond_this_machine_keys_guard_names_that_nobody_listed() -> None:
    """A service in a cluster has names that it cannot know, and a page under a rebound name has no key."""
    assert allows("", "rag-graph.default.svc", address="0.0.0.0", has_keys=True)
    assert not allows("", "rag-graph.default.svc", address="127.0.0.1", has_keys=True)
    assert not allows("rag.example", "other.example", address="0.0.0.0", has_keys=True)


@pytest.mark.parametrize(
    "listed", ["https://example.org", "example.org:8000", "a b", "*example.org", "a/*", "é.example"]
)
def test_what_is_no_host_name_is_refused_by_name(listed: str) -> None:
    with pytest.raises(SettingsError, match="RAG_ALLOWED_HOSTS"):
        AllowedHosts.choose(listed, address="127.0.0.1", has_keys=False)


@pytest.mark.parametrize("value", ["", "a b", "a/b", "user@host", "a:b", "[::1", "a,b", "a:123456", "évil.example"])
def test_what_is_no_host_is_none(value: str) -> None:
    assert Host.parse(value) is None


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("https://rag.example", "rag.example", True),
        ("https://rag.example:443", "rag.example", True),
        ("https://RAG.example", "rag.example:443", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://localhost:3000", "localhost:8000", False),
        ("http://localhost", "localhost:8000", False),
        ("https://rag.example.evil", "rag.example", False),
        ("https://evil.example", "rag.example", False),
        ("null", "rag.example", False),
        ("", "rag.example", False),
        ("file://rag.example", "rag.example", False),
        ("http://rag.example:99999", "rag.example", False),
    ],
)
def test_an_origin_is_our_own_when_its_host_is_the_one_that_was_asked(origin: str, host: str, *, own: bool) -> None:
    parsed = Host.parse(host)
    assert parsed is not None
    assert is_own_origin(origin, parsed) is own
