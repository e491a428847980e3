"""Schemas, roles' grants, audit log and transitions."""

from payments.migrations.revision import apply, never_take_back

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    never_take_back(revision, "the audit log")
