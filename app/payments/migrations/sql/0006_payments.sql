-- Payments: money that we send. One state machine; `unknown` leaves only by what the rail says, never by time.
CREATE TABLE payments.payments (
    id uuid PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'test')),
    api_key_id uuid,
    rail text COLLATE "C" NOT NULL,
    rail_id text COLLATE "C" NOT NULL,
    payment_request text NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    max_fee numeric(38, 0) NOT NULL CHECK (max_fee >= 0),
    fee numeric(38, 0) CHECK (fee >= 0),
    memo text NOT NULL DEFAULT '',
    metadata jsonb NOT NULL DEFAULT '{}',
    external_id text COLLATE "C",
    state text COLLATE "C" NOT NULL DEFAULT 'created',
    reason text NOT NULL DEFAULT '',
    proof jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX payments_of_user ON payments.payments (user_id, environment, id);
CREATE INDEX payments_of_day ON payments.payments (user_id, environment, asset, created_at);
CREATE UNIQUE INDEX payments_external_id ON payments.payments (user_id, environment, external_id)
    WHERE external_id IS NOT NULL;
-- A payment request is paid once, whoever asks and with whatever key.
CREATE UNIQUE INDEX payments_one_per_request ON payments.payments (rail, rail_id)
    WHERE state NOT IN ('failed', 'cancelled');
CREATE INDEX payments_open ON payments.payments (created_at) WHERE state IN ('created', 'sending', 'unknown');
GRANT SELECT, INSERT, UPDATE (state, fee, reason, proof, updated_at, finished_at) ON payments.payments TO payments_app;
GRANT SELECT ON payments.payments TO payments_reader;

INSERT INTO payments.transitions VALUES
    ('payment', 'created', 'sending'), ('payment', 'created', 'cancelled'), ('payment', 'created', 'failed'),
    ('payment', 'sending', 'succeeded'), ('payment', 'sending', 'failed'), ('payment', 'sending', 'unknown'),
    ('payment', 'unknown', 'sending'), ('payment', 'unknown', 'succeeded'), ('payment', 'unknown', 'failed');

-- `failed` only when every attempt is provably dead; `succeeded` only from an attempt that the rail proved.
CREATE FUNCTION payments.check_payment_proof() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state IN ('failed', 'cancelled') AND EXISTS (SELECT 1 FROM payments.attempts a
            WHERE a.kind = 'pay' AND a.subject_id = NEW.id AND a.state <> 'dead') THEN
        RAISE EXCEPTION 'payment % has an attempt that is not provably dead.', NEW.id USING ERRCODE = 'RY003';
    END IF;
    IF NEW.state = 'succeeded' AND NOT EXISTS (SELECT 1 FROM payments.attempts a
            WHERE a.kind = 'pay' AND a.subject_id = NEW.id AND a.state = 'succeeded') THEN
        RAISE EXCEPTION 'payment % has no attempt that succeeded.', NEW.id USING ERRCODE = 'RY003';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION payments.after_payment_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, payment_method, amount_sats,
            payment_hash, status, error, detail)
        VALUES (payments.actor(), payments.cause(),
            CASE WHEN TG_OP = 'INSERT' THEN 'created' ELSE OLD.state || '>' || NEW.state END, 'payment', NEW.id,
            NEW.user_id, NEW.rail, CASE WHEN NEW.asset = 'BTC' THEN div(NEW.amount, 1000) END, NEW.rail_id, NEW.state,
            nullif(NEW.reason, ''),
            jsonb_build_object('asset', NEW.asset, 'amount', NEW.amount, 'maxFee', NEW.max_fee, 'fee', NEW.fee));
    PERFORM payments.publish_event('payment.' || NEW.state, 'payment', NEW.id::text, NEW.user_id, NEW.environment,
        jsonb_build_object('id', NEW.id, 'rail', NEW.rail, 'asset', NEW.asset, 'amount', NEW.amount, 'fee', NEW.fee,
            'state', NEW.state, 'reason', NEW.reason));
    RETURN NULL;
END $$;
CREATE TRIGGER payment_transitions BEFORE UPDATE OF state ON payments.payments FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('payment');
CREATE TRIGGER payment_proof BEFORE UPDATE OF state ON payments.payments FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_payment_proof();
CREATE TRIGGER payment_created AFTER INSERT ON payments.payments FOR EACH ROW
    EXECUTE FUNCTION payments.after_payment_change();
CREATE TRIGGER payment_changed AFTER UPDATE OF state ON payments.payments FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.after_payment_change();

