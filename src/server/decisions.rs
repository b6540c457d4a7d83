//! Recent decisions: kept for people to look at, written in batches, never waited for.
