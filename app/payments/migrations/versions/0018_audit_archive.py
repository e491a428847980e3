"""What of the audit log is in the archive."""

from payments.migrations.revision import apply, take_back

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0010"

# With a single segment archived it stays: the cursor is audit, too.
TABLES = ("payments.audit_archived", "payments.audit_segments")
DOWN = """
DROP FUNCTION payments.audit_lines, payments.plan_audit_segment;
DROP TABLE payments.audit_archived, payments.audit_segments;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
