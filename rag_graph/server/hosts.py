"""Under which names this server may be asked: what keeps a page whose name is rebound to our address from reading here.

A browser takes whatever a name points to for the page's own server. What it sends in `Host` is still that name.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

from rag_graph.errors import SettingsError

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::(?P<port>\d{0,5}))?", re.ASCII)
_LISTED: Final = re.compile(r"\*|(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class Host(NamedTuple):
    """What a `Host` header says; the port is empty where it says none."""

    name: str
    port: str

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """None for what is no host."""
        found = _HOST.fullmatch(value)
        return cls(found["name"].lower().rstrip(".").strip("[]"), found["port"] or "") if found else None


class AllowedHosts:
    """Which names are this server's own; ports do not matter, as they may be forwarded."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._endings = tuple(name.removeprefix("*") for name in self._names if name.startswith("*."))

    @classmethod
    def choose(cls, listed: str, *, address: str, has_keys: bool) -> Self:
        """Those that RAG_ALLOWED_HOSTS lists, and the address that is listened on. Raises SettingsError.

        A server that asks for keys and listens beyond its own machine is reached by names that it cannot know: of
        services, ingresses, load balancers. There any name is allowed unless some are listed, for a page under a
        rebound name has no key: browsers keep keys by host, and scripts by origin.
        """
        names = [name for name in map(str.strip, listed.lower().split(",")) if name]
        for name in names:
            if not (_LISTED.fullmatch(name) or _is_address(name.strip("[]"))):
                raise SettingsError(
                    f"RAG_ALLOWED_HOSTS: {name!r} is no host name; write it as example.org, or *.example.org for all "
                    "below it, without scheme and port."
                )
        if not names and has_keys and not is_local(address.lower()):
            names = ["*"]
        return cls([*names, address.lower()])

    def allow(self, host: Host) -> bool:
        """An address can be in `Host` only where the address was asked for: no name was rebound to get there."""
        if "*" in self._names or is_local(host.name) or _is_address(host.name):
            return True
        return host.name in self._names or host.name.endswith(self._endings)


def is_own_origin(origin: str, host: Host) -> bool:
    """Whether a page of this origin came from this host; a proxy that speaks TLS for us may have left out the port."""
    try:
        parts = urlsplit(origin)
        name, port = (parts.hostname or "").rstrip("."), str(parts.port or "")
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or name != host.name:
        return False
    return (port or default) == (host.port or default)


def is_local(name: str) -> bool:
    """A name under which a browser finds its own machine: it asks no DNS for `localhost` and what is below it."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
