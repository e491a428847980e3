-- Invoices: what we ask to be paid, on any rail; and every arrival, credited once (design section 4, rule 3).
CREATE TABLE payments.invoices (
    id uuid PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'test')),
    api_key_id uuid,
    rail text COLLATE "C" NOT NULL,
    rail_id text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    amount numeric(38, 0) CHECK (amount > 0),
    memo text NOT NULL DEFAULT '',
    metadata jsonb NOT NULL DEFAULT '{}',
    external_id text COLLATE "C",
    state text COLLATE "C" NOT NULL DEFAULT 'creating',
    payment_request text,
    reason text NOT NULL DEFAULT '',
    received numeric(38, 0) NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    settled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (rail, rail_id)
);
CREATE INDEX invoices_of_user ON payments.invoices (user_id, environment, id);
CREATE UNIQUE INDEX invoices_external_id ON payments.invoices (user_id, environment, external_id)
    WHERE external_id IS NOT NULL;
CREATE INDEX invoices_to_expire ON payments.invoices (expires_at) WHERE state IN ('creating', 'open');
GRANT SELECT, INSERT, UPDATE (state, payment_request, reason, received, settled_at, expires_at, updated_at)
    ON payments.invoices TO payments_app;
GRANT SELECT ON payments.invoices TO payments_reader;

INSERT INTO payments.transitions
SELECT 'invoice', f, t FROM (VALUES
    ('creating', ARRAY['open', 'failed', 'settled', 'underpaid', 'overpaid', 'paid_late']),
    ('open', ARRAY['settled', 'underpaid', 'overpaid', 'paid_late', 'expired', 'cancelled']),
    ('underpaid', ARRAY['settled', 'overpaid', 'paid_late']),
    ('expired', ARRAY['settled', 'overpaid', 'paid_late']),
    ('cancelled', ARRAY['paid_late']),
    ('failed', ARRAY['paid_late']),
    ('settled', ARRAY['paid_twice']),
    ('overpaid', ARRAY['paid_twice'])) AS v(f, ts), unnest(ts) AS t;

-- The guide's table, kept in step by the trigger below, in the same transaction.
CREATE TABLE lightning.invoices (
    id uuid PRIMARY KEY,
    payment_hash varchar(64) NOT NULL UNIQUE,
    amount_sats bigint,
    memo text NOT NULL DEFAULT '',
    status varchar(20) NOT NULL,
    expires_at timestamptz NOT NULL,
    settled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX invoices_status_created_at ON lightning.invoices (status, created_at);
CREATE INDEX invoices_expires_at ON lightning.invoices (expires_at);
GRANT SELECT, INSERT, UPDATE (status, expires_at, settled_at, updated_at) ON lightning.invoices TO payments_app;
GRANT SELECT ON lightning.invoices TO payments_reader;

CREATE FUNCTION payments.after_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.rail = 'lnd' THEN
            INSERT INTO lightning.invoices (id, payment_hash, amount_sats, memo, status, expires_at, created_at, updated_at)
                VALUES (NEW.id, NEW.rail_id, div(NEW.amount, 1000), NEW.memo, NEW.state, NEW.expires_at,
                    NEW.created_at, NEW.updated_at);
        END IF;
        RETURN NULL;
    END IF;
    IF NEW.rail = 'lnd' THEN
        UPDATE lightning.invoices SET status = NEW.state, expires_at = NEW.expires_at, settled_at = NEW.settled_at,
            updated_at = NEW.updated_at WHERE id = NEW.id;
    END IF;
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, payment_method, amount_sats,
            payment_hash, status, error, detail)
        VALUES (payments.actor(), payments.cause(), OLD.state || '>' || NEW.state, 'invoice', NEW.id, NEW.user_id,
            NEW.rail, CASE WHEN NEW.asset = 'BTC' THEN div(NEW.amount, 1000) END, NEW.rail_id, NEW.state,
            nullif(NEW.reason, ''), jsonb_build_object('asset', NEW.asset, 'amount', NEW.amount));
    RETURN NULL;
