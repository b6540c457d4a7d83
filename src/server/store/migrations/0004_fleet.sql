-- Endpoints, their orders, their journal heads, and what their servers offer. '' is: not said.
CREATE TABLE endpoints (
    tenant TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    hostname TEXT NOT NULL,
    employee_email TEXT NOT NULL,
    fleet_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    enrollment TEXT NOT NULL,
    proxy_version TEXT NOT NULL,
    -- What machines say of themselves, and what people say of machines: JSON objects.
    details TEXT NOT NULL,
    labels TEXT NOT NULL,
    -- From the last check-in.
    status TEXT NOT NULL,
    health TEXT NOT NULL,
    config_drifted BIGINT NOT NULL,
    blocks_calls BIGINT NOT NULL,
    report TEXT NOT NULL,
    last_seen BIGINT,
    key_id TEXT NOT NULL,
    -- Orders.
    quarantined_at BIGINT,
    quarantine_reason TEXT,
    quarantined_by TEXT,
    -- The first head that did not follow the one before.
    journal_conflict_at BIGINT,
    journal_conflict TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, endpoint_id)
);
CREATE INDEX endpoints_of_fleet ON endpoints (tenant, fleet_id);

CREATE TABLE journal_heads (
    tenant TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    records BIGINT NOT NULL,
    head TEXT NOT NULL,
    is_over BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, endpoint_id, session_id)
);
CREATE INDEX journal_heads_by_age ON journal_heads (seen_at);

CREATE TABLE fleet_settings (
    tenant TEXT PRIMARY KEY,
    minimum_version TEXT,
    heartbeat_interval_seconds BIGINT,
    revoked_key_ids TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);
CREATE INDEX api_keys_revoked ON api_keys (tenant, revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE tools (
    tenant TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    description TEXT NOT NULL,
    input_schema TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (tenant, agent_id, name)
);
