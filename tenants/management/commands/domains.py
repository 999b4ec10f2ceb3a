"""A tenant's own host names."""

from functools import partial

from tenants import lifecycle
from tenants.management.command import SLUG, VerbCommand, argument, verb, walk
from tenants.models import Domain
from tenants.shapes import show_domain

HOST = argument("host", metavar="HOST", help="host name without a port, such as chat.example.com")


class Command(VerbCommand):
    help = """
    Give tenants host names of their own. Such a host is served beside SLUG.BASE-DOMAIN, once a
    TXT record in its DNS has shown whose it is.
    """
    examples = (
        "domains add acme chat.example.com",
        "domains verify acme chat.example.com",
        "domains list acme",
    )

    @verb(SLUG, HOST, examples=["domains add acme chat.example.com"])
    async def add(self, slug: str, host: str) -> None:
        """Claim a host for a tenant, and show the TXT record that it needs."""
        domain = await lifecycle.add_domain(slug, host, by=self.by)
        self.show_facts(show_domain(domain))
        self._teach(slug, domain)

    @verb(SLUG, examples=["domains list acme"])
    async def list(self, slug: str) -> None:
        """List a tenant's hosts, with their TXT records."""
        rows = walk(partial(lifecycle.list_domains, slug), lambda domain: domain.host)
        await self.show_list(
            ["host", "verified_at", "dns_record.name", "dns_record.value"],
            (show_domain(domain) async for domain in rows),
            f"No hosts of its own. Claim one: manage.py domains add {slug} HOST",
        )

    @verb(SLUG, HOST, examples=["domains verify acme chat.example.com"])
    async def verify(self, slug: str, host: str) -> None:
        """Ask DNS for the TXT record, and serve the host if it is there."""
        self.show_facts(show_domain(await lifecycle.verify_domain(slug, host, by=self.by)))

    @verb(SLUG, HOST, examples=["domains remove acme chat.example.com"])
    async def remove(self, slug: str, host: str) -> None:
        """Stop serving a host within a second."""
        await lifecycle.remove_domain(slug, host, by=self.by)
        self.show_done({"host": host, "removed": True}, f"Removed {host}.")

    def _teach(self, slug: str, domain: Domain) -> None:
        if domain.verified_at is None:
            name, value = lifecycle.verification_record(domain)
            self.say(
                f"In the DNS of {domain.host}, set a TXT record at {name} with the text {value}\n"
                f"Then: manage.py domains verify {slug} {domain.host}"
            )
