-- Double-entry ledger (design section 4, rule 4). A positive amount is a debit, a negative one a credit; every journal
-- sums to zero per asset. All of it holds for the owner, too: the rules are triggers, not grants.
CREATE TABLE payments.assets (
    code text COLLATE "C" PRIMARY KEY,
    minor_units smallint NOT NULL CHECK (minor_units BETWEEN 0 AND 18),
    name text NOT NULL
);
INSERT INTO payments.assets VALUES
    ('BTC', 11, 'Bitcoin in millisatoshi'),
    ('USDC', 6, 'USD Coin in millionths'),
    ('USDT', 6, 'Tether USD in millionths'),
    ('SOL', 9, 'Solana in lamports'),
    ('TON', 9, 'Toncoin in nanotons'),
    ('XLM', 7, 'Stellar lumen in stroops'),
    ('USD', 2, 'US dollar in cents');
GRANT SELECT ON payments.assets TO payments_app, payments_reader;

-- The first word of a code decides which side is natural. `floor` is the least natural balance an account may have.
CREATE TABLE payments.accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text COLLATE "C" NOT NULL CHECK (code ~ '^(assets|expenses|liabilities|income|equity):[^[:cntrl:]]{1,200}$'),
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    natural_sign smallint NOT NULL GENERATED ALWAYS AS
        (CASE WHEN code LIKE 'assets:%' OR code LIKE 'expenses:%' THEN 1 ELSE -1 END) STORED,
    floor numeric(38, 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (code, asset),
    UNIQUE (id, asset)
);
SELECT payments.make_append_only('payments.accounts');

CREATE TABLE payments.journals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    memo text NOT NULL DEFAULT '',
    posted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (kind, source)
);
SELECT payments.make_append_only('payments.journals');

CREATE TABLE payments.entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    journal_id bigint NOT NULL REFERENCES payments.journals,
    account_id bigint NOT NULL,
    asset text COLLATE "C" NOT NULL,
    amount numeric(38, 0) NOT NULL CHECK (amount <> 0),
    FOREIGN KEY (account_id, asset) REFERENCES payments.accounts (id, asset)
);
CREATE INDEX entries_journal ON payments.entries (journal_id);
CREATE INDEX entries_account ON payments.entries (account_id, id) INCLUDE (amount);
SELECT payments.make_append_only('payments.entries');

-- Balance of an account through one entry id. Made under a lock that no posting overlaps, so ids are gap-free below it.
CREATE TABLE payments.balance_snapshots (
    account_id bigint NOT NULL REFERENCES payments.accounts,
    through_entry_id bigint NOT NULL,
    balance numeric(38, 0) NOT NULL,
    entries bigint NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, through_entry_id)
);
SELECT payments.make_append_only('payments.balance_snapshots');
REVOKE INSERT ON payments.balance_snapshots FROM payments_app;

CREATE FUNCTION payments.balance(p_account bigint) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_through bigint := 0;
    v_balance numeric := 0;
BEGIN
    SELECT s.through_entry_id, s.balance INTO v_through, v_balance FROM payments.balance_snapshots s
        WHERE s.account_id = p_account ORDER BY s.through_entry_id DESC LIMIT 1;
    RETURN coalesce(v_balance, 0) + coalesce((SELECT sum(e.amount) FROM payments.entries e
        WHERE e.account_id = p_account AND e.id > coalesce(v_through, 0)), 0);
END $$;

CREATE FUNCTION payments.check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_bad record;
    v_account record;
