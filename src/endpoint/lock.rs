//! The lock on what is done once per machine. (to be written)
