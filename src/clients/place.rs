//! Reads a file and replaces it: whole or not at all, and never over somebody else's change. (to be written)
