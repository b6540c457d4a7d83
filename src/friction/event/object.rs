//! Writes JSON objects member by member.
//!
//! Not through a value tree: parts that others sent are put in as their own text.

/// An object that is being written.
pub(in crate::friction) struct Object<'a> {
    out: &'a mut Vec<u8>,
    begun: bool,
}

// === impl Object ===

impl<'a> Object<'a> {
    /// Writes the opening brace.
    pub(in crate::friction) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, begun: false }
    }

    /// Writes the closing brace.
    pub(in crate::friction) fn close(self) {
        self.out.push(b'}');
    }

    pub(in crate::friction) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        quote(self.out, text);
    }

    pub(in crate::friction) fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(in crate::friction) fn number(&mut self, name: &str, number: u64) {
        self.raw(name, number.to_string().as_bytes());
    }

    pub(in crate::friction) fn flag(&mut self, name: &str, flag: bool) {
        self.raw(name, if flag { b"true" } else { b"false" });
    }

    pub(in crate::friction) fn texts<'t>(
        &mut self,
        name: &str,
        texts: impl IntoIterator<Item = &'t str>,
    ) {
        self.name(name);
        self.out.push(b'[');
        for (nth, text) in texts.into_iter().enumerate() {
            if nth > 0 {
                self.out.push(b',');
            }
            quote(self.out, text);
        }
        self.out.push(b']');
    }

    /// A member whose value is the text of one JSON value.
    pub(in crate::friction) fn raw(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(value);
    }

    pub(in crate::friction) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut object = Object::open(self.out);
        write(&mut object);
        object.close();
    }

    fn name(&mut self, name: &str) {
        if self.begun {
            self.out.push(b',');
        }
        self.begun = true;
        quote(self.out, name);
        self.out.push(b':');
    }
}

/// Writes a string literal.
pub(in crate::friction) fn quote(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text)
        .unwrap_or_else(|_| unreachable!("a vector takes every string"));
}
