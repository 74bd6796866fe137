//! Why events are no history of transactions.

/// A history that cannot be read as transactions. No checker can say anything about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A completion by a process that has nothing open.
    #[error(
        "event {index}: process {process} completes a transaction that it did not invoke; \
         the history is incomplete or its recorder is wrong"
    )]
    NotInvoked {
        /// Index of the completion.
        index: u64,
        /// Who completed.
        process: i64,
    },
    /// A process with two open transactions.
    #[error(
        "event {index}: process {process} invokes a transaction while its transaction {open} is \
         still open; processes do one thing at a time, so its recorder is wrong"
    )]
    TwoOpen {
        /// Index of the second invocation.
        index: u64,
        /// Who invoked.
        process: i64,
        /// Index of the first invocation.
        open: u64,
    },
    /// An `ok` that answers something else than what was asked.
    #[error(
        "event {index}: process {process} completes another transaction than its open one, \
         {open}; the recorder is wrong"
    )]
    OtherAction {
        /// Index of the completion.
        index: u64,
        /// Who completed.
        process: i64,
        /// Index of the invocation.
        open: u64,
    },
    /// More than the checkers can number.
    #[error(
        "the history is longer than the checkers can number (at {reached}); check a part of it"
    )]
    TooLong {
        /// The index, or the count of steps, that was reached.
        reached: u64,
    },
}
