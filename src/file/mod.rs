//! Every format on disk, one file per kind.
