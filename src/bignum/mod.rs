//! Arithmetic modulo n and n², batch first.
