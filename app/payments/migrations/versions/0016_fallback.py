"""Fallback from one rail to another, for a payment that the first provably did not make."""

from payments.migrations.revision import apply, take_back

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0010"

TABLES = ("payments.payment_fallbacks",)
DOWN = """
DROP FUNCTION payments.fall_back;
DROP TRIGGER payment_falls_back ON payments.payments;
DROP FUNCTION payments.check_fallback;
DELETE FROM payments.transitions
    WHERE machine = 'payment' AND from_state IN ('sending', 'unknown') AND to_state = 'created';
DROP TABLE payments.payment_fallbacks;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
