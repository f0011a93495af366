//! Training (cargo feature `train`); never needed to classify.
