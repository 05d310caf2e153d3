//! The face callers meet: one spine from accept to seal.
