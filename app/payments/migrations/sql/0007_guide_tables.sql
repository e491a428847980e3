-- Tables of the x402 and Stellar guides under their names (facts.md section 6, rows 13 and 34).
CREATE TABLE x402.agent_services (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    agent_id text NOT NULL,
    name text NOT NULL,
    category text NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    price_amount bigint NOT NULL CHECK (price_amount >= 0),
    price_asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    total_earnings bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX "agent_services_category_isActive" ON x402.agent_services (category, is_active);
CREATE INDEX "agent_services_isActive_totalEarnings" ON x402.agent_services (is_active, total_earnings);
CREATE INDEX "agent_services_isActive_priceAmount" ON x402.agent_services (is_active, price_amount);

CREATE TABLE x402.job_requests (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    service_id uuid REFERENCES x402.agent_services,
    client_agent_id text NOT NULL,
    provider_agent_id text NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX "job_requests_status_createdAt" ON x402.job_requests (status, created_at);
CREATE INDEX "job_requests_clientAgentId_status" ON x402.job_requests (client_agent_id, status);
CREATE INDEX "job_requests_providerAgentId_status" ON x402.job_requests (provider_agent_id, status);

CREATE TABLE x402.transactions (
    id uuid PRIMARY KEY,
    payer text NOT NULL,
    recipient text NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    status text COLLATE "C" NOT NULL,
    agent_id text,
    signature text UNIQUE,
    "timestamp" timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX "transactions_payer_timestamp" ON x402.transactions (payer, "timestamp");
CREATE INDEX "transactions_recipient_status" ON x402.transactions (recipient, status);
CREATE INDEX "transactions_timestamp_status" ON x402.transactions ("timestamp", status);
CREATE INDEX "transactions_agentId_timestamp" ON x402.transactions (agent_id, "timestamp");

CREATE TABLE x402.nonces (
    nonce text COLLATE "C" PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX nonces_expires_at ON x402.nonces (expires_at);

CREATE TABLE stellar.stellar_tags (
    tag text COLLATE "C" PRIMARY KEY,
    user_id text NOT NULL,
    account_id text NOT NULL,
    memo text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE stellar.transactions (
    id uuid PRIMARY KEY,
    tag text,
    hash text COLLATE "C" UNIQUE,
    status text COLLATE "C" NOT NULL,
    asset text COLLATE "C" NOT NULL REFERENCES payments.assets,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON x402.agent_services, x402.job_requests, x402.transactions, stellar.stellar_tags,
    stellar.transactions TO payments_app;
GRANT SELECT, INSERT, DELETE ON x402.nonces TO payments_app;
GRANT SELECT ON x402.agent_services, x402.job_requests, x402.transactions, x402.nonces, stellar.stellar_tags,
    stellar.transactions TO payments_reader;
