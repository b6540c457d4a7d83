//! (to be written: reading flags, environment, managed file and profile into [`settings`])

pub mod settings;
