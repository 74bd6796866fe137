//! The run store and the reports, on real disks and, where there is one, in a real browser.

mod junit;
mod page;
mod store;
mod support;
