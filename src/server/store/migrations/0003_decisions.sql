-- Recent decisions, for people to look at. No arguments.
CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    at BIGINT NOT NULL,
    agent TEXT NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    user_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    session TEXT NOT NULL,
    mode TEXT NOT NULL,
    decision TEXT NOT NULL,
    authorization_decision TEXT NOT NULL,
    rule_ids TEXT NOT NULL,
    reason TEXT,
    reason_code TEXT,
    violation_id TEXT,
    approval TEXT,
    latency_us BIGINT NOT NULL
);
CREATE INDEX decisions_of_tenant ON decisions (tenant, id);
CREATE INDEX decisions_by_age ON decisions (at);
