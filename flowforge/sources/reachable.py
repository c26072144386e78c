"""Which hosts a source may be at, by the addresses that a name means: what a request names is not where a function may go.

Guarantees: addresses that mean something to the machine or its network only, such as AWS' metadata service, are refused, however
they are written or wrapped (decimal, octal, hex, a name, IPv6 that holds an IPv4 address), unless
FLOWFORGE_SOURCE_NETWORKS lists them. Where that is set, all that it does not list is refused.

Drivers resolve a name themselves, as Azure SQL and certificates want it. So a host is looked at twice: `check_host` before
anything is sent, `check_peers` at the sockets as they are connected.
"""

import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from flowforge.domain.errors import SourceUnavailable, UnsupportedSource
from flowforge.domain.networks import Network, networks
from flowforge.runtime.settings import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Link-local ones, metadata and credentials of AWS, Google Cloud, Azure and Alibaba, multicast, "this host".
NOT_SOURCES = [
    ipaddress.ip_network(text)
    for text in (
        *(
            "169.254.0.0/16",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "192.0.0.192/32",
            "224.0.0.0/4",
            "255.255.255.255/32",
        ),
        *("fe80::/10", "fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128", "ff00::/8", "0.0.0.0/8", "::/128"),
    )
]
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
COMPATIBLE = ipaddress.IPv6Network("::/96")
REMEDY = "name the SQL Server's own host; what is listed in FLOWFORGE_SOURCE_NETWORKS may be reached"


def check_host(host: str, port: int) -> None:
    """Raises UnsupportedSource where a host, or any address that its name has, is none to go to; SourceUnavailable where the
    name means nothing."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceUnavailable(
            f"{host}:{port}: the host name cannot be resolved ({error})",
            "check the host, and the DNS of where FlowForge runs",
        ) from error
    for address in {str(place[4][0]) for place in found}:
        _check(address, f"{host}:{port}", host)


def check_peers(descriptors: Iterable[int], host: str, port: int) -> None:
    """The same for where sockets are connected to: a name may mean another address by now, or the server may have sent us on."""
    for number in descriptors:
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as copy:
            _check(str(copy.getpeername()[0]), f"{host}:{port}", host)


def special_of(address: str) -> Network | None:
    """The network of this machine's or its network's own services that an address is in, however it is written or wrapped."""
    meanings = _meanings(ipaddress.ip_address(address.partition("%")[0]))
    return next((network for one in meanings for network in NOT_SOURCES if _within(one, network)), None)


def _check(address: str, where: str, host: str) -> None:
    listed, names = networks(settings().source_networks)
    for one in _meanings(ipaddress.ip_address(address.partition("%")[0])):
        special = next((network for network in NOT_SOURCES if _within(one, network)), None)
        # A list of everything does not open what only a name for it should.
        if special and not any(_within(one, network) and _inside(network, special) for network in listed):
            raise UnsupportedSource(
                f"{where}: {one} is an address of the machine itself or of its network's services, and no source",
                REMEDY,
            )
    if not (listed or names) or _named(host, names):
        return
    if not any(_within(one, network) for one in _meanings(ipaddress.ip_address(address)) for network in listed):
        raise UnsupportedSource(f"{where}: {address} is outside the networks of FLOWFORGE_SOURCE_NETWORKS", REMEDY)


def _meanings(address: Address) -> Iterator[Address]:
    """An address, and the IPv4 address that an IPv6 one stands for."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        held: list[Any] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        held += [low] if address in NAT64 or (address in COMPATIBLE and int(low) > 1) else []
        yield from (one for one in held if one is not None)


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _inside(network: Network, special: Network) -> bool:
    return network.version == special.version and network.subnet_of(special)  # pyright: ignore[reportArgumentType] - alike


def _named(host: str, names: list[str]) -> bool:
    plain = host.lower().rstrip(".")
    return any(plain == name or (name.startswith("*.") and plain.endswith(name[1:])) for name in names)
