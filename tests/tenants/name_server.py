"""A DNS server for one test: it knows TXT records, and can keep silent."""

import asyncio

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """`async with NameServer() as server`; texts: by name, each a list of records."""

    def __init__(self):
        self.texts = {}
        self.silent = False

    @property
    def address(self):
        host, port = self._transport.get_extra_info("sockname")[:2]
        return f"{host}:{port}"

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        return self

    async def __aexit__(self, *_):
        self._transport.close()

    def datagram_received(self, data, addr):
        if self.silent:
            return
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        name = query.question[0].name
        texts = self.texts.get(name.to_text().removesuffix("."))
        if texts is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            quoted = [f'"{text}"' for text in texts]
            response.answer.append(dns.rrset.from_text(name, 0, "IN", "TXT", *quoted))
        self._transport.sendto(response.to_wire(), addr)
