"""Arrivals that a reorganisation took away are reversed by a journal, and restored when they come again."""

from payments.migrations.revision import apply, functions_of, take_back

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KIND = "expand"
# An older release credits as before and never reverses. It cannot show an invoice that a newer one has reversed (500),
# which is worth less than not being able to go back to it.
COMPATIBLE_FROM = "0010"

TABLES = ("payments.reversals",)
DOWN = """
DROP FUNCTION payments.restore_arrival, payments.reverse_arrival;
DROP TABLE payments.reversals;
DROP FUNCTION payments.after_reversal_change;
DELETE FROM payments.transitions WHERE machine = 'reversal' OR 'reversed' IN (from_state, to_state);
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(
        revision,
        TABLES,
        DOWN + functions_of("0005", "payments.credit_arrival") + functions_of("0014", "payments.refundable"),
    )
