"""Switches, approvals, holds after failures, hot wallets."""

from payments.migrations.revision import apply, take_back

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KIND = "expand"
# A release that knows only 0012 sends without asking the switches: roll back with payouts drained, or not at all.
COMPATIBLE_FROM = "0010"

TABLES = ("payments.switches", "payments.approvals", "payments.failures", "payments.wallet_transfers")
DOWN = """
DROP FUNCTION payments.set_switch, payments.stopping, payments.approve_payment, payments.check_departure,
    payments.record_failure, payments.review_failures, payments.weigh_wallet;
DROP TABLE payments.switches, payments.approvals, payments.failures, payments.wallet_transfers;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