END $$;
CREATE TRIGGER invoice_transitions BEFORE UPDATE OF state ON payments.invoices FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('invoice');
CREATE TRIGGER invoice_inserted AFTER INSERT ON payments.invoices FOR EACH ROW
    EXECUTE FUNCTION payments.after_invoice_change();
CREATE TRIGGER invoice_changed AFTER UPDATE OF state ON payments.invoices FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.after_invoice_change();

-- T1 of create-invoice: claim the key (p_key NULL: none was sent), write the invoice and its attempt. Only for `claimed`
-- is anything written; for `resumed` the attempt's lease is taken over and subject_id names the invoice to look up.
CREATE FUNCTION payments.begin_invoice(
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
        UPDATE payments.attempts SET lease_token = p_token, look_ups = look_ups + 1, updated_at = clock_timestamp(),
                lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds),
                next_look_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
            WHERE kind = 'create_invoice' AND subject_id = v_claim.subject_id AND lease_until <= clock_timestamp()
            AND state IN ('started', 'in_flight', 'unknown');
    END IF;
    RETURN v_claim;
END $$;

-- T2: the rail has the invoice. Whoever holds the lease writes it; a later one finds it open and only stores the answer.
CREATE FUNCTION payments.open_invoice(
    p_id uuid, p_token uuid, p_payment_request text, p_proof jsonb, p_expires_at timestamptz, p_now timestamptz,
    p_caller text, p_environment text, p_route text, p_key text, p_status integer, p_headers jsonb, p_body bytea,
    p_actor text, p_cause text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_invoice payments.invoices;
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    UPDATE payments.attempts SET state = 'succeeded', proof = p_proof, lease_until = clock_timestamp(),
            updated_at = clock_timestamp()
        WHERE kind = 'create_invoice' AND subject_id = p_id AND lease_token = p_token
        AND state IN ('started', 'in_flight', 'unknown');
    IF FOUND THEN
        UPDATE payments.invoices SET payment_request = p_payment_request, expires_at = p_expires_at, updated_at = p_now,
                state = CASE WHEN state = 'creating' THEN 'open' ELSE state END
            WHERE id = p_id RETURNING * INTO v_invoice;
        PERFORM payments.publish_event('invoice.created', 'invoice', p_id::text, v_invoice.user_id,
            v_invoice.environment, jsonb_build_object('id', p_id, 'rail', v_invoice.rail, 'asset', v_invoice.asset,
                'amount', v_invoice.amount, 'paymentHash', v_invoice.rail_id, 'expiresAt', v_invoice.expires_at));
    ELSIF NOT EXISTS (SELECT 1 FROM payments.invoices WHERE id = p_id AND payment_request = p_payment_request) THEN
        RETURN false;
    END IF;
    IF p_key IS NOT NULL THEN
        PERFORM payments.complete_key(p_caller, p_environment, p_route, p_key, p_token, p_status, p_headers, p_body);
    END IF;
    RETURN true;
END $$;

-- T2 when the rail finally refused, or provably never had it: the attempt is dead, the key is free again.
CREATE FUNCTION payments.fail_invoice(
    p_id uuid, p_token uuid, p_proof jsonb, p_reason text, p_now timestamptz, p_caller text, p_environment text,
    p_route text, p_key text, p_actor text, p_cause text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    IF NOT payments.finish_attempt(a.id, p_token, 'dead', p_proof, p_reason, 0) FROM payments.attempts a
            WHERE a.kind = 'create_invoice' AND a.subject_id = p_id AND a.lease_token = p_token THEN
        RETURN false;
    END IF;
    UPDATE payments.invoices SET state = 'failed', reason = p_reason, updated_at = p_now
        WHERE id = p_id AND state = 'creating';
    IF p_key IS NOT NULL THEN
        PERFORM payments.release_key(p_caller, p_environment, p_route, p_key, p_token);
    END IF;
    RETURN true;
END $$;

-- T2 when the answer was lost: nobody holds it now, whoever comes first looks it up.
CREATE FUNCTION payments.doubt_invoice(
    p_id uuid, p_token uuid, p_reason text, p_look_again_seconds double precision, p_caller text, p_environment text,
    p_route text, p_key text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM payments.finish_attempt(a.id, p_token, 'unknown', NULL, p_reason, p_look_again_seconds)
        FROM payments.attempts a
        WHERE a.kind = 'create_invoice' AND a.subject_id = p_id AND a.lease_token = p_token;
    IF p_key IS NOT NULL THEN
        PERFORM payments.expire_key(p_caller, p_environment, p_route, p_key, p_token);
    END IF;
END $$;

-- Every arrival of money, once per rail event.
CREATE TABLE payments.arrivals (
    rail text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    rail_id text COLLATE "C" NOT NULL,
    invoice_id uuid REFERENCES payments.invoices,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    disposition text COLLATE "C" NOT NULL
        CHECK (disposition IN ('settled', 'overpaid', 'underpaid', 'paid_late', 'paid_twice', 'unmatched')),
    journal_id bigint NOT NULL REFERENCES payments.journals,
    proof jsonb NOT NULL,
    arrived_at timestamptz NOT NULL,
    credited_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (rail, event_id)
);
CREATE INDEX arrivals_invoice ON payments.arrivals (invoice_id);
SELECT payments.make_append_only('payments.arrivals');

-- Where each rail's stream of arrivals was left; saved in the crediting transaction.
CREATE TABLE payments.rail_cursors (
    rail text COLLATE "C" PRIMARY KEY,
    cursor text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, INSERT, UPDATE ON payments.rail_cursors TO payments_app;
GRANT SELECT ON payments.rail_cursors TO payments_reader;

-- What an arrival means for its invoice. The first that covers it in time settles it.
CREATE FUNCTION payments.judge_arrival(p_invoice payments.invoices, p_amount numeric, p_arrived_at timestamptz)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_invoice.id IS NULL THEN 'unmatched'
        WHEN p_invoice.state IN ('settled', 'overpaid', 'paid_twice') THEN 'paid_twice'
        WHEN p_invoice.state IN ('cancelled', 'failed', 'paid_late') OR p_arrived_at > p_invoice.expires_at THEN 'paid_late'
        WHEN p_amount < p_invoice.amount THEN 'underpaid'
        WHEN p_amount > p_invoice.amount THEN 'overpaid'
        ELSE 'settled' END
$$;

-- Credit one arrival: dedupe, journal, invoice, event and cursor in one transaction. Returns the disposition, or
-- 'known' when this event was credited before (the cursor is saved all the same).
CREATE FUNCTION payments.credit_arrival(
    p_rail text, p_event_id text, p_rail_id text, p_asset text, p_amount numeric, p_arrived_at timestamptz,
    p_proof jsonb, p_cursor text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_invoice payments.invoices;
    v_disposition text;
    v_user text;
    v_suspense text := 'liabilities:suspense:' || p_rail;
    v_due numeric;
    v_journal bigint;
BEGIN
    PERFORM payments.act_as('rail:' || p_rail, 'arrival ' || p_event_id);
    IF p_rail_id <> '' THEN
        SELECT * INTO v_invoice FROM payments.invoices i
            WHERE i.rail = p_rail AND i.rail_id = p_rail_id AND i.asset = p_asset FOR NO KEY UPDATE;
    END IF;
    v_disposition := payments.judge_arrival(v_invoice, p_amount, p_arrived_at);
    v_due := CASE v_disposition WHEN 'settled' THEN p_amount WHEN 'overpaid' THEN v_invoice.amount ELSE 0 END;
    v_user := format('liabilities:user:%s:%s', v_invoice.environment, v_invoice.user_id);
    v_journal := payments.post_journal('arrival', p_rail || ':' || p_event_id, v_disposition,
        ARRAY['assets:' || p_rail, coalesce(v_user, v_suspense), v_suspense], ARRAY[p_asset, p_asset, p_asset],
        ARRAY[p_amount, -v_due, v_due - p_amount]);
    IF v_journal IS NULL THEN
        v_disposition := 'known';
    ELSE
        INSERT INTO payments.arrivals (rail, event_id, rail_id, invoice_id, asset, amount, disposition, journal_id,
                proof, arrived_at)
            VALUES (p_rail, p_event_id, p_rail_id, v_invoice.id, p_asset, p_amount, v_disposition, v_journal, p_proof,
                p_arrived_at);
        IF v_invoice.id IS NOT NULL THEN
            UPDATE payments.invoices SET state = v_disposition, received = received + p_amount,
                    settled_at = coalesce(settled_at, CASE WHEN v_due > 0 THEN p_arrived_at END),
                    updated_at = clock_timestamp()
                WHERE id = v_invoice.id;
        END IF;
        PERFORM payments.publish_event(
            CASE WHEN v_invoice.id IS NULL THEN 'arrival.unmatched' ELSE 'invoice.' || v_disposition END,
            CASE WHEN v_invoice.id IS NULL THEN 'arrival' ELSE 'invoice' END,
            coalesce(v_invoice.id::text, p_event_id), coalesce(v_invoice.user_id, ''),
            coalesce(v_invoice.environment, ''), jsonb_build_object('id', v_invoice.id, 'rail', p_rail,
                'paymentHash', p_rail_id, 'asset', p_asset, 'amount', p_amount, 'credited', v_due,
                'arrivedAt', p_arrived_at));
    END IF;
    IF p_cursor <> '' THEN
        INSERT INTO payments.rail_cursors (rail, cursor) VALUES (p_rail, p_cursor)
            ON CONFLICT (rail) DO UPDATE SET cursor = excluded.cursor, updated_at = clock_timestamp();
    END IF;
    RETURN v_disposition;
END $$;

-- Credit a batch in order; only its last cursor is written.
CREATE FUNCTION payments.credit_arrivals(
    p_rail text, p_event_ids text[], p_rail_ids text[], p_assets text[], p_amounts numeric[], p_times timestamptz[],
    p_proofs jsonb[], p_cursor text
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_dispositions text[] := '{}';
    v_last integer := cardinality(p_event_ids);
BEGIN
    FOR n IN 1 .. v_last LOOP
        v_dispositions := v_dispositions || payments.credit_arrival(p_rail, p_event_ids[n], p_rail_ids[n], p_assets[n],
            p_amounts[n], p_times[n], p_proofs[n], CASE WHEN n = v_last THEN p_cursor ELSE '' END);
    END LOOP;
    RETURN v_dispositions;
END $$;

-- Open invoices whose time is over. An arrival that still comes is credited as late.
CREATE FUNCTION payments.expire_invoices(p_now timestamptz, p_grace_seconds double precision, p_limit integer)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_expired integer;
BEGIN
    PERFORM payments.act_as('worker', 'expiry');
    WITH due AS (
        SELECT id FROM payments.invoices WHERE state = 'open'
            AND expires_at < p_now - make_interval(secs => p_grace_seconds)
            ORDER BY expires_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    ), expired AS (
        UPDATE payments.invoices i SET state = 'expired', updated_at = p_now FROM due WHERE i.id = due.id
            RETURNING i.id, i.user_id, i.environment, i.rail
    ), published AS (
        INSERT INTO payments.outbox (kind, name, subject_kind, subject_id, user_id, environment, payload)
            SELECT 'event', 'invoice.expired', 'invoice', e.id, e.user_id, e.environment,
                jsonb_build_object('id', e.id, 'rail', e.rail)
            FROM expired e RETURNING 1
    )
    SELECT count(*) INTO v_expired FROM published;
    RETURN v_expired;
END $$;
GRANT EXECUTE ON FUNCTION payments.begin_invoice, payments.open_invoice, payments.fail_invoice, payments.doubt_invoice,
    payments.judge_arrival, payments.credit_arrival, payments.credit_arrivals, payments.expire_invoices TO payments_app;
