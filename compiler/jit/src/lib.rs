//! Part of dlmc; see `docs/architecture.md`.