-- Accept a payment, all in one transaction: key, limits, reserve, job for the worker, stored answer.
-- Raises RY004 when the user's balance is too low and RY005 over the daily limit; then nothing is kept, the key neither.
CREATE FUNCTION payments.create_payment(
    p_caller text, p_environment text, p_route text, p_key text, p_fingerprint bytea, p_token uuid,
    p_id uuid, p_user text, p_api_key uuid, p_rail text, p_rail_id text, p_request text, p_asset text,
    p_amount numeric, p_max_fee numeric, p_memo text, p_metadata jsonb, p_external_id text, p_now timestamptz,
    p_daily_limit numeric, p_release text, p_status integer, p_headers jsonb, p_body bytea, p_actor text, p_cause text
) RETURNS payments.claim LANGUAGE plpgsql AS $$
DECLARE
    v_claim payments.claim;
    v_spent numeric;
    v_owner text := p_environment || ':' || p_user;
BEGIN
    v_claim := payments.claim_key(p_caller, p_environment, p_route, p_key, p_fingerprint, p_token, 60, p_id);
    IF v_claim.outcome NOT IN ('claimed', 'resumed') THEN
        RETURN v_claim;
    END IF;
    PERFORM payments.act_as(p_actor, p_cause), pg_advisory_xact_lock(727003, hashtext(v_owner));
    SELECT coalesce(sum(p.amount + coalesce(p.fee, p.max_fee)), 0) INTO v_spent FROM payments.payments p
        WHERE p.user_id = p_user AND p.environment = p_environment AND p.asset = p_asset
        AND p.created_at > p_now - interval '24 hours' AND p.state NOT IN ('failed', 'cancelled');
    IF v_spent + p_amount + p_max_fee > p_daily_limit THEN
        RAISE EXCEPTION 'The limit of % % in 24 hours would be exceeded: % are spent or reserved.',
            p_daily_limit, p_asset, v_spent USING ERRCODE = 'RY005';
    END IF;
    INSERT INTO payments.payments (id, user_id, environment, api_key_id, rail, rail_id, payment_request, asset, amount,
            max_fee, memo, metadata, external_id, created_at, updated_at)
        VALUES (v_claim.subject_id, p_user, p_environment, p_api_key, p_rail, p_rail_id, p_request, p_asset, p_amount,
            p_max_fee, p_memo, p_metadata, p_external_id, p_now, p_now);
    PERFORM payments.post_journal('reserve', v_claim.subject_id::text, 'payment accepted',
        ARRAY['liabilities:user:' || v_owner, 'liabilities:reserved:' || v_owner], ARRAY[p_asset, p_asset],
        ARRAY[p_amount + p_max_fee, -(p_amount + p_max_fee)]);
    PERFORM payments.enqueue_job('payments.send', 1, 'payment', v_claim.subject_id::text,
        jsonb_build_object('payment_id', v_claim.subject_id), p_release);
    PERFORM payments.complete_key(p_caller, p_environment, p_route, p_key, p_token, p_status, p_headers, p_body);
    RETURN v_claim;
END $$;

-- T1 of sending, by the worker: the one attempt that may be alive. NULL: there is one already, or it is over.
CREATE FUNCTION payments.begin_payment(
    p_id uuid, p_attempt uuid, p_token uuid, p_lease_seconds double precision, p_rail_id text, p_payload jsonb,
    p_now timestamptz, p_daily_limit numeric, p_max_amount numeric, p_release text
) RETURNS payments.payments LANGUAGE plpgsql AS $$
DECLARE
    v_payment payments.payments;
BEGIN
    PERFORM payments.act_as('worker', 'send');
    SELECT * INTO v_payment FROM payments.payments WHERE id = p_id FOR NO KEY UPDATE;
    IF v_payment.state IS DISTINCT FROM 'created' OR v_payment.rail_id <> p_rail_id THEN
        RETURN NULL;
    END IF;
    -- The signer trusts nobody: the limits are checked again where the money leaves.
    IF v_payment.amount > p_max_amount THEN
        RAISE EXCEPTION 'payment % of % % is above the ceiling of %.', p_id, v_payment.amount, v_payment.asset,
            p_max_amount USING ERRCODE = 'RY005';
    END IF;
    IF (SELECT coalesce(sum(p.amount + coalesce(p.fee, p.max_fee)), 0) FROM payments.payments p
            WHERE p.user_id = v_payment.user_id AND p.environment = v_payment.environment AND p.asset = v_payment.asset
            AND p.created_at > p_now - interval '24 hours' AND p.state NOT IN ('failed', 'cancelled')) > p_daily_limit THEN
        RAISE EXCEPTION 'payment % is above the limit of 24 hours.', p_id USING ERRCODE = 'RY005';
    END IF;
    PERFORM payments.start_attempt(p_attempt, 'pay', v_payment.rail, p_rail_id, 'payment', p_id, p_token,
        p_lease_seconds, p_payload, p_release);
    UPDATE payments.payments SET state = 'sending', updated_at = p_now WHERE id = p_id RETURNING * INTO v_payment;
    RETURN v_payment;
