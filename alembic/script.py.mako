"""${message}

Revision: ${up_revision}
Revises: ${down_revision | comma,n}

Read what was generated before you keep it: a rename looks like a drop and an add, and an index on
an expression or on JSONB may be missed. It must run beside the previous release of the code.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
# Where it needs to be (docs/revisions.md): `online = True`, it runs Python against rows;
# `transactional = False`, it is CONCURRENTLY; `acknowledged = {"rule": "why it is safe here"}`.


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
