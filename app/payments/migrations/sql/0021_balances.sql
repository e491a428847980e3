-- What each rail's own side says that we hold, against the ledger. The first comparison is the opening: a node's capital,
-- its channels' costs and what came before the books are not theirs to explain.
CREATE TABLE payments.rail_balances (
    rail text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL,
    opening numeric(38, 0) NOT NULL,      -- rail minus books at the first comparison
    held numeric(38, 0) NOT NULL,
    books numeric(38, 0) NOT NULL,
    drift numeric(38, 0) NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL,
    compared_at timestamptz NOT NULL,
    PRIMARY KEY (rail, asset)
);
GRANT SELECT, INSERT, UPDATE (held, books, drift, compared_at) ON payments.rail_balances TO payments_app;
GRANT SELECT ON payments.rail_balances TO payments_reader;

-- Compare; returns the drift: rail minus books, without the opening and without what people have explained. The same drift
-- twice in a row is a discrepancy; one that is gone is closed by itself.
CREATE FUNCTION payments.compare_balance(p_rail text, p_asset text, p_held numeric, p_books numeric, p_now timestamptz,
    OUT drift numeric, OUT noted numeric) LANGUAGE plpgsql AS $$
DECLARE
    v_before payments.rail_balances;
    v_explained numeric;
    v_open numeric;
BEGIN
    SELECT * INTO v_before FROM payments.rail_balances b WHERE b.rail = p_rail AND b.asset = p_asset FOR UPDATE;
    noted := 0;
    IF v_before.rail IS NULL THEN
        drift := 0;
        INSERT INTO payments.rail_balances (rail, asset, opening, held, books, opened_at, compared_at)
            VALUES (p_rail, p_asset, p_held - p_books, p_held, p_books, p_now, p_now) ON CONFLICT DO NOTHING;
        INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, payment_method, status, detail)
            VALUES ('worker', 'reconciliation', 'opening', 'rail_balance', p_rail || ':' || p_asset, p_rail, 'open',
                jsonb_build_object('held', p_held, 'books', p_books));
        RETURN;
    END IF;
    SELECT coalesce(sum(d.difference) FILTER (WHERE d.resolved_at IS NOT NULL AND d.resolved_by <> 'worker'), 0),
            coalesce(sum(d.difference) FILTER (WHERE d.resolved_at IS NULL), 0)
        INTO v_explained, v_open FROM payments.discrepancies d
        WHERE d.rail = p_rail AND d.kind = 'balance' AND d.asset = p_asset;
    drift := p_held - p_books - v_before.opening - v_explained;
    IF drift = 0 AND v_open <> 0 THEN
        UPDATE payments.discrepancies d SET resolved_at = p_now, resolved_by = 'worker', resolution = 'they agree again'
            WHERE d.rail = p_rail AND d.kind = 'balance' AND d.asset = p_asset AND d.resolved_at IS NULL;
    ELSIF drift <> v_open AND drift = v_before.drift THEN
        noted := drift - v_open;
        INSERT INTO payments.discrepancies (rail, kind, subject, asset, difference, detail)
            VALUES (p_rail, 'balance', p_asset || ' ' || p_now, p_asset, noted,
                jsonb_build_object('held', p_held, 'books', p_books, 'opening', v_before.opening));
    END IF;
    UPDATE payments.rail_balances b SET held = p_held, books = p_books, drift = compare_balance.drift,
        compared_at = p_now WHERE b.rail = p_rail AND b.asset = p_asset;
END $$;
GRANT EXECUTE ON FUNCTION payments.compare_balance TO payments_app;
