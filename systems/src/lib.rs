//! One module per store: launch, readiness, clients, error classes
