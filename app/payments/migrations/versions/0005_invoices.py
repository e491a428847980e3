"""Invoices, arrivals and rail cursors."""

from payments.migrations.revision import apply, take_back

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"

TABLES = (
    "payments.invoices",
    "payments.arrivals",
    "payments.rail_cursors",
)
DOWN = """
DROP FUNCTION payments.begin_invoice, payments.open_invoice, payments.fail_invoice, payments.doubt_invoice,
    payments.judge_arrival, payments.credit_arrival, payments.credit_arrivals, payments.expire_invoices;
DROP TABLE payments.arrivals, payments.rail_cursors, payments.invoices, lightning.invoices;
DROP FUNCTION payments.after_invoice_change;
DELETE FROM payments.transitions WHERE machine = 'invoice';
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
