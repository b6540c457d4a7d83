//! What this machine is called in the GovAPI. (to be written)
