"""Pages out of the web: each fetched politely, within bounds, and from no address that is not public.

A name is resolved once, its addresses are checked, and the connection goes to one of those: what the name's server says
a moment later counts for nothing. Redirects are followed here, so that each of them is checked as the first one was.
"""

import ipaddress
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, Protocol
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import httpcore
import httpx

from rag_graph.errors import DocumentUnreadable, Unreadable

AGENT: Final = "rag-graph"
_MAX_REDIRECTS: Final = 5
_MAX_ROBOTS_BYTES: Final = 500 * 1024
"""So much of it must be read: https://www.rfc-editor.org/rfc/rfc9309#section-2.5."""
_MAX_DELAY_S: Final = 30.0
_TIMEOUTS: Final = {"connect": 10.0, "read": 20.0, "write": 20.0, "pool": 20.0}
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# RFC 6052: an address of IPv4 stands inside, and a gateway would lead to it, private or not.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_NOT_MODIFIED: Final = 304
_GONE: Final = frozenset({404, 410})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is fetched: of one page, and of all; and how long is waited between two requests to one host."""

    page_bytes: int = 20_000_000
    page_s: float = 60.0
    pages: int = 500
    bytes: int = 500_000_000
    seconds: float = 3_600.0
    delay_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address gave; `content` is None where it is as it was. `url` is where the redirects led."""

    url: str
    content: bytes | None
    media_type: str = ""
    charset: str = ""
    etag: str = ""
    last_modified: str = ""


class NotFetched(DocumentUnreadable):
    """A page could not be had; `is_gone` says that its server knows of none at this address."""

    def __init__(self, message: str, kind: Unreadable = "unreadable", *, is_gone: bool = False) -> None:
        super().__init__(message, kind)
        self.is_gone = is_gone


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to public addresses only."""

    def __init__(self, resolver: "Resolver", *, allow_private: bool) -> None:
        self._resolve = resolver
        self._allow_private = allow_private
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        # Resolved here and only here: httpcore would resolve the name again, and get another answer.
        addresses = self._resolve(host, port, allow_private=self._allow_private)
        for at, address in enumerate(addresses):
            try:
                return self._real.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                if at == len(addresses) - 1:
                    raise
        raise AssertionError

    def sleep(self, seconds: float) -> None:
        self._real.sleep(seconds)


def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a name. Raises `NotFetched` if one of them is not public, unless that is allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise NotFetched(f"there is no host {host[:100]!r}") from exc
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not allow_private and not all(is_public(ipaddress.ip_address(one.partition("%")[0])) for one in addresses):
        raise NotFetched(f"{host[:100]!r} is no public address; --allow-private reads it all the same")
    return addresses


class Resolver(Protocol):
    """Gives the addresses of a name to connect to, in order; refuses what it does not allow by `NotFetched`."""

    def __call__(self, host: str, port: int, *, allow_private: bool) -> list[str]: ...


def is_public(address: Address) -> bool:
    """Whether an address, and the one that may be written inside it, is reachable by everybody."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


