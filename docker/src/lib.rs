//! Nodes as containers, for a Docker engine of this machine.
//!
//! ```text
//!   suite ──docker.sock──▶ engine            network of the run (a bridge, 10.x.y.0/24)
//!     │                                        │ .1            │ .2
//!     │ unix sockets in the run's folder   ┌───┴────┐      ┌───┴────┐
//!     └───────────────────────────────────▶│ pause  │      │ pause  │   agent: links, probes,
//!                                          │  n1    │      │  n2    │   census, stop/continue
//!                                          └───┬────┘      └───┬────┘
//!                                          shares network and process ids
//!                                          ┌───┴────┐      ┌───┴────┐
//!                                          │ node n1│      │ node n2│   any image
//!                                          └────────┘      └────────┘
//! ```
//!
//! The order of a run: [`Engine::find`], [`Images::prepare`], [`Engine::free_subnet`], then
//! [`Containers::raise`], which gives runtime and network for a `Cluster`; at the end
//! [`Containers::clear`]. What a killed suite leaves is undone by [`ContainerUndoer`].

pub mod agent;
mod containers;
mod engine;
mod error;
mod heal;
mod image;
mod labels;
mod links;
mod runtime;
mod subnet;
mod suite;

pub use containers::{Containers, Made, RunOf};
pub use engine::Engine;
pub use error::DockerError;
pub use heal::ContainerUndoer;
pub use image::{Image, Images, Source, Wanted};
pub use runtime::ContainerRuntime;
