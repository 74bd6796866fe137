//! Consistency checkers: histories in, verdicts with their reasons out.
pub mod history;
