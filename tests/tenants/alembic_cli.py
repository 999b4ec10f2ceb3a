"""Alembic's own command line, run as an operator runs it: from the root, on the test database."""

import asyncio
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ALEMBIC = Path(sys.executable).parent / "alembic"


async def run_alembic(tenant, *arguments):
    """tenant: a test's tenant, or None to name none."""
    chosen = ["-x", f"tenant={tenant.slug}"] if tenant is not None else []
    return await asyncio.to_thread(
        subprocess.run,
        [ALEMBIC, *chosen, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
