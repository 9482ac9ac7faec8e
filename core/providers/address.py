"""Where calls may go: https to the internet, anything to loopback, private networks only when the user says so.

Keys and prompts go to this address. A host's name is judged twice: by its looks when the provider is made, and by what
it resolves to at each connection, so that a name cannot lead into a network that was not opened.
"""

import ipaddress
import re
import socket
from enum import StrEnum
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from core.credentials import masked_text
from core.errors import InputError

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Cloud machines hand out credentials here; some lie outside the link-local range.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # carrier-grade NAT, also overlay networks
_PRIVATE_SUFFIXES = (
    ".local", ".internal", ".lan", ".home", ".home.arpa", ".intranet", ".corp", ".localdomain", ".svc",
)  # fmt: skip
# IPv6 ranges whose last 32 bits are the IPv4 address that is reached: translation (NAT64, which IPv6-only networks
# use for everything) and the old compatible and translated forms.
_CARRIES_IPV4 = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")
)
# What C libraries take for an IPv4 address: also 127.1, 0x7f000001 and octal 0177.0.0.1.
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_NAME = re.compile(r"[a-z0-9._-]+\Z|[0-9a-f:.]+\Z")


class Reach(StrEnum):
    """How far away an address is."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    PUBLIC = "public"
    FORBIDDEN = "forbidden"  # link-local, metadata services, multicast: never


def check_base_url(url: str, *, allow_private: bool) -> str:
    """The URL without its trailing slash. Raises InputError when calls may not go there."""
    # Read by the transport's own parser: a second opinion of what the host is would be a way around this check.
    url = url.strip()
    try:
        parts = URL(url if url.isprintable() else "")
        host = (parts.raw_host or "").lower()
    except ValueError:
        parts, host = URL(), ""
    if parts.scheme not in {"http", "https"} or not _NAME.match(host):
        raise InputError(
            f"base URL {masked_text(url)!r} is no web address", hint="for example http://127.0.0.1:1234/v1"
        )
    if "@" in parts.raw_authority or parts.raw_query_string or parts.raw_fragment:
        raise InputError(
            f"the base URL of {host} holds credentials, a query or a fragment",
            hint="keys belong into the API_KEY setting",
        )
    reach = reach_of_host(host)
    if reach is Reach.FORBIDDEN:
        raise InputError(f"base URL host {host} is a link-local or metadata address", hint="calls never go there")
    if reach is Reach.PRIVATE and not allow_private:
        raise InputError(
            f"base URL host {host} is on a private network", hint="set ALLOW_PRIVATE_BASE_URLS=true if that is meant"
        )
    if reach is Reach.PUBLIC and parts.scheme != "https":
        raise InputError(f"base URL host {host} is public and the URL is not https", hint="use https://")
    return url.rstrip("/")


def reach_of_host(host: str) -> Reach:
    """By its looks alone: no look-up."""
    name = host.rstrip(".").lower()
    if ":" in name or _NUMBER.match(name.rpartition(".")[2]):
        address = _numeric(name)
        return Reach.FORBIDDEN if address is None else reach_of(address)
    if name in _METADATA_NAMES:
        return Reach.FORBIDDEN
    if name == "localhost" or name.endswith(".localhost"):
        return Reach.LOOPBACK
    if "." not in name or name.endswith(_PRIVATE_SUFFIXES):
        return Reach.PRIVATE  # a name of a container or of the local network
    return Reach.PUBLIC


def reach_of(address: _Address) -> Reach:
    """How far away an address is; IPv4 inside IPv6 is looked through."""
    if isinstance(address, ipaddress.IPv6Address):
        address = _inner(address)
    if address in _METADATA or address.is_link_local or address.is_multicast:
        return Reach.FORBIDDEN
    if address.is_loopback or address.is_unspecified:
        return Reach.LOOPBACK  # 0.0.0.0 is what servers print; connecting to it reaches this machine
    if address.is_private or address.is_reserved or (address.version == 4 and address in _SHARED):
        return Reach.PRIVATE
    return Reach.PUBLIC


def _numeric(name: str) -> _Address | None:
    """The address that a connection to such a name would go to; None: nobody knows."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError:
        return None


def _inner(address: ipaddress.IPv6Address) -> _Address:
    bare = ipaddress.IPv6Address(int(address))  # without a zone
    if bare.is_loopback or bare.is_unspecified:
        return bare
    teredo = bare.teredo[1] if bare.teredo else None
    carried = ipaddress.IPv4Address(int(bare) & 0xFFFFFFFF) if any(bare in net for net in _CARRIES_IPV4) else None
    return bare.ipv4_mapped or bare.sixtofour or teredo or carried or bare


class GuardedResolver(AbstractResolver):
    """The system's resolver, minus the addresses that calls to this host may not go to."""

    def __init__(self, *, allow_private: bool) -> None:
        self._system = ThreadedResolver()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError when nothing is left."""
        found = await self._system.resolve(host, port, family)
        allowed = [entry for entry in found if self._may_connect(host, entry["host"])]
        if not allowed:
            raise OSError(f"{host} resolves to an address that calls may not go to")
        return allowed

    async def close(self) -> None:
        await self._system.close()

    def _may_connect(self, host: str, address: str) -> bool:
        match reach_of(ipaddress.ip_address(address)):
            case Reach.FORBIDDEN:
                return False
            case Reach.PRIVATE:
                return self._allow_private
            case Reach.LOOPBACK:
                # A public name that leads to this machine is somebody's trick; http was only allowed to our own names.
                return self._allow_private or reach_of_host(host) is not Reach.PUBLIC
            case Reach.PUBLIC:
                return True
