//! Images and tables in (IDX, PNG, CSV), images out.
