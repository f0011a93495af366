//! The integer network in the clear: layers, ranges, quantisation. It knows no cryptography.
