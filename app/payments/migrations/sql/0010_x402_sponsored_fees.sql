-- What a user's payments may cost the fee payer in a day, kept as a running sum: adding up the day's settlements for
-- each new one grows with the day.
CREATE TABLE x402.sponsored_fees (
    environment text COLLATE "C" NOT NULL CHECK (environment IN ('live', 'test')),
    user_id text COLLATE "C" NOT NULL,
    day date NOT NULL,                          -- in UTC
    max_lamports bigint NOT NULL CHECK (max_lamports > 0),
    PRIMARY KEY (environment, user_id, day)
);
GRANT SELECT, INSERT, UPDATE (max_lamports) ON x402.sponsored_fees TO payments_app;
GRANT SELECT ON x402.sponsored_fees TO payments_reader;

CREATE OR REPLACE FUNCTION x402.submit_settlement(
    p_id uuid, p_token uuid, p_signature text, p_daily_fee_limit bigint, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row x402.settlements;
    v_sponsored bigint;
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
    UPDATE x402.settlements SET state = 'submitted', signature = p_signature, updated_at = p_now WHERE id = p_id;
    -- Last, so that the user's row is locked for the shortest time.
    INSERT INTO x402.sponsored_fees AS f (environment, user_id, day, max_lamports)
        VALUES (v_row.environment, v_row.user_id, (p_now AT TIME ZONE 'UTC')::date, v_row.max_fee_lamports)
        ON CONFLICT (environment, user_id, day) DO UPDATE SET max_lamports = f.max_lamports + excluded.max_lamports
        RETURNING f.max_lamports INTO v_sponsored;
    IF v_sponsored > p_daily_fee_limit THEN
        RAISE EXCEPTION 'The fee payer''s limit of % lamports a user and day is reached.', p_daily_fee_limit
            USING ERRCODE = 'RY005';
    END IF;
    RETURN true;
END $$;
