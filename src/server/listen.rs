//! Listens: TLS, connections, and the bounds around every request.
