-- What keeps money from leaving: switches, approvals by a second person, holds after failures, floors of hot wallets.
-- SQLSTATEs of ours, further: RY006 a switch, RY007 an approval, RY008 the hot wallet's floor.

-- A row says what somebody set; without one, or after `until`, everything works and maintenance is off.
CREATE TABLE payments.switches (
    name text COLLATE "C" PRIMARY KEY
        CHECK (name ~ '^(payouts|invoices|fallback|maintenance|(send|receive):[a-z0-9-]{1,32})$'),
    is_on boolean NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    until timestamptz,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON payments.switches TO payments_app;
GRANT SELECT ON payments.switches TO payments_reader;

CREATE FUNCTION payments.set_switch(p_name text, p_on boolean, p_reason text, p_until timestamptz, p_now timestamptz,
    p_actor text) RETURNS payments.switches LANGUAGE plpgsql AS $$
DECLARE
    v_switch payments.switches;
BEGIN
    -- Waits for departures that are being decided now: whoever set a switch knows that no later one passed it.
    PERFORM pg_advisory_xact_lock(727008, 1);
    INSERT INTO payments.switches (name, is_on, reason, until, set_by, set_at)
        VALUES (p_name, p_on, p_reason, p_until, p_actor, p_now)
        ON CONFLICT (name) DO UPDATE SET is_on = p_on, reason = p_reason, until = p_until, set_by = p_actor,
            set_at = p_now
        RETURNING * INTO v_switch;
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, status, detail)
        VALUES (p_actor, 'api', 'set', 'switch', p_name, CASE WHEN p_on THEN 'on' ELSE 'off' END,
            jsonb_build_object('reason', p_reason, 'until', p_until));
    RETURN v_switch;
END $$;

-- Switches that stop something now, with their reasons.
CREATE FUNCTION payments.stopping(p_now timestamptz) RETURNS SETOF payments.switches LANGUAGE sql STABLE AS $$
    SELECT * FROM payments.switches s WHERE s.is_on = (s.name = 'maintenance') AND (s.until IS NULL OR s.until > p_now)
$$;

-- The second person's word on a payment. Who asked for the payment cannot give it.
CREATE TABLE payments.approvals (
    payment_id uuid PRIMARY KEY REFERENCES payments.payments,
    approved_by text NOT NULL,
    approver_user text NOT NULL,
    note text NOT NULL DEFAULT '',
    approved_at timestamptz NOT NULL
);
SELECT payments.make_append_only('payments.approvals');

-- Approve, and let the worker try again to send. False: it was approved before. NULL: no such payment.
CREATE FUNCTION payments.approve_payment(p_id uuid, p_environment text, p_caller text, p_user text, p_note text,
    p_now timestamptz, p_actor text, p_release text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_payment payments.payments;
BEGIN
    SELECT * INTO v_payment FROM payments.payments WHERE id = p_id AND environment = p_environment FOR NO KEY UPDATE;
    IF v_payment.id IS NULL THEN
        RETURN NULL;
    END IF;
    IF v_payment.user_id = p_user OR v_payment.api_key_id::text = p_caller THEN
        RAISE EXCEPTION 'The payment was asked for by the same user or key: somebody else has to approve it.'
            USING ERRCODE = 'RY007';
    END IF;
    IF EXISTS (SELECT 1 FROM payments.approvals a WHERE a.payment_id = p_id) THEN
        RETURN false;
    END IF;
    IF v_payment.state <> 'created' THEN
        RAISE EXCEPTION 'The payment is % and waits for no approval.', v_payment.state USING ERRCODE = 'RY003';
    END IF;
    INSERT INTO payments.approvals (payment_id, approved_by, approver_user, note, approved_at)
        VALUES (p_id, p_actor, p_user, p_note, p_now);
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, status, detail)
        VALUES (p_actor, 'api', 'approved', 'payment', p_id::text, v_payment.user_id, v_payment.state,
            jsonb_build_object('approverUser', p_user, 'note', p_note));
    PERFORM payments.enqueue_job('payments.send', 1, 'payment', p_id::text, jsonb_build_object('payment_id', p_id),
        p_release);
    RETURN true;
