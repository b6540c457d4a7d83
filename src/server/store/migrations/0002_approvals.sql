-- Approvals: what people are asked to agree to. One is live as long as it answers identical questions;
-- of those with the same binding at most one is, whatever replicas do at once.
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    call_hash TEXT NOT NULL,
    agent TEXT NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    arguments_hidden BIGINT NOT NULL,
    arguments_cut BIGINT NOT NULL,
    rule_ids TEXT NOT NULL,
    control_ids TEXT NOT NULL,
    reason TEXT,
    reason_code TEXT,
    policy_id TEXT,
    policy_version TEXT,
    policy_sha256 TEXT,
    revision TEXT NOT NULL,
    self_approval BIGINT,
    state TEXT NOT NULL,
    live BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    answered_by TEXT,
    assurance TEXT,
    answered_at BIGINT,
    note TEXT,
    spent_by TEXT,
    spent_at BIGINT
);
CREATE UNIQUE INDEX approvals_live ON approvals (tenant, user_id, environment, call_hash)
    WHERE live = 1;
CREATE INDEX approvals_of_tenant ON approvals (tenant, created_at);
CREATE INDEX approvals_ending ON approvals (live, expires_at);

-- Claims: one for each question that attached to an approval. `token_hash` is the SHA-256 of the hold
-- token, hexadecimal; the token itself is nowhere.
CREATE TABLE claims (
    token_hash TEXT PRIMARY KEY,
    claim_tenant TEXT NOT NULL,
    approval TEXT NOT NULL,
    claim_session TEXT NOT NULL,
    trace TEXT,
    attestation TEXT,
    claimed_at BIGINT NOT NULL,
    withdrawn_at BIGINT
);
CREATE INDEX claims_of_approval ON claims (approval, claimed_at);
