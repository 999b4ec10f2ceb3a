"""Say up to where a conversation's messages are to be indexed anew.

A message's words are reduced to stems by its language; a conversation that is given another one
has messages of the former, which a job brings over.

Revision: conversations_0006
Revises: conversations_0005
"""

import sqlalchemy as sa

from alembic import op

revision = "conversations_0006"
down_revision = "conversations_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("reindex_seq", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("conversations", "reindex_seq")
