-- One payment a request over all rails of a network, a hold that the signer sees, limits of every asset.
-- SQLSTATE of ours, further: RY010, the user is held for suspicious activity.

-- Rails that reach the same payee by the same request are one network: a BOLT11 invoice that is on its way over one of
-- them is not paid over another, however the two providers are called.
CREATE FUNCTION payments.network_of(p_rail text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_rail IN ('lnd', 'river') THEN 'lightning' ELSE p_rail END
$$;
GRANT EXECUTE ON FUNCTION payments.network_of TO payments_app, payments_reader;
DROP INDEX payments.payments_one_per_request;
CREATE UNIQUE INDEX payments_one_per_request ON payments.payments (payments.network_of(rail), rail_id)
    WHERE state NOT IN ('failed', 'cancelled');

-- Whether a payment may leave now; called by the signer in the transaction that begins the attempt. Raises if not.
-- p_threshold and p_floor are the payment's asset's, in its minor units. p_failed_since and p_failures: the rule of
-- suspicious activity. The function with four arguments stays for the release before, which knows bitcoin alone.
CREATE FUNCTION payments.check_departure(p_id uuid, p_threshold numeric, p_floor numeric, p_failed_since timestamptz,
    p_failures integer, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_payment payments.payments;
    v_switch payments.switches;
    v_left numeric;
    v_failures integer;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(727008, 1);
    SELECT * INTO v_payment FROM payments.payments WHERE id = p_id FOR NO KEY UPDATE;
    SELECT s.* INTO v_switch FROM payments.stopping(p_now) s
        WHERE s.name IN ('payouts', 'maintenance', 'send:' || v_payment.rail) ORDER BY s.name LIMIT 1;
    IF v_switch.name IS NOT NULL THEN
        RAISE EXCEPTION 'Held by the switch %: %', v_switch.name, v_switch.reason USING ERRCODE = 'RY006';
    END IF;
    -- The lock that a failure takes while it is recorded: whoever saw the hold knows that no later departure passed it.
    PERFORM pg_advisory_xact_lock(727007, hashtext(v_payment.environment || ':' || v_payment.user_id));
    SELECT count(*) INTO v_failures FROM payments.failures f WHERE f.user_id = v_payment.user_id
        AND f.environment = v_payment.environment AND NOT f.is_reviewed AND f.failed_at > p_failed_since;
    IF v_failures >= p_failures THEN
        RAISE EXCEPTION 'Payouts of user % are held after % failures.', v_payment.user_id, v_failures
            USING ERRCODE = 'RY010';
    END IF;
    IF v_payment.amount > p_threshold AND NOT EXISTS (SELECT 1 FROM payments.approvals a
            WHERE a.payment_id = p_id AND a.approver_user <> v_payment.user_id
            AND a.approved_by <> 'key:' || coalesce(v_payment.api_key_id::text, '')) THEN
        RAISE EXCEPTION 'A payment of more than % % waits for a second person''s approval.', p_threshold,
            v_payment.asset USING ERRCODE = 'RY007';
    END IF;
    IF p_floor IS NOT NULL THEN
        -- One departure of a rail is weighed after the other.
        PERFORM pg_advisory_xact_lock(727006, hashtext(v_payment.rail));
        SELECT coalesce(sum(b.balance), 0) INTO v_left FROM payments.balances b
            WHERE b.code = 'assets:' || v_payment.rail AND b.asset = v_payment.asset;
        SELECT v_left - coalesce(sum(p.amount + p.max_fee), 0) INTO v_left FROM payments.payments p
            WHERE p.rail = v_payment.rail AND p.asset = v_payment.asset AND p.state IN ('sending', 'unknown');
        IF v_left - v_payment.amount - v_payment.max_fee < p_floor THEN
            RAISE EXCEPTION 'The hot wallet of % would fall below its floor of % %.', v_payment.rail, p_floor,
                v_payment.asset USING ERRCODE = 'RY008';
        END IF;
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION payments.check_departure(uuid, numeric, numeric, timestamptz, integer, timestamptz)
    TO payments_app;
