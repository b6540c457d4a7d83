//! Reads what is added to a session: names, parameters, tools.

use super::is_local;
use crate::config::parse::{self, Wrong};
use crate::config::reader::Reader;
use crate::config::settings::{Friction, SinkPlace};
use crate::config::sources::{Origin, Setting};
use crate::config::variables as name;
use crate::friction::inject::words::Words;
use crate::friction::inject::{Additions, Mode};

/// Whose session it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::config) enum Tenant {
    /// One who uses the wrapped server.
    Customer,
    /// One who made it.
    #[default]
    Vendor,
}

/// What is asked for.
pub(super) struct Wishes {
    mode: Mode,
    proactive: bool,
    white_label: bool,
    tenant: Tenant,
}

/// Reads what is asked for.
pub(super) fn wishes(read: &mut Reader<'_>) -> Wishes {
    let mode = read.optional(Setting::of(&[&name::BATON_INTENT_PARAM]), parse::intent_param);
    let proactive = read.optional(Setting::of(&[&name::BATON_PROACTIVE]), parse::boolean);
    let white_label = read.optional(Setting::of(&[&name::BATON_WHITE_LABEL]), parse::boolean);
    let tenant = read.optional(Setting::of(&[&name::BATON_TENANT_TYPE]), parse::tenant_type);
    Wishes {
        mode: mode.unwrap_or_default(),
        proactive: proactive.unwrap_or(false),
        white_label: white_label.unwrap_or(false),
        tenant: tenant.unwrap_or_default(),
    }
}

// === impl Wishes ===

impl Wishes {
    /// What is added. The tool that reports reads this machine's file, so there must be one; a
    /// vendor's collector has what it would tell, a customer's session is the customer's.
    pub(super) fn granted(&self, read: &mut Reader<'_>, friction: &Friction) -> Additions {
        let has_file = friction.sinks.iter().any(|sink| matches!(sink, SinkPlace::File(_)));
        let has_collector = friction.sinks.iter().any(SinkPlace::is_collector);
        Additions {
            words: self.words(read, &friction.vendor_id),
            mode: self.mode,
            proactive: self.proactive,
            report: has_file && (!has_collector || self.tenant == Tenant::Customer),
        }
    }

    fn words(&self, read: &mut Reader<'_>, vendor: &str) -> Words {
        if !self.white_label {
            return Words::default();
        }
        let wrong = if is_local(vendor) {
            Wrong::new(
                "is not set, and BATON_WHITE_LABEL names tools after it",
                "set it to the vendor of the wrapped server",
            )
        } else if let Ok(words) = Words::with_prefix(vendor) {
            return words;
        } else {
            Wrong::new(
                "cannot begin a tool's name, as BATON_WHITE_LABEL has it",
                "write 1 to 40 letters, digits, `_` and `-`",
            )
        };
        read.problem(Origin::Variable(name::BATON_VENDOR_ID.name), wrong);
        Words::default()
    }
}
