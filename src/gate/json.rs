//! (to be written)

/// stub
pub fn object(_text: &str) -> Result<(), ()> {
    Ok(())
}
