-- What a rail's balance counts may come to be more, as a node's wallet besides its channels. The sum that comes with the
-- change is written down as explained; the drift of before stays drift.
ALTER TABLE payments.rail_balances ADD COLUMN scope text NOT NULL DEFAULT '';
GRANT UPDATE (scope) ON payments.rail_balances TO payments_app;

CREATE FUNCTION payments.compare_balance(p_rail text, p_asset text, p_held numeric, p_books numeric, p_now timestamptz,
    p_scope text, OUT drift numeric, OUT noted numeric) LANGUAGE plpgsql AS $$
DECLARE
    v_before payments.rail_balances;
    v_explained numeric;
    v_open numeric;
BEGIN
    SELECT * INTO v_before FROM payments.rail_balances b WHERE b.rail = p_rail AND b.asset = p_asset FOR UPDATE;
    noted := 0;
    IF v_before.rail IS NULL THEN
        drift := 0;
        INSERT INTO payments.rail_balances (rail, asset, opening, held, books, opened_at, compared_at, scope)
            VALUES (p_rail, p_asset, p_held - p_books, p_held, p_books, p_now, p_now, p_scope) ON CONFLICT DO NOTHING;
        INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, payment_method, status, detail)
            VALUES ('worker', 'reconciliation', 'opening', 'rail_balance', p_rail || ':' || p_asset, p_rail, 'open',
                jsonb_build_object('held', p_held, 'books', p_books, 'scope', p_scope));
        RETURN;
    END IF;
    SELECT coalesce(sum(d.difference) FILTER (WHERE d.resolved_at IS NOT NULL AND d.resolved_by <> 'worker'), 0),
            coalesce(sum(d.difference) FILTER (WHERE d.resolved_at IS NULL), 0)
        INTO v_explained, v_open FROM payments.discrepancies d
        WHERE d.rail = p_rail AND d.kind = 'balance' AND d.asset = p_asset;
    drift := p_held - p_books - v_before.opening - v_explained;
    IF v_before.scope <> p_scope THEN
        INSERT INTO payments.discrepancies (rail, kind, subject, asset, difference, detail, resolved_at, resolved_by,
                resolution)
            VALUES (p_rail, 'balance', p_asset || ' ' || p_now, p_asset, drift - v_before.drift,
                jsonb_build_object('held', p_held, 'heldBefore', v_before.held, 'books', p_books), p_now, 'rule:scope',
                format('counted is now: %s; before: %s', p_scope, v_before.scope));
        drift := v_before.drift;
    ELSIF drift = 0 AND v_open <> 0 THEN
        UPDATE payments.discrepancies d SET resolved_at = p_now, resolved_by = 'worker', resolution = 'they agree again'
            WHERE d.rail = p_rail AND d.kind = 'balance' AND d.asset = p_asset AND d.resolved_at IS NULL;
    ELSIF drift <> v_open AND drift = v_before.drift THEN
        noted := drift - v_open;
        INSERT INTO payments.discrepancies (rail, kind, subject, asset, difference, detail)
            VALUES (p_rail, 'balance', p_asset || ' ' || p_now, p_asset, noted,
                jsonb_build_object('held', p_held, 'books', p_books, 'opening', v_before.opening));
    END IF;
    UPDATE payments.rail_balances b SET held = p_held, books = p_books, drift = compare_balance.drift,
        compared_at = p_now, scope = p_scope WHERE b.rail = p_rail AND b.asset = p_asset;
END $$;
GRANT EXECUTE ON FUNCTION payments.compare_balance(text, text, numeric, numeric, timestamptz, text) TO payments_app;

-- For the release before, which counts less: what a newer one compares is the newer one's.
CREATE OR REPLACE FUNCTION payments.compare_balance(p_rail text, p_asset text, p_held numeric, p_books numeric,
    p_now timestamptz, OUT drift numeric, OUT noted numeric) LANGUAGE plpgsql AS $$
BEGIN
    noted := 0;
    SELECT b.drift INTO drift FROM payments.rail_balances b
        WHERE b.rail = p_rail AND b.asset = p_asset AND b.scope <> '';
    IF NOT FOUND THEN
        SELECT c.drift, c.noted INTO drift, noted
            FROM payments.compare_balance(p_rail, p_asset, p_held, p_books, p_now, '') c;
    END IF;
END $$;