END $$;

-- Whether a payment may leave now; called by the signer in the transaction that begins the attempt. Raises if not.
CREATE FUNCTION payments.check_departure(p_id uuid, p_threshold numeric, p_floor numeric, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_payment payments.payments;
    v_switch payments.switches;
    v_left numeric;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(727008, 1);
    SELECT * INTO v_payment FROM payments.payments WHERE id = p_id FOR NO KEY UPDATE;
    SELECT s.* INTO v_switch FROM payments.stopping(p_now) s
        WHERE s.name IN ('payouts', 'maintenance', 'send:' || v_payment.rail) ORDER BY s.name LIMIT 1;
    IF v_switch.name IS NOT NULL THEN
        RAISE EXCEPTION 'Held by the switch %: %', v_switch.name, v_switch.reason USING ERRCODE = 'RY006';
    END IF;
    IF v_payment.asset = 'BTC' AND v_payment.amount > p_threshold AND NOT EXISTS (SELECT 1 FROM payments.approvals a
            WHERE a.payment_id = p_id AND a.approver_user <> v_payment.user_id
            AND a.approved_by <> 'key:' || coalesce(v_payment.api_key_id::text, '')) THEN
        RAISE EXCEPTION 'A payment of more than % msat waits for a second person''s approval.', p_threshold
            USING ERRCODE = 'RY007';
    END IF;
    IF p_floor IS NOT NULL AND v_payment.asset = 'BTC' THEN
        -- One departure of a rail is weighed after the other.
        PERFORM pg_advisory_xact_lock(727006, hashtext(v_payment.rail));
        SELECT coalesce(sum(b.balance), 0) INTO v_left FROM payments.balances b
            WHERE b.code = 'assets:' || v_payment.rail AND b.asset = v_payment.asset;
        SELECT v_left - coalesce(sum(p.amount + p.max_fee), 0) INTO v_left FROM payments.payments p
            WHERE p.rail = v_payment.rail AND p.asset = v_payment.asset AND p.state IN ('sending', 'unknown');
        IF v_left - v_payment.amount - v_payment.max_fee < p_floor THEN
            RAISE EXCEPTION 'The hot wallet of % would fall below its floor of % msat.', v_payment.rail, p_floor
                USING ERRCODE = 'RY008';
        END IF;
    END IF;
END $$;

-- Failures of a user, for the suspicious-activity rule (tn-sec-suspicious-10).
CREATE TABLE payments.failures (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    what text NOT NULL,
    failed_at timestamptz NOT NULL,
    is_reviewed boolean NOT NULL DEFAULT false
);
CREATE INDEX failures_of_user ON payments.failures (user_id, environment, failed_at) WHERE NOT is_reviewed;
GRANT SELECT, INSERT, DELETE, UPDATE (is_reviewed) ON payments.failures TO payments_app;
GRANT SELECT ON payments.failures TO payments_reader;

-- Record a failure; returns how many unreviewed ones there are since p_since. The one that reaches p_limit is audited.
CREATE FUNCTION payments.record_failure(p_user text, p_environment text, p_what text, p_now timestamptz,
    p_since timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_number integer;
BEGIN
    PERFORM pg_advisory_xact_lock(727007, hashtext(p_environment || ':' || p_user));
    INSERT INTO payments.failures (user_id, environment, what, failed_at)
        VALUES (p_user, p_environment, left(p_what, 200), p_now);
    SELECT count(*) INTO v_number FROM payments.failures f WHERE f.user_id = p_user AND f.environment = p_environment
        AND NOT f.is_reviewed AND f.failed_at > p_since;
    IF v_number = p_limit THEN
        INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, status, detail)
            VALUES ('rule:suspicious', p_what, 'held', 'user', p_user, p_user, 'held',
                jsonb_build_object('failures', v_number, 'environment', p_environment));
        PERFORM payments.publish_event('user.held', 'user', p_user, p_user, p_environment,
            jsonb_build_object('userId', p_user, 'failures', v_number));
    END IF;
    RETURN v_number;
END $$;

-- A person looked: the failures so far count no longer. Returns how many there were.
CREATE FUNCTION payments.review_failures(p_user text, p_environment text, p_note text, p_actor text)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_number integer;
BEGIN
    UPDATE payments.failures SET is_reviewed = true
        WHERE user_id = p_user AND environment = p_environment AND NOT is_reviewed;
    GET DIAGNOSTICS v_number = ROW_COUNT;
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, status, detail)
        VALUES (p_actor, 'api', 'reviewed', 'user', p_user, p_user, 'reviewed',
            jsonb_build_object('failures', v_number, 'environment', p_environment, 'note', p_note));
    RETURN v_number;
