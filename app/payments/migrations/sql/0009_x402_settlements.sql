-- x402 settlements: one row a signed message, for ever. The hash covers what all signers sign and not the fee payer's
-- own signature, so nobody can make a second row for one payment (design section 4, rule 7).
CREATE TABLE x402.settlements (
    id uuid PRIMARY KEY,
    message_hash bytea NOT NULL UNIQUE CHECK (octet_length(message_hash) = 32),
    binding bytea NOT NULL CHECK (octet_length(binding) = 32),  -- caller and requirements: a retry brings the same
    retry_key text COLLATE "C",                 -- the Idempotency-Key, when one was sent: a retry brings the same
    user_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'test')),
    api_key_id uuid,
    x402_version smallint NOT NULL CHECK (x402_version IN (1, 2)),
    network text NOT NULL,                      -- as the caller wrote it, for the answer
    payer text COLLATE "C" NOT NULL,
    pay_to text COLLATE "C" NOT NULL,
    destination text COLLATE "C" NOT NULL,      -- pay_to's token account
    mint text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    wanted numeric(38, 0) NOT NULL CHECK (wanted > 0),
    fee_payer text COLLATE "C" NOT NULL,
    memo text,
    ours boolean NOT NULL,                      -- pay_to is the merchant's wallet: the ledger is credited
    transaction text NOT NULL,                  -- base64, without the fee payer's signature: worthless alone
    max_fee_lamports bigint NOT NULL CHECK (max_fee_lamports > 0),
    last_valid_height bigint NOT NULL,          -- at most the block height at acceptance + 150
    state text COLLATE "C" NOT NULL DEFAULT 'accepted',
    signature text COLLATE "C" UNIQUE,          -- written before the transaction is sent
    received numeric(38, 0),
    reason text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    proof jsonb,
    told_at timestamptz,                        -- when success was answered for the first time
    lease_token uuid,
    lease_until timestamptz NOT NULL DEFAULT 'epoch',
    next_look_at timestamptz NOT NULL DEFAULT 'epoch',
    looks integer NOT NULL DEFAULT 0,
    release text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT proven CHECK (state NOT IN ('settled', 'failed') OR (proof IS NOT NULL AND proof <> '{}')),
    CONSTRAINT signed CHECK (state <> 'submitted' OR signature IS NOT NULL),
    CONSTRAINT covered CHECK (state <> 'settled' OR (signature IS NOT NULL AND received >= wanted))
);
CREATE INDEX settlements_open ON x402.settlements (next_look_at) WHERE state IN ('accepted', 'submitted');
CREATE INDEX settlements_of_user ON x402.settlements (user_id, environment, created_at);
GRANT SELECT, INSERT, UPDATE (state, signature, received, reason, message, proof, told_at, lease_token, lease_until,
    next_look_at, looks, updated_at, finished_at) ON x402.settlements TO payments_app;
GRANT SELECT ON x402.settlements TO payments_reader;

INSERT INTO payments.transitions VALUES
    ('settlement', 'accepted', 'submitted'), ('settlement', 'accepted', 'failed'),
    ('settlement', 'submitted', 'settled'), ('settlement', 'submitted', 'failed');

CREATE FUNCTION x402.after_settlement_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO x402.nonces (nonce, expires_at) VALUES (encode(NEW.message_hash, 'hex'), NEW.created_at + interval '1 day');
        INSERT INTO x402.transactions (id, payer, recipient, asset, amount, status, "timestamp")
            VALUES (NEW.id, NEW.payer, NEW.pay_to, NEW.asset, NEW.wanted, NEW.state, NEW.created_at);
    ELSE
        UPDATE x402.transactions SET status = NEW.state, signature = NEW.signature WHERE id = NEW.id;
    END IF;
    INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, user_id, payment_method, payment_hash,
            status, error, detail)
        VALUES (payments.actor(), payments.cause(), CASE WHEN TG_OP = 'INSERT' THEN 'accepted'
            ELSE OLD.state || '>' || NEW.state END, 'settlement', NEW.id, NEW.user_id, 'solana',
            encode(NEW.message_hash, 'hex'), NEW.state, nullif(NEW.reason, ''),
            jsonb_build_object('asset', NEW.asset, 'wanted', NEW.wanted, 'received', NEW.received, 'payer', NEW.payer,
                'payTo', NEW.pay_to, 'signature', NEW.signature));
    RETURN NULL;
END $$;
CREATE TRIGGER settlement_transitions BEFORE UPDATE OF state ON x402.settlements FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION payments.check_transition('settlement');
CREATE TRIGGER settlement_accepted AFTER INSERT ON x402.settlements FOR EACH ROW
    EXECUTE FUNCTION x402.after_settlement_change();
CREATE TRIGGER settlement_changed AFTER UPDATE OF state ON x402.settlements FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION x402.after_settlement_change();

