//! What does not belong here: huge and slow bodies, forged tokens, floods.
