//! One file per command.

pub mod admin;
pub mod audit;
pub mod catalogue;
pub mod check;
pub mod heal;
pub mod history;
pub mod list;
pub mod matrix;
pub mod plan;
pub mod report;
pub mod run;
mod told;
mod transactions;