class Web:
    """Fetches pages, one at a time; remembers of each host what its robots.txt says and when it was asked last."""

    def __init__(self, bounds: Bounds, *, allow_private: bool = False, resolver: Resolver = resolve) -> None:
        self.bounds = bounds
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            network_backend=_CheckedBackend(resolver, allow_private=allow_private),
            max_connections=4,
        )
        self._robots: dict[str, RobotFileParser] = {}
        self._asked_at: dict[str, float] = {}
        self._began = time.monotonic()
        self._bytes_left = bounds.bytes

    def close(self) -> None:
        self._pool.close()

    def fetch(self, url: str, *, etag: str = "", last_modified: str = "") -> Fetched:
        """What is at an address, or that it is as it was. Raises `NotFetched`."""
        headers = {"if-none-match": etag, "if-modified-since": last_modified}
        known = {name: value for name, value in headers.items() if value}
        for _ in range(_MAX_REDIRECTS + 1):
            check_url(url)
            if not self._may_fetch(url):
                raise NotFetched("its site's robots.txt asks not to read it")
            self._wait(url)
            answer = self._get(url, known, max_bytes=min(self.bounds.page_bytes, self._bytes_left))
            self._bytes_left -= len(answer.content)
            if answer.status not in _REDIRECTS:
                return _fetched(url, answer)
            url = urljoin(url, answer.headers.get("location", ""))
        raise NotFetched(f"it redirects more than {_MAX_REDIRECTS} times")

    def _may_fetch(self, url: str) -> bool:
        origin = origin_of(url)
        if origin not in self._robots:
            self._robots[origin] = self._read_robots(origin)
        return self._robots[origin].can_fetch(AGENT, url)

    def _read_robots(self, origin: str) -> RobotFileParser:
        """As RFC 9309 has it: a site without one allows everything, one whose server fails nothing."""
        robots, url = RobotFileParser(), f"{origin}/robots.txt"
        for _ in range(_MAX_REDIRECTS + 1):
            check_url(url)
            answer = self._get(url, {}, max_bytes=_MAX_ROBOTS_BYTES, is_cut=True)
            if answer.status not in _REDIRECTS:
                break
            url = urljoin(url, answer.headers.get("location", ""))
        if httpx.codes.is_success(answer.status):
            robots.parse(answer.content.decode("utf-8", "replace").splitlines())
        elif httpx.codes.is_server_error(answer.status):
            robots.parse(["User-agent: *", "Disallow: /"])
        else:
            robots.parse([])
        robots.modified()
        return robots

    def _wait(self, url: str) -> None:
        """Be polite, and stop when all of it has taken too long."""
        if time.monotonic() - self._began > self.bounds.seconds:
            raise NotFetched(f"all of it takes more than {self.bounds.seconds:g} s", "time limit")
        origin = origin_of(url)
        asked = self._robots[origin].crawl_delay(AGENT) if origin in self._robots else None
        delay = min(_MAX_DELAY_S, max(self.bounds.delay_s, float(asked or 0)))
        if (due := self._asked_at.get(origin, -delay) + delay - time.monotonic()) > 0:
            time.sleep(due)
        self._asked_at[origin] = time.monotonic()

    def _get(self, url: str, headers: Mapping[str, str], *, max_bytes: int, is_cut: bool = False) -> "_Answer":
        sent = {
            "host": urlsplit(url).netloc,
            "user-agent": f"{AGENT}/{version('rag-graph')}",
            "accept": "*/*",
            "accept-encoding": "identity",  # nothing is unpacked, so nothing can unpack to more
            **headers,
        }
        give_up_at = time.monotonic() + self.bounds.page_s
        try:
            with (
                self._pool.stream(
                    "GET", url.encode("ascii"), headers=list(sent.items()), extensions={"timeout": _TIMEOUTS}
                ) as response,
                closing(response),
            ):
                told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                answer = _Answer(response.status, told)
                for piece in response.iter_stream():
                    answer.content += piece
                    if len(answer.content) > max_bytes:
                        if is_cut:
                            del answer.content[max_bytes:]
                            break
                        raise NotFetched(f"it is larger than {max_bytes} bytes", "too large")
                    if time.monotonic() > give_up_at:
                        raise NotFetched(f"it takes more than {self.bounds.page_s:g} s", "time limit")
        except httpcore.TimeoutException as exc:
            raise NotFetched("its server does not answer in time") from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as exc:
            raise NotFetched("its server cannot be reached, or does not speak HTTP") from exc
        return answer


@dataclass(slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    content: bytearray = field(default_factory=bytearray)


def check_url(url: str) -> None:
    """Raises `NotFetched` of what is no address of a page."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_url = False
    if not is_url or not url.isascii() or any(letter in url for letter in " \t\r\n\\"):
        raise NotFetched("it is no http(s) address, or has letters that one must write as %XX")
    if parts.username is not None or parts.password is not None:
        raise NotFetched("it has a name or a password in it")


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _fetched(url: str, answer: _Answer) -> Fetched:
    headers = answer.headers
    kept = {"etag": headers.get("etag", "")[:500], "last_modified": headers.get("last-modified", "")[:100]}
    if answer.status == _NOT_MODIFIED:
        return Fetched(url, None, **kept)
    if answer.status in _GONE:
        raise NotFetched(f"its server says that it is not there ({answer.status})", is_gone=True)
    if not httpx.codes.is_success(answer.status):
        raise NotFetched(f"its server answered with status {answer.status}")
    if headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
        raise NotFetched("its server packs it though it was asked not to")
    media_type, _, rest = headers.get("content-type", "").partition(";")
    charset = rest.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    return Fetched(url, bytes(answer.content), media_type.strip().lower(), charset, **kept)
