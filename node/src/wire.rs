//! The store's own protobuf messages and node-to-node services, generated from
//! `proto/node.proto`.
#![allow(missing_docs, clippy::all)]

tonic::include_proto!("keyquake.node");
