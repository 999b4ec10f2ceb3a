"""Serve the API and the admin."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from project.server import PortTaken, open_socket, serve, worker_count
from tenants.management.output import fail


class Command(BaseCommand):
    help = "Serve the API, the docs and the admin until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
        parser.add_argument("--workers", type=worker_count, default=1, help="number of processes")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            listener = open_socket(options["host"], options["port"])
        except PortTaken as error:
            fail(str(error))
        raise SystemExit(serve(listener, settings.TENANTRY, options["workers"]))
