"""Attempts, outbox and events."""

from payments.migrations.revision import apply, take_back

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KIND = "expand"
COMPATIBLE_FROM = "0001"

TABLES = (
    "payments.attempts",
    "payments.outbox",
    "payments.events",
)
DOWN = """
DROP TABLE payments.attempts, payments.outbox, payments.events CASCADE;
DROP FUNCTION payments.start_attempt, payments.finish_attempt, payments.enqueue_job, payments.publish_event,
    payments.check_transition;
DELETE FROM payments.transitions WHERE machine = 'attempt';
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
