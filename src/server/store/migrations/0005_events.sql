-- Events, for a time: for people to look at, and so that one is not taken twice.
CREATE TABLE events (
    tenant TEXT NOT NULL,
    event_id TEXT NOT NULL,
    dialect TEXT NOT NULL,
    event_type TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    tool_name TEXT NOT NULL,
    occurred_at BIGINT,
    received_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, event_id)
);
CREATE INDEX events_by_age ON events (tenant, received_at);
