//! Part of dlmc; see `docs/architecture.md`.
#![forbid(unsafe_code)]
