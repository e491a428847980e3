"""API keys and idempotency keys."""

from payments.migrations.revision import apply, never_take_back

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    never_take_back(revision, "idempotency keys and API keys")
