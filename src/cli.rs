//! (to be written)

pub mod doctor_tls;
