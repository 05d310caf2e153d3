//! Step six and nine: the exchange is opened in the ledger before the act, and every byte before it leaves.
