"""Making an invoice writes less: heap-only updates, one row in the guide's table, no lock on the asset."""

from payments.migrations.revision import apply, functions_of, take_back

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

KIND = "expand"
# Signatures stay: a release that knows only 0010 runs on it as it is.
COMPATIBLE_FROM = "0010"

DOWN = """
DROP TRIGGER assets_stay ON payments.assets;
DROP TRIGGER assets_stay_all ON payments.assets;
DROP TRIGGER invoice_asset ON payments.invoices;
DROP FUNCTION payments.check_asset;
ALTER TABLE payments.invoices ADD CONSTRAINT invoices_asset_fkey FOREIGN KEY (asset) REFERENCES payments.assets;
DROP TRIGGER invoice_transitions ON payments.invoices;
DROP FUNCTION payments.check_invoice_transition;
CREATE TRIGGER invoice_transitions BEFORE UPDATE OF state ON payments.invoices FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('invoice');
DROP INDEX payments.invoices_to_expire;
ALTER TABLE payments.invoices DROP COLUMN is_over;
ALTER TABLE payments.invoices RESET (fillfactor);
CREATE INDEX invoices_to_expire ON payments.invoices (expires_at) WHERE state IN ('creating', 'open');
INSERT INTO lightning.invoices (id, payment_hash, amount_sats, memo, status, expires_at, created_at, updated_at)
    SELECT id, rail_id, div(amount, 1000), memo, state, expires_at, created_at, updated_at FROM payments.invoices
    WHERE rail = 'lnd' ON CONFLICT (id) DO NOTHING;
CREATE TRIGGER invoice_inserted AFTER INSERT ON payments.invoices FOR EACH ROW
    EXECUTE FUNCTION payments.after_invoice_change();
"""


def upgrade() -> None:
    apply(revision, KIND, COMPATIBLE_FROM)


def downgrade() -> None:
    take_back(revision, (), DOWN + functions_of("0005", "payments.after_invoice_change", "payments.expire_invoices"))