-- T1: write the settlement, or find the one that this message has already.
CREATE FUNCTION x402.accept_settlement(
    p_id uuid, p_message_hash bytea, p_binding bytea, p_retry_key text, p_user text, p_environment text, p_api_key uuid,
    p_x402_version integer, p_network text, p_payer text, p_pay_to text, p_destination text, p_mint text, p_asset text,
    p_wanted numeric, p_fee_payer text, p_memo text, p_ours boolean, p_transaction text, p_max_fee bigint,
    p_last_valid_height bigint, p_release text, p_now timestamptz, p_actor text, p_cause text,
    OUT created boolean, OUT settlement_id uuid
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    INSERT INTO x402.settlements (id, message_hash, binding, retry_key, user_id, environment, api_key_id, x402_version, network,
            payer, pay_to, destination, mint, asset, wanted, fee_payer, memo, ours, transaction, max_fee_lamports,
            last_valid_height, release, created_at, updated_at)
        VALUES (p_id, p_message_hash, p_binding, p_retry_key, p_user, p_environment, p_api_key, p_x402_version, p_network, p_payer,
            p_pay_to, p_destination, p_mint, p_asset, p_wanted, p_fee_payer, p_memo, p_ours, p_transaction, p_max_fee,
            p_last_valid_height, p_release, p_now, p_now)
        ON CONFLICT (message_hash) DO NOTHING;
    created := FOUND;
    SELECT s.id INTO settlement_id FROM x402.settlements s WHERE s.message_hash = p_message_hash;
END $$;

-- Work for a worker: settlements that are due and that nobody holds.
CREATE FUNCTION x402.take_settlements(p_token uuid, p_lease_seconds double precision, p_limit integer)
RETURNS SETOF x402.settlements LANGUAGE sql AS $$
    UPDATE x402.settlements s SET lease_token = p_token, looks = s.looks + 1, updated_at = clock_timestamp(),
            lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)
        FROM (SELECT id FROM x402.settlements WHERE state IN ('accepted', 'submitted')
            AND next_look_at <= clock_timestamp() AND lease_until <= clock_timestamp()
            ORDER BY next_look_at, created_at LIMIT p_limit FOR UPDATE SKIP LOCKED) due
        WHERE s.id = due.id RETURNING s.*
$$;

-- Keep a lease that is still ours. False: it was taken over.
CREATE FUNCTION x402.hold_settlement(p_id uuid, p_token uuid, p_lease_seconds double precision) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE x402.settlements SET lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)
        WHERE id = p_id AND lease_token = p_token AND state IN ('accepted', 'submitted');
    RETURN FOUND;
END $$;

