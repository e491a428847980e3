-- Fallback within Bitcoin: where a payment goes on when its first rail provably did not pay it. Chosen at creation.
CREATE TABLE payments.payment_fallbacks (
    payment_id uuid PRIMARY KEY REFERENCES payments.payments,
    from_rail text COLLATE "C" NOT NULL,
    from_max_fee numeric(38, 0) NOT NULL CHECK (from_max_fee >= 0),   -- cap on the first rail; the payment's covers both
    rail text COLLATE "C" NOT NULL CHECK (rail <> from_rail),
    rail_id text COLLATE "C" NOT NULL,
    payment_request text NOT NULL,
    max_fee numeric(38, 0) NOT NULL CHECK (max_fee >= 0),             -- cap on the fallback's rail
    used_at timestamptz,
    reason text NOT NULL DEFAULT ''
);
GRANT SELECT, INSERT ON payments.payment_fallbacks TO payments_app;
GRANT SELECT ON payments.payment_fallbacks TO payments_reader;

INSERT INTO payments.transitions VALUES ('payment', 'sending', 'created'), ('payment', 'unknown', 'created');

-- Back to `created` only by falling back, and only when everything tried before is provably dead.
CREATE FUNCTION payments.check_fallback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM payments.attempts a
            WHERE a.kind = 'pay' AND a.subject_id = NEW.id AND a.state <> 'dead') THEN
        RAISE EXCEPTION 'payment % has an attempt that is not provably dead.', NEW.id USING ERRCODE = 'RY003';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM payments.payment_fallbacks f WHERE f.payment_id = NEW.id AND f.used_at IS NOT NULL
            AND f.rail = NEW.rail AND f.rail_id = NEW.rail_id) THEN
        RAISE EXCEPTION 'payment % has no fallback that it could go on with.', NEW.id USING ERRCODE = 'RY003';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payment_falls_back BEFORE UPDATE ON payments.payments FOR EACH ROW
    WHEN (OLD.rail IS DISTINCT FROM NEW.rail OR (OLD.state <> 'created' AND NEW.state = 'created'))
    EXECUTE FUNCTION payments.check_fallback();

-- Go on with the fallback. With p_attempt: it is dead, and its lease is p_token's. NULL: nothing was tried (congestion,
-- or refused before it was sent). False: there is no fallback left, or somebody else was first.
-- Runs as the owner: the service's own role can change neither rail nor request of a payment.
CREATE FUNCTION payments.fall_back(p_payment uuid, p_attempt uuid, p_token uuid, p_proof jsonb, p_reason text,
    p_now timestamptz, p_release text, p_actor text, p_cause text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_payment payments.payments;
    v_fallback payments.payment_fallbacks;
BEGIN
    PERFORM payments.act_as(p_actor, p_cause);
    SELECT * INTO v_payment FROM payments.payments WHERE id = p_payment FOR NO KEY UPDATE;
    SELECT * INTO v_fallback FROM payments.payment_fallbacks WHERE payment_id = p_payment AND used_at IS NULL FOR UPDATE;
    IF v_payment.id IS NULL OR v_fallback.payment_id IS NULL OR v_payment.state IN ('succeeded', 'failed', 'cancelled')
            OR (p_attempt IS NULL) <> (v_payment.state = 'created') THEN
        RETURN false;
    END IF;
    IF p_attempt IS NOT NULL AND NOT payments.finish_attempt(p_attempt, p_token, 'dead', p_proof, p_reason, 0) THEN
        RETURN false;
    END IF;
    UPDATE payments.payment_fallbacks SET used_at = p_now, reason = p_reason WHERE payment_id = p_payment;
    UPDATE payments.payments SET state = 'created', rail = v_fallback.rail, rail_id = v_fallback.rail_id,
            payment_request = v_fallback.payment_request, updated_at = p_now,
            reason = 'fell back from ' || v_fallback.from_rail || ': ' || p_reason
        WHERE id = p_payment;
    PERFORM payments.enqueue_job('payments.send', 1, 'payment', p_payment::text,
        jsonb_build_object('payment_id', p_payment), p_release);
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION payments.fall_back FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments.fall_back TO payments_app;
