"""Webhooks out: endpoints and deliveries."""

from payments.migrations.revision import apply, take_back

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KIND = "expand"
# A release that knows only 0010 relays events without making deliveries: harmless, they are in payments.events.
COMPATIBLE_FROM = "0010"

TABLES = ("payments.webhook_endpoints", "payments.webhook_deliveries")
DOWN = """
DROP FUNCTION payments.take_deliveries, payments.finish_delivery;
DROP FUNCTION payments.take_outbox;
CREATE FUNCTION payments.take_outbox(p_limit integer) RETURNS SETOF payments.outbox LANGUAGE sql AS $$
    WITH taken AS (
        DELETE FROM payments.outbox WHERE id IN (
            SELECT id FROM payments.outbox ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED) RETURNING *
    ), recorded AS (
        INSERT INTO payments.events (id, name, subject_kind, subject_id, user_id, environment, payload, happened_at)
            SELECT id, name, subject_kind, subject_id, user_id, environment, payload, created_at FROM taken
            WHERE kind = 'event' ORDER BY id
    )
    SELECT * FROM taken
$$;
GRANT EXECUTE ON FUNCTION payments.take_outbox TO payments_app;
DROP TABLE payments.webhook_deliveries, payments.webhook_endpoints;
DELETE FROM payments.transitions WHERE machine = 'delivery';
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, TABLES, DOWN)
