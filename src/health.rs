//! How this machine stands: facts in, one report out. Pure. (to be written)
