//! An operator's hands on the reference store: real processes, on loopback.

mod calls;
mod lab;
mod members;
mod starts;
