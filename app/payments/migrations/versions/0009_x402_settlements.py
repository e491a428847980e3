"""x402 settlements: one row a signed message, its lease, its proof and its journals."""

from payments.migrations.revision import apply, take_back

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"

DOWN = """
DROP FUNCTION x402.accept_settlement, x402.take_settlements, x402.hold_settlement, x402.submit_settlement,
    x402.postpone_settlement, x402.settle_settlement, x402.post_network_fee, x402.fail_settlement,
    x402.tell_settlement, x402.forget_nonces;
DROP TABLE x402.settlements;
DROP FUNCTION x402.after_settlement_change;
DELETE FROM payments.transitions WHERE machine = 'settlement';
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, ("x402.settlements",), DOWN)