END $$;

-- Money that has to move between cold storage and a hot wallet. One open request a rail and direction.
CREATE TABLE payments.wallet_transfers (
    id uuid PRIMARY KEY,
    rail text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    direction text NOT NULL CHECK (direction IN ('top_up', 'sweep')),
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    balance numeric(38, 0) NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done')),
    opened_at timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE UNIQUE INDEX wallet_transfers_open ON payments.wallet_transfers (rail, asset, direction) WHERE state = 'open';
GRANT SELECT, INSERT, UPDATE (state, closed_at) ON payments.wallet_transfers TO payments_app;
GRANT SELECT ON payments.wallet_transfers TO payments_reader;

-- Compare a rail's hot wallet with its bounds: opens a request, or closes one that was answered. Returns what it did.
CREATE FUNCTION payments.weigh_wallet(p_id uuid, p_rail text, p_asset text, p_floor numeric, p_ceiling numeric,
    p_environment text, p_now timestamptz, OUT balance numeric, OUT opened text, OUT amount numeric) LANGUAGE plpgsql AS $$
DECLARE
    v_target numeric := CASE WHEN p_floor IS NULL THEN div(p_ceiling, 2) WHEN p_ceiling IS NULL THEN 2 * p_floor + 1
        ELSE div(p_floor + p_ceiling, 2) END;
BEGIN
    PERFORM pg_advisory_xact_lock(727006, hashtext(p_rail));
    SELECT coalesce(sum(b.balance), 0) INTO balance FROM payments.balances b
        WHERE b.code = 'assets:' || p_rail AND b.asset = p_asset;
    UPDATE payments.wallet_transfers t SET state = 'done', closed_at = p_now WHERE t.rail = p_rail AND t.asset = p_asset
        AND t.state = 'open' AND CASE t.direction WHEN 'top_up' THEN weigh_wallet.balance >= coalesce(p_floor, 0)
            ELSE weigh_wallet.balance <= coalesce(p_ceiling, weigh_wallet.balance) END;
    IF balance < p_floor THEN
        opened := 'top_up';
        amount := v_target - balance;
    ELSIF balance > p_ceiling THEN
        opened := 'sweep';
        amount := balance - v_target;
    ELSE
        RETURN;
    END IF;
    INSERT INTO payments.wallet_transfers (id, rail, asset, direction, amount, balance, opened_at)
        VALUES (p_id, p_rail, p_asset, opened, weigh_wallet.amount, weigh_wallet.balance, p_now)
        ON CONFLICT (rail, asset, direction) WHERE state = 'open' DO NOTHING;
    IF NOT FOUND THEN
        opened := NULL;
        RETURN;
    END IF;
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, payment_method, status, detail)
        VALUES ('rule:hot-wallet', 'balance', opened, 'wallet_transfer', p_id::text, p_rail, 'open',
            jsonb_build_object('asset', p_asset, 'amount', weigh_wallet.amount, 'balance', weigh_wallet.balance));
    PERFORM payments.publish_event('wallet.' || opened || '_requested', 'wallet_transfer', p_id::text, 'treasury',
        p_environment, jsonb_build_object('id', p_id, 'rail', p_rail, 'asset', p_asset, 'amount', weigh_wallet.amount,
            'balance', weigh_wallet.balance));
END $$;

GRANT EXECUTE ON FUNCTION payments.set_switch, payments.stopping, payments.approve_payment, payments.check_departure,
    payments.record_failure, payments.review_failures, payments.weigh_wallet TO payments_app;
