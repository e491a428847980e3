"""Suspense, refunds, retries, what waits for a person, reconciliation, webhooks in."""

from payments.migrations.revision import apply, take_back

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KIND = "expand"
# A release that knows only 0010 credits arrivals as before: a trigger puts what it did not credit into suspense.
COMPATIBLE_FROM = "0010"

TABLES = (
    "payments.refunds",
    "payments.suspense",
    "payments.discrepancies",
    "payments.inbound_events",
)
DOWN = """
DROP TRIGGER payment_of_refund ON payments.payments;
DROP TRIGGER arrival_suspended ON payments.arrivals;
DROP FUNCTION payments.after_refund_payment, payments.suspend_arrival, payments.accept_suspense, payments.refundable,
    payments.fund_refund, payments.cancel_invoice, payments.call_for_person, payments.take_inbound;
ALTER TABLE payments.payments DROP COLUMN retry_of, DROP COLUMN refund_id;
DROP TABLE payments.refunds, payments.suspense, payments.discrepancies, payments.reconciliations,
    payments.inbound_events;
DROP FUNCTION payments.after_return_change, payments.new_id;
DROP INDEX payments.journals_posted_at, payments.payments_finished;
ALTER TABLE payments.attempts DROP COLUMN person_since;
DELETE FROM payments.transitions WHERE machine IN ('suspense', 'refund');
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
