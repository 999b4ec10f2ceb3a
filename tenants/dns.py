"""What DNS says of a name, asked of the name servers that the settings name."""

from functools import cache

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from tenants.apps import get_settings
from tenants.errors import DnsUnavailable

_PORT = 53


async def find_texts(name: str) -> set[str]:
    """The TXT records of a name; empty if it has none. Raises DnsUnavailable (503)."""
    resolver = _make_resolver(tuple(get_settings().dns_servers))
    try:
        answer = await resolver.resolve(
            name, "TXT", lifetime=get_settings().dns_timeout_seconds, search=False
        )
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return set()
    except (dns.exception.DNSException, OSError) as error:
        raise DnsUnavailable(name) from error
    return {b"".join(record.strings).decode(errors="replace") for record in answer}


@cache
def _make_resolver(servers: tuple[str, ...]) -> dns.asyncresolver.Resolver:
    """It keeps no answers: whoever has just set a record must not wait for an old one to age."""
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [_parse_server(server) for server in servers]
    return resolver


def _parse_server(server: str) -> dns.nameserver.Nameserver:
    address, colon, port = server.rpartition(":")
    if not colon or (":" in address.strip("[]") and not server.startswith("[")):
        address, port = server, ""  # An IPv6 address alone has colons too.
    return dns.nameserver.Do53Nameserver(address.strip("[]"), int(port or _PORT))
