"""What a rail's balance counts is kept with it."""

from payments.migrations.revision import apply, functions_of, take_back

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0010"

DOWN = """
DROP FUNCTION payments.compare_balance(text, text, numeric, numeric, timestamptz, text);
DELETE FROM payments.discrepancies WHERE resolved_by = 'rule:scope';
ALTER TABLE payments.rail_balances DROP COLUMN scope;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, (), DOWN + functions_of("0021", "payments.compare_balance"))
