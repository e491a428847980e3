-- The on-chain rail: which address belongs to what, which outputs are ours, and every version of every payout.
CREATE TABLE payments.onchain_addresses (
    branch smallint NOT NULL CHECK (branch IN (0, 1)),    -- 0: given out, 1: change
    number bigint NOT NULL CHECK (number >= 0),           -- index in the descriptor's branch
    rail_id text COLLATE "C" NOT NULL,                    -- the invoice's identity, or whose change it is
    address text COLLATE "C",
    script bytea UNIQUE,                                  -- NULL until it was derived
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    filled_at timestamptz,
    PRIMARY KEY (branch, number),
    UNIQUE (branch, rail_id)
);
CREATE INDEX onchain_addresses_filled ON payments.onchain_addresses (filled_at);
GRANT SELECT, INSERT, UPDATE (address, script, filled_at) ON payments.onchain_addresses TO payments_app;
GRANT SELECT ON payments.onchain_addresses TO payments_reader;

-- The same number for the same identity, without gaps: a wallet restored from the descriptor alone finds every address.
CREATE FUNCTION payments.allot_address(p_branch smallint, p_rail_id text) RETURNS payments.onchain_addresses
LANGUAGE plpgsql AS $$
DECLARE
    v_address payments.onchain_addresses;
BEGIN
    SELECT * INTO v_address FROM payments.onchain_addresses WHERE branch = p_branch AND rail_id = p_rail_id;
    IF v_address.number IS NULL THEN
        PERFORM pg_advisory_xact_lock(727013, p_branch);
        INSERT INTO payments.onchain_addresses (branch, number, rail_id)
            SELECT p_branch, coalesce(max(number) + 1, 0), p_rail_id FROM payments.onchain_addresses
                WHERE branch = p_branch
            ON CONFLICT (branch, rail_id) DO NOTHING;
        SELECT * INTO v_address FROM payments.onchain_addresses WHERE branch = p_branch AND rail_id = p_rail_id;
    END IF;
    RETURN v_address;
END $$;

-- Outputs of ours as blocks made them. A cache of the chain: each is looked up again before it is spent.
CREATE TABLE payments.onchain_coins (
    txid text COLLATE "C" NOT NULL,
    vout integer NOT NULL,
    branch smallint NOT NULL,
    number bigint NOT NULL,
    sats bigint NOT NULL CHECK (sats > 0),
    height integer NOT NULL,
    payment_id uuid REFERENCES payments.payments,         -- whose inputs it is among
    PRIMARY KEY (txid, vout)
);
CREATE INDEX onchain_coins_payment ON payments.onchain_coins (payment_id);
GRANT SELECT, INSERT, DELETE, UPDATE (height, payment_id) ON payments.onchain_coins TO payments_app;
GRANT SELECT ON payments.onchain_coins TO payments_reader;

-- Hold coins for a payment. False, and nothing held, when one of them is gone or a living payment has it.
CREATE FUNCTION payments.reserve_coins(p_payment uuid, p_txids text[], p_vouts integer[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_found integer;
BEGIN
    PERFORM 1 FROM payments.onchain_coins c JOIN unnest(p_txids, p_vouts) w (txid, vout) USING (txid, vout)
        ORDER BY c.txid, c.vout FOR UPDATE OF c;
    SELECT count(*) INTO v_found FROM payments.onchain_coins c JOIN unnest(p_txids, p_vouts) w (txid, vout)
        USING (txid, vout) WHERE c.payment_id IS NULL OR c.payment_id = p_payment OR EXISTS (
            SELECT 1 FROM payments.payments p WHERE p.id = c.payment_id AND p.state IN ('failed', 'cancelled'));
    IF v_found <> cardinality(p_txids) THEN
        RETURN false;
    END IF;
    UPDATE payments.onchain_coins c SET payment_id = p_payment FROM unnest(p_txids, p_vouts) w (txid, vout)
        WHERE c.txid = w.txid AND c.vout = w.vout;
    RETURN true;
END $$;

-- Unsigned, and written before they are signed: a look-up knows every transaction that can exist.
CREATE TABLE payments.onchain_versions (
    payment_id uuid NOT NULL REFERENCES payments.payments,
    number integer NOT NULL CHECK (number > 0),
    txid text COLLATE "C" NOT NULL UNIQUE,
    psbt text NOT NULL,
    fee_sats bigint NOT NULL CHECK (fee_sats >= 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (payment_id, number)
);
SELECT payments.make_append_only('payments.onchain_versions');
GRANT SELECT, INSERT ON payments.onchain_versions TO payments_app;
GRANT SELECT ON payments.onchain_versions TO payments_reader;
GRANT EXECUTE ON FUNCTION payments.allot_address, payments.reserve_coins TO payments_app;
