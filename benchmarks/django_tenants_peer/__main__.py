"""The peer's process: reads verbs as JSON lines and answers with one, again and again.

Django is loaded once, before the first verb, so that only what is asked for is timed.
"""

import os
import sys
import time
from collections.abc import Sequence

import django
import orjson


def main() -> None:
    # Migrations print as they run; standard output is for the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    django.setup()
    verbs = {"create": create, "seed": seed, "migrate_schemas": migrate_schemas}
    for line in sys.stdin.buffer:
        verb, arguments = orjson.loads(line)
        answers.write(orjson.dumps(verbs[verb](**arguments)) + b"\n")
        answers.flush()


def create(names: Sequence[str]) -> list[float]:
    from benchmarks.django_tenants_peer.registry.models import Client, Domain

    durations = []
    for name in names:
        started_at = time.perf_counter()
        client = Client(schema_name=name, name=name)
        client.save(verbosity=0)
        Domain.objects.create(domain=f"{name}.example.com", tenant=client)
        durations.append(time.perf_counter() - started_at)
    return durations


def seed(template: str, names: Sequence[str]) -> None:
    """Run the migrations' SQL for each, and note them as applied, as django-tenants would."""
    from django.db import connection, transaction
    from django.db.migrations.loader import MigrationLoader

    from benchmarks.django_tenants_peer.registry.models import Client, Domain

    loader = MigrationLoader(None)
    migrations = [loader.graph.nodes[key] for key in loader.graph.forwards_plan(_newest(loader))]
    statements = [
        statement
        for migration in migrations
        for operation in migration.operations
        for statement in operation.sql
    ]
    Client.auto_create_schema = False
    for name in names:
        with transaction.atomic(), connection.cursor() as cursor:
            client = Client.objects.create(schema_name=name, name=name)
            Domain.objects.create(domain=f"{name}.example.com", tenant=client)
            cursor.execute(f'CREATE SCHEMA "{name}"')
            cursor.execute(f'SET LOCAL search_path TO "{name}"')
            cursor.execute(";\n".join(statement.rstrip(";\n ") for statement in statements))
            cursor.execute(
                f"CREATE TABLE django_migrations "
                f'(LIKE "{template}".django_migrations INCLUDING ALL)'
            )
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) "
                f'SELECT app, name, applied FROM "{template}".django_migrations ORDER BY id'
            )
    Client.auto_create_schema = True


def migrate_schemas(
    *, shared: bool = False, executor: str = "standard", processes: int = 2
) -> float:
    from django.conf import settings
    from django.core.management import call_command

    settings.TENANT_MULTIPROCESSING_MAX_PROCESSES = processes
    started_at = time.perf_counter()
    call_command(
        "migrate_schemas",
        verbosity=0,
        executor=executor,
        **{"shared" if shared else "tenant": True},
    )
    return time.perf_counter() - started_at


def _newest(loader: object) -> tuple[str, str]:
    (newest,) = loader.graph.leaf_nodes("log")  # type: ignore[attr-defined]
    return newest


if __name__ == "__main__":
    main()
