"""Hands the module to the engine: it has revisions, and nothing else."""

from pathlib import Path

from ninja import Router
from sqlalchemy import MetaData

from tenants.module import Module

module = Module(
    name="bench",
    label="Benchmark",
    version="1.0",
    router=Router(),
    metadata=MetaData(),
    revisions=Path(__file__).parent / "revisions",
    requires=("conversations",),
)
