//! The table, the document made from it, and what both promise.
