//! The names of a plan's kinds in text.

use super::Space;
use crate::graph::{InputKind, OutputKind};

/// Something with a fixed name.
pub(crate) trait Named: Sized {
    /// Its name in text.
    fn name(self) -> &'static str;

    /// The one of that name.
    fn from_name(name: &str) -> Option<Self>;
}

macro_rules! names {
    ($kind:ident { $($variant:ident $name:literal),* $(,)? }) => {
        impl Named for $kind {
            fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),* }
            }

            fn from_name(name: &str) -> Option<$kind> {
                match name { $($name => Some($kind::$variant),)* _ => None }
            }
        }
    };
}

names!(Space { Persistent "persistent", Arena "arena", Scratch "scratch" });
names!(InputKind { Parameter "parameter", State "state", Data "data", Scalar "scalar" });
names!(OutputKind { Parameter "parameter", State "state", Report "report", Result "result", Check "check" });
