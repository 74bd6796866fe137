//! Every level of isolation against its definition, on small histories of few processes.

mod by_hand;
mod definition;
mod draw;
mod orders;
mod random;
