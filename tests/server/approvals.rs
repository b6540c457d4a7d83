//! Approvals, from the hold to the claim.
