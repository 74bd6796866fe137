//! The run store and its reports
