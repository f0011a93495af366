//! Keys, encryption, decryption, packed plaintexts and vectors of ciphertexts.
