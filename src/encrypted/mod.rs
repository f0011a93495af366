//! A layer evaluated on ciphertexts: layouts, product plans, convolution, dense.
