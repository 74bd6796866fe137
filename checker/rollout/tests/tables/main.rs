//! One test for each row of the tables that the model is written from.

mod always;
mod guards;
mod kit;
mod members;
mod mixed;
mod stages;
