"""Where the fleet stands before the change.

Revision: bench_0001
Revises: nothing
"""

revision = "bench_0001"
down_revision = None
branch_labels = ("bench",)
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
