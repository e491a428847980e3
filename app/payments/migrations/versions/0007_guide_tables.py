"""The tables of the x402 and Stellar guides."""

from payments.migrations.revision import apply, take_back

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"

TABLES = (
    "x402.agent_services",
    "x402.job_requests",
    "x402.transactions",
    "x402.nonces",
    "stellar.stellar_tags",
    "stellar.transactions",
)
DOWN = """
DROP TABLE x402.job_requests, x402.agent_services, x402.transactions, x402.nonces, stellar.stellar_tags,
    stellar.transactions;
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
