"""Roots over the audit log."""

from payments.migrations.revision import apply, take_back

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0010"

# With a single root sealed it stays: roots are audit.
TABLES = ("payments.audit_roots",)
DOWN = """
DROP FUNCTION payments.audit_root, payments.audit_candidate, payments.seal_audit, payments.audit_breaks;
DROP TABLE payments.audit_roots;
REVOKE SELECT ON SEQUENCE payments.audit_log_id_seq FROM payments_app;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
