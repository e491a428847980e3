"""Payments, their proofs and their reserves."""

from payments.migrations.revision import apply, take_back

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"

TABLES = ("payments.payments",)
DOWN = """
DROP FUNCTION payments.create_payment, payments.begin_payment, payments.finish_payment,
    payments.close_untried_payment;
DROP TABLE payments.payments;
DROP FUNCTION payments.check_payment_proof, payments.after_payment_change;
DELETE FROM payments.transitions WHERE machine = 'payment';
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
