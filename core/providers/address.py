"""Where calls may go: https to the internet, anything to loopback, private networks only when the user says so.

Keys and prompts go to this address. A host's name is judged twice: by its looks when the provider is made, and by what
it resolves to at each connection, so that a name cannot lead into a network that was not opened.
"""

import ipaddress
import socket
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from core.errors import InputError

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Cloud machines hand out credentials here; some lie outside the link-local range.
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")
)
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # carrier-grade NAT, also overlay networks
_PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".home.arpa", ".intranet")


class Reach(StrEnum):
    """How far away an address is."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    PUBLIC = "public"
    FORBIDDEN = "forbidden"  # link-local, metadata services, multicast: never


def check_base_url(url: str, *, allow_private: bool) -> str:
    """The URL without its trailing slash. Raises InputError when calls may not go there."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host:
        raise InputError(f"base URL {url!r} is no web address", hint="for example http://127.0.0.1:1234/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
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
    try:
        return reach_of(ipaddress.ip_address(name))
    except ValueError:
        pass
    if name == "metadata.google.internal":
        return Reach.FORBIDDEN
    if name == "localhost" or name.endswith(".localhost"):
        return Reach.LOOPBACK
    if "." not in name or name.endswith(_PRIVATE_SUFFIXES):
        return Reach.PRIVATE  # a name of a container or of the local network
    return Reach.PUBLIC


def reach_of(address: _Address) -> Reach:
    """How far away an address is; IPv4 inside IPv6 is looked through."""
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    if address in _METADATA or address.is_link_local or address.is_multicast:
        return Reach.FORBIDDEN
    if address.is_loopback or address.is_unspecified:
        return Reach.LOOPBACK  # 0.0.0.0 is what servers print; connecting to it reaches this machine
    if address.is_private or address.is_reserved or (address.version == 4 and address in _SHARED):
        return Reach.PRIVATE
    return Reach.PUBLIC


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
        match reach_of(ipaddress.ip_address(address.partition("%")[0])):
            case Reach.FORBIDDEN:
                return False
            case Reach.PRIVATE:
                return self._allow_private
            case Reach.LOOPBACK:
                # A public name that leads to this machine is somebody's trick; http was only allowed to our own names.
                return self._allow_private or reach_of_host(host) is not Reach.PUBLIC
            case Reach.PUBLIC:
                return True
