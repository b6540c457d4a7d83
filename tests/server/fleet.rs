//! Endpoints, check-ins and orders.
