//! Histories of any tool, read as a stream.
//!
//! [`Reader`] opens a file (packed by gzip or zstd or not), finds out its [`Format`] and gives
//! one [`Entry`] after the other; [`Calls`] puts invocations and completions together. Nothing of
//! the text is held: an entry's values are flat [`Token`]s on a tape that the next entry
//! overwrites, words and strings are numbers ([`Symbols`]).
//!
//! ```no_run
//! # use elle_rs::history::stream::{Reader, known};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut reader = Reader::open("history.edn.gz".as_ref(), None)?;
//! while let Some(entry) = reader.next_entry()? {
//!     for step in entry.value.parts().into_iter().flatten() {
//!         let mut parts = step.parts().into_iter().flatten();
//!         if parts.next().and_then(|f| f.name()) == Some(known::APPEND) {
//!             println!("{:?} gets {:?}", parts.next(), parts.next());
//!         }
//!     }
//! }
//! if let Some(torn) = reader.torn() {
//!     println!("{torn}");
//! }
//! # Ok(())
//! # }
//! ```

mod calls;
mod edn;
mod entry;
mod escape;
mod json;
mod lines;
mod own;
mod reader;
mod token;
mod window;
mod write;

pub use crate::history::pairs::Outcome;
pub use calls::{Call, Calls};
pub use entry::{Entry, Kind};
pub use reader::{Format, ReadError, Reader, Torn, UnknownFormat};
pub use token::{Display, Parts, Shape, Symbol, Symbols, Token, Value, known};
pub use write::{write_edn, write_json};