BEGIN
    SELECT a.journal_id, a.asset, sum(a.amount) AS off INTO v_bad FROM added a
        GROUP BY a.journal_id, a.asset HAVING sum(a.amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Journal % is off by % %: every journal sums to zero per asset.',
            v_bad.journal_id, v_bad.off, v_bad.asset USING ERRCODE = 'RY001';
    END IF;
    SELECT a.journal_id INTO v_bad FROM (SELECT journal_id, count(*) AS lines FROM added GROUP BY journal_id) a
        WHERE a.lines <> (SELECT count(*) FROM payments.entries e WHERE e.journal_id = a.journal_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Journal % is complete already: its entries are written in one statement.', v_bad.journal_id
            USING ERRCODE = 'RY001';
    END IF;
    FOR v_account IN
        SELECT c.id, c.code, c.asset, c.natural_sign, c.floor
            FROM added a JOIN payments.accounts c ON c.id = a.account_id
            WHERE c.floor IS NOT NULL
            GROUP BY c.id HAVING sum(a.amount) * c.natural_sign < 0 ORDER BY c.id
    LOOP
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'An account with a floor is debited under read committed only.' USING ERRCODE = 'RY001';
        END IF;
        -- The next statement has a fresh snapshot: it sees what whoever held the lock before us has committed.
        PERFORM pg_advisory_xact_lock(727001, (v_account.id % 2147483647)::integer);
        IF payments.balance(v_account.id) * v_account.natural_sign < v_account.floor THEN
            RAISE EXCEPTION 'Account % would fall below its floor of % %.',
                v_account.code, v_account.floor, v_account.asset USING ERRCODE = 'RY004';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_sum_to_zero AFTER INSERT ON payments.entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION payments.check_entries();

CREATE FUNCTION payments.check_journal_has_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM payments.entries e WHERE e.journal_id = NEW.id) THEN
        RAISE EXCEPTION 'Journal % has no entries.', NEW.id USING ERRCODE = 'RY001';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER journal_has_entries AFTER INSERT ON payments.journals DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION payments.check_journal_has_entries();

-- The account of a code, made when first needed. Users' accounts may not go below zero.
CREATE FUNCTION payments.account_id(p_code text, p_asset text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT id INTO v_id FROM payments.accounts WHERE code = p_code AND asset = p_asset;
    IF v_id IS NULL THEN
        INSERT INTO payments.accounts (code, asset, floor)
            VALUES (p_code, p_asset, CASE WHEN p_code ~ '^liabilities:(user|reserved):' THEN 0 END)
            ON CONFLICT (code, asset) DO NOTHING RETURNING id INTO v_id;
        IF v_id IS NULL THEN
            SELECT id INTO v_id FROM payments.accounts WHERE code = p_code AND asset = p_asset;
        END IF;
    END IF;
    RETURN v_id;
END $$;

-- Post a journal once per (kind, source). Lines are three arrays of one length. NULL: it was posted already.
CREATE FUNCTION payments.post_journal(
    p_kind text, p_source text, p_memo text, p_codes text[], p_assets text[], p_amounts numeric[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_journal bigint;
BEGIN
    INSERT INTO payments.journals (kind, source, memo) VALUES (p_kind, p_source, p_memo)
        ON CONFLICT (kind, source) DO NOTHING RETURNING id INTO v_journal;
    IF v_journal IS NOT NULL THEN
        -- In one order for everybody: two transactions that both make the same accounts must not wait for each other.
        INSERT INTO payments.entries (journal_id, account_id, asset, amount)
            SELECT v_journal, payments.account_id(l.code, l.asset), l.asset, l.amount
            FROM (SELECT * FROM unnest(p_codes, p_assets, p_amounts) AS u(code, asset, amount) WHERE u.amount <> 0
                ORDER BY u.code COLLATE "C", u.asset COLLATE "C" OFFSET 0) l;
    END IF;
    RETURN v_journal;
END $$;

-- A snapshot of every account that moved since its last. The lock waits for postings under way and blocks new ones
-- while what came since the last snapshot is summed: nothing uncommitted can then be below its entry id.
CREATE FUNCTION payments.take_balance_snapshots() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    v_through bigint;
    v_made integer;
BEGIN
    LOCK TABLE payments.entries IN SHARE MODE;
    SELECT max(id) INTO v_through FROM payments.entries;
    IF v_through IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO payments.balance_snapshots (account_id, through_entry_id, balance, entries)
        SELECT e.account_id, v_through, coalesce(l.balance, 0) + sum(e.amount), coalesce(l.entries, 0) + count(*)
        FROM payments.accounts c
        LEFT JOIN LATERAL (SELECT s.through_entry_id, s.balance, s.entries FROM payments.balance_snapshots s
            WHERE s.account_id = c.id ORDER BY s.through_entry_id DESC LIMIT 1) l ON true
        JOIN payments.entries e ON e.account_id = c.id AND e.id > coalesce(l.through_entry_id, 0)
        GROUP BY e.account_id, l.balance, l.entries;
    GET DIAGNOSTICS v_made = ROW_COUNT;
    RETURN v_made;
END $$;

CREATE VIEW payments.balances AS
    SELECT c.id AS account_id, c.code, c.asset, c.natural_sign,
        coalesce(l.balance, 0) + coalesce(n.amount, 0) AS balance, coalesce(l.entries, 0) + coalesce(n.entries, 0) AS entries
    FROM payments.accounts c
    LEFT JOIN LATERAL (SELECT s.through_entry_id, s.balance, s.entries FROM payments.balance_snapshots s
        WHERE s.account_id = c.id ORDER BY s.through_entry_id DESC LIMIT 1) l ON true
    LEFT JOIN LATERAL (SELECT sum(e.amount) AS amount, count(*) AS entries FROM payments.entries e
        WHERE e.account_id = c.id AND e.id > coalesce(l.through_entry_id, 0)) n ON true;
GRANT SELECT ON payments.balances TO payments_app, payments_reader;
GRANT EXECUTE ON FUNCTION payments.balance, payments.account_id, payments.post_journal, payments.take_balance_snapshots
    TO payments_app;
GRANT EXECUTE ON FUNCTION payments.balance TO payments_reader;