END $$;

-- T2: write what the rail said. Only the lease's holder may; false for anybody else.
CREATE FUNCTION payments.finish_payment(
    p_attempt uuid, p_token uuid, p_state text, p_fee numeric, p_proof jsonb, p_reason text,
    p_look_again_seconds double precision, p_now timestamptz, p_actor text, p_cause text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_id uuid;
    v_payment payments.payments;
    v_owner text;
    v_reserved numeric;
    v_charged numeric;
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    SELECT subject_id INTO v_id FROM payments.attempts WHERE id = p_attempt AND kind = 'pay';
    SELECT * INTO v_payment FROM payments.payments WHERE id = v_id FOR NO KEY UPDATE;
    IF v_payment.id IS NULL
            OR NOT payments.finish_attempt(p_attempt, p_token, p_state, p_proof, p_reason, p_look_again_seconds) THEN
        RETURN false;
    END IF;
    v_owner := v_payment.environment || ':' || v_payment.user_id;
    v_reserved := v_payment.amount + v_payment.max_fee;
    IF p_state = 'succeeded' THEN
        -- What a rail took above the cap is a fact to be recorded, and ours to bear.
        v_charged := least(p_fee, v_payment.max_fee);
        PERFORM payments.post_journal('payment', v_id::text, 'payment succeeded',
            ARRAY['liabilities:reserved:' || v_owner, 'assets:' || v_payment.rail, 'liabilities:user:' || v_owner,
                'expenses:fee-overrun:' || v_payment.rail],
            ARRAY[v_payment.asset, v_payment.asset, v_payment.asset, v_payment.asset],
            ARRAY[v_reserved, -(v_payment.amount + p_fee), v_charged - v_payment.max_fee, p_fee - v_charged]);
        UPDATE payments.payments SET state = 'succeeded', fee = p_fee, proof = p_proof, reason = p_reason,
            updated_at = p_now, finished_at = p_now WHERE id = v_id;
    ELSIF p_state = 'dead' THEN
        PERFORM payments.post_journal('release', v_id::text, 'payment failed',
            ARRAY['liabilities:reserved:' || v_owner, 'liabilities:user:' || v_owner],
            ARRAY[v_payment.asset, v_payment.asset], ARRAY[v_reserved, -v_reserved]);
        UPDATE payments.payments SET state = 'failed', proof = p_proof, reason = p_reason, updated_at = p_now,
            finished_at = p_now WHERE id = v_id;
    ELSIF p_state = 'unknown' AND v_payment.state = 'sending' THEN
        UPDATE payments.payments SET state = 'unknown', reason = p_reason, updated_at = p_now WHERE id = v_id;
    ELSIF p_state = 'in_flight' AND v_payment.state = 'unknown' THEN
        UPDATE payments.payments SET state = 'sending', reason = p_reason, updated_at = p_now WHERE id = v_id;
    END IF;
    RETURN true;
END $$;

-- A payment that nothing was tried for: by its owner (cancelled), or because it cannot be tried (failed).
CREATE FUNCTION payments.close_untried_payment(p_id uuid, p_state text, p_reason text, p_now timestamptz, p_actor text,
    p_cause text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_payment payments.payments;
    v_owner text;
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    SELECT * INTO v_payment FROM payments.payments WHERE id = p_id AND state = 'created' FOR NO KEY UPDATE;
    IF v_payment.id IS NULL THEN
        RETURN false;
    END IF;
    v_owner := v_payment.environment || ':' || v_payment.user_id;
    PERFORM payments.post_journal('release', p_id::text, 'payment ' || p_state,
        ARRAY['liabilities:reserved:' || v_owner, 'liabilities:user:' || v_owner],
        ARRAY[v_payment.asset, v_payment.asset],
        ARRAY[v_payment.amount + v_payment.max_fee, -(v_payment.amount + v_payment.max_fee)]);
    UPDATE payments.payments SET state = p_state, reason = p_reason, updated_at = p_now, finished_at = p_now
        WHERE id = p_id;
    RETURN true;
END $$;
GRANT EXECUTE ON FUNCTION payments.create_payment, payments.begin_payment, payments.finish_payment,
    payments.close_untried_payment TO payments_app;
