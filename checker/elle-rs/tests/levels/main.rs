//! Every level of isolation against its definition, on small histories of few processes.

mod by_hand;
mod definition;
mod draw;
mod kinds;
mod orders;
mod random;
