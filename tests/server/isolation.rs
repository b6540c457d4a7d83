//! Each endpoint, tried with another tenant's key.
