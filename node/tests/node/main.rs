//! The reference store as its users meet it: real processes, over the wire.

mod cluster;
mod commands;
mod encryption;
mod faults;
mod health;
mod membership;
mod shortcuts;
mod start;
mod strict;
