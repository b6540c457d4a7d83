-- Logins to the console. No token is here: `hash` is the SHA-256 of one, hexadecimal.
CREATE TABLE console_links (
    hash TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX console_links_by_end ON console_links (expires_at);

CREATE TABLE console_sessions (
    hash TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    person TEXT NOT NULL,
    assurance TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
);
CREATE INDEX console_sessions_by_end ON console_sessions (ends_at);
