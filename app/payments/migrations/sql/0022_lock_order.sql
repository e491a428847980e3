-- Row locks in one order (lock_classes.py, ROW_LOCKS). Three functions waited against it, and could deadlock with another.

-- As before, but the invoice is locked before its amount in suspense, as a reversal and a restoration do.
CREATE OR REPLACE FUNCTION payments.accept_suspense(p_id uuid, p_user text, p_environment text, p_reason text,
    p_now timestamptz, p_actor text, p_cause text) RETURNS payments.suspense LANGUAGE plpgsql AS $$
DECLARE
    v_row payments.suspense;
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    PERFORM 1 FROM payments.invoices i WHERE i.id = (SELECT s.invoice_id FROM payments.suspense s WHERE s.id = p_id)
        FOR NO KEY UPDATE;
    SELECT * INTO v_row FROM payments.suspense WHERE id = p_id AND state = 'open' FOR NO KEY UPDATE;
    IF v_row.id IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE payments.suspense SET state = 'accepted', decided_by = p_actor, reason = p_reason, updated_at = p_now,
            user_id = CASE WHEN user_id = '' THEN p_user ELSE user_id END,
            environment = CASE WHEN environment = '' THEN p_environment ELSE environment END
        WHERE id = p_id RETURNING * INTO v_row;
    PERFORM payments.post_journal('suspense-accepted', p_id::text, p_reason,
        ARRAY['liabilities:suspense:' || v_row.rail, format('liabilities:user:%s:%s', v_row.environment, v_row.user_id)],
        ARRAY[v_row.asset, v_row.asset], ARRAY[v_row.amount, -v_row.amount]);
    IF v_row.disposition = 'underpaid' THEN
        -- Whoever takes less takes the invoice as paid.
        UPDATE payments.invoices SET state = 'settled', settled_at = p_now, updated_at = p_now
            WHERE id = v_row.invoice_id AND state = 'underpaid';
    END IF;
    RETURN v_row;
END $$;

-- As before, but a batch first locks all of its invoices, by id: reconciliation credits a batch of its own meanwhile.
CREATE OR REPLACE FUNCTION payments.credit_arrivals(
    p_rail text, p_event_ids text[], p_rail_ids text[], p_assets text[], p_amounts numeric[], p_times timestamptz[],
    p_proofs jsonb[], p_cursor text
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_dispositions text[] := '{}';
    v_last integer := cardinality(p_event_ids);
BEGIN
    IF v_last > 1 THEN
        PERFORM 1 FROM payments.invoices i WHERE i.rail = p_rail AND i.rail_id = ANY (p_rail_ids)
            ORDER BY i.id FOR NO KEY UPDATE;
    END IF;
    FOR n IN 1 .. v_last LOOP
        v_dispositions := v_dispositions || payments.credit_arrival(p_rail, p_event_ids[n], p_rail_ids[n], p_assets[n],
            p_amounts[n], p_times[n], p_proofs[n], CASE WHEN n = v_last THEN p_cursor ELSE '' END);
    END LOOP;
    RETURN v_dispositions;
END $$;

-- As before, but whoever resumes a key does not wait for its attempt: who has that one locked is writing its end, and
-- waits for the key.
CREATE OR REPLACE FUNCTION payments.begin_invoice(
    p_caller text, p_environment text, p_route text, p_key text, p_fingerprint bytea, p_token uuid,
    p_lease_seconds double precision, p_id uuid, p_attempt uuid, p_user text, p_api_key uuid, p_rail text,
    p_rail_id text, p_asset text, p_amount numeric, p_memo text, p_metadata jsonb, p_external_id text,
    p_created_at timestamptz, p_expires_at timestamptz, p_release text
) RETURNS payments.claim LANGUAGE plpgsql AS $$
DECLARE
    v_claim payments.claim;
BEGIN
    IF p_key IS NULL THEN
        v_claim.outcome := 'claimed';
        v_claim.subject_id := p_id;
    ELSE
        v_claim := payments.claim_key(p_caller, p_environment, p_route, p_key, p_fingerprint, p_token, p_lease_seconds,
            p_id);
    END IF;
    IF v_claim.outcome = 'claimed' THEN
        INSERT INTO payments.invoices (id, user_id, environment, api_key_id, rail, rail_id, asset, amount, memo,
                metadata, external_id, expires_at, created_at, updated_at)
            VALUES (p_id, p_user, p_environment, p_api_key, p_rail, p_rail_id, p_asset, p_amount, p_memo, p_metadata,
                p_external_id, p_expires_at, p_created_at, p_created_at);
        PERFORM payments.start_attempt(p_attempt, 'create_invoice', p_rail, p_rail_id, 'invoice', p_id, p_token,
            p_lease_seconds, '{}', p_release);
    ELSIF v_claim.outcome = 'resumed' THEN
        UPDATE payments.attempts a SET lease_token = p_token, look_ups = a.look_ups + 1, updated_at = clock_timestamp(),
                lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds),
                next_look_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
            FROM (SELECT id FROM payments.attempts WHERE kind = 'create_invoice' AND subject_id = v_claim.subject_id
                AND lease_until <= clock_timestamp() AND state IN ('started', 'in_flight', 'unknown')
                FOR UPDATE SKIP LOCKED) free
            WHERE a.id = free.id;
    END IF;
    RETURN v_claim;
END $$;
