//! A credential in a file. (to be written)
