//! elastickv's gRPC wire, generated from its facts without `protoc`.
//!
//! The messages and service names carry no package on the wire, so everything
//! lands in one module.
#![allow(missing_docs, clippy::all)]

tonic::include_proto!("_");