-- Before sending: the signature becomes the settlement's identity on the chain. The limit on what one user's payments
-- may cost our fee payer in a day is checked here, where the money leaves. False: the lease was taken over.
CREATE FUNCTION x402.submit_settlement(
    p_id uuid, p_token uuid, p_signature text, p_daily_fee_limit bigint, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row x402.settlements;
BEGIN
    PERFORM payments.act_as('worker', 'settle');
    SELECT * INTO v_row FROM x402.settlements WHERE id = p_id AND lease_token = p_token
        AND lease_until > clock_timestamp() AND state IN ('accepted', 'submitted') FOR NO KEY UPDATE;
    IF v_row.id IS NULL THEN
        RETURN false;
    END IF;
    IF v_row.state = 'submitted' THEN
        RETURN v_row.signature = p_signature;
    END IF;
    PERFORM pg_advisory_xact_lock(727004, hashtext(v_row.environment || ':' || v_row.user_id));
    IF (SELECT coalesce(sum(s.max_fee_lamports), 0) FROM x402.settlements s
            WHERE s.user_id = v_row.user_id AND s.environment = v_row.environment AND s.signature IS NOT NULL
            AND s.created_at > p_now - interval '24 hours') + v_row.max_fee_lamports > p_daily_fee_limit THEN
        RAISE EXCEPTION 'The fee payer''s limit of % lamports a user in 24 hours is reached.', p_daily_fee_limit
            USING ERRCODE = 'RY005';
    END IF;
    UPDATE x402.settlements SET state = 'submitted', signature = p_signature, updated_at = p_now WHERE id = p_id;
    RETURN true;
END $$;

-- Give a settlement back: look again after p_seconds.
CREATE FUNCTION x402.postpone_settlement(p_id uuid, p_token uuid, p_seconds double precision, p_message text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE x402.settlements SET lease_until = 'epoch', message = p_message, updated_at = clock_timestamp(),
            next_look_at = clock_timestamp() + make_interval(secs => p_seconds)
        WHERE id = p_id AND lease_token = p_token AND state IN ('accepted', 'submitted');
    RETURN FOUND;
END $$;

-- T2: the effect is on the chain. The arrival has the same identity as in the rail's cursor, so it counts once,
-- whichever comes first. False: the lease was taken over, or it is final already.
CREATE FUNCTION x402.settle_settlement(
    p_id uuid, p_token uuid, p_event_id text, p_received numeric, p_fee_lamports bigint, p_proof jsonb,
    p_arrived_at timestamptz, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row x402.settlements;
    v_user text;
    v_journal bigint;
BEGIN
    PERFORM payments.act_as('worker', 'settle');
    UPDATE x402.settlements SET state = 'settled', received = p_received, proof = p_proof, reason = '', message = '',
            lease_until = 'epoch', updated_at = p_now, finished_at = p_now
        WHERE id = p_id AND lease_token = p_token AND state = 'submitted' RETURNING * INTO v_row;
    IF v_row.id IS NULL THEN
        RETURN false;
    END IF;
    IF v_row.ours THEN
        v_user := format('liabilities:user:%s:%s', v_row.environment, v_row.user_id);
        v_journal := payments.post_journal('arrival', 'solana:' || p_event_id, 'x402 settlement',
            ARRAY['assets:solana', v_user], ARRAY[v_row.asset, v_row.asset], ARRAY[p_received, -p_received]);
        IF v_journal IS NULL THEN
            -- The cursor saw it first and could not tell whose it is.
            PERFORM payments.post_journal('x402', p_id::text, 'x402 settlement, out of suspense',
                ARRAY['liabilities:suspense:solana', v_user], ARRAY[v_row.asset, v_row.asset],
                ARRAY[p_received, -p_received]);
        ELSE
            INSERT INTO payments.arrivals (rail, event_id, rail_id, asset, amount, disposition, journal_id, proof,
                    arrived_at)
                VALUES ('solana', p_event_id, encode(v_row.message_hash, 'hex'), v_row.asset, p_received, 'settled',
                    v_journal, p_proof, p_arrived_at);
        END IF;
    END IF;
    PERFORM x402.post_network_fee(p_id, p_fee_lamports);
    PERFORM payments.publish_event('x402.settled', 'settlement', p_id::text, v_row.user_id, v_row.environment,
        jsonb_build_object('id', p_id, 'rail', 'solana', 'asset', v_row.asset, 'amount', p_received, 'payer', v_row.payer,
            'payTo', v_row.pay_to, 'transaction', v_row.signature));
    RETURN true;
END $$;

-- What the fee payer paid, also for a transaction that failed on the chain.
CREATE FUNCTION x402.post_network_fee(p_id uuid, p_fee_lamports bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_fee_lamports > 0 THEN
        PERFORM payments.post_journal('x402-fee', p_id::text, 'network fee',
            ARRAY['expenses:network-fee:solana', 'assets:solana:fee-payer'], ARRAY['SOL', 'SOL'],
            ARRAY[p_fee_lamports, -p_fee_lamports]);
    END IF;
END $$;

-- T2: provably no effect, now or later. False: the lease was taken over, or it is final already.
CREATE FUNCTION x402.fail_settlement(
    p_id uuid, p_token uuid, p_reason text, p_message text, p_fee_lamports bigint, p_proof jsonb, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row x402.settlements;
BEGIN
    PERFORM payments.act_as('worker', 'settle');
    UPDATE x402.settlements SET state = 'failed', reason = p_reason, message = p_message, proof = p_proof,
            lease_until = 'epoch', updated_at = p_now, finished_at = p_now
        WHERE id = p_id AND lease_token = p_token AND state IN ('accepted', 'submitted') RETURNING * INTO v_row;
    IF v_row.id IS NULL THEN
        RETURN false;
    END IF;
    PERFORM x402.post_network_fee(p_id, p_fee_lamports);
    PERFORM payments.publish_event('x402.failed', 'settlement', p_id::text, v_row.user_id, v_row.environment,
        jsonb_build_object('id', p_id, 'rail', 'solana', 'asset', v_row.asset, 'amount', v_row.wanted, 'payer', v_row.payer,
            'payTo', v_row.pay_to, 'transaction', v_row.signature, 'reason', p_reason));
    RETURN true;
END $$;

-- Note that success is answered. True for the first time only.
CREATE FUNCTION x402.tell_settlement(p_id uuid, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE x402.settlements SET told_at = p_now WHERE id = p_id AND state = 'settled' AND told_at IS NULL;
    RETURN FOUND;
END $$;

CREATE FUNCTION x402.forget_nonces(p_now timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_forgotten integer;
BEGIN
    DELETE FROM x402.nonces n USING (SELECT nonce FROM x402.nonces WHERE expires_at < p_now LIMIT p_limit) old
        WHERE n.nonce = old.nonce;
    GET DIAGNOSTICS v_forgotten = ROW_COUNT;
    RETURN v_forgotten;
END $$;
GRANT EXECUTE ON FUNCTION x402.accept_settlement, x402.take_settlements, x402.hold_settlement, x402.submit_settlement,
    x402.postpone_settlement, x402.settle_settlement, x402.post_network_fee, x402.fail_settlement,
    x402.tell_settlement, x402.forget_nonces TO payments_app;
