//! Nothing of its own: the benches are those of `pdnn`. See `Cargo.toml`.
