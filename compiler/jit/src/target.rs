//! The machine that code is made for.

use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};

use crate::JitError;

/// How much the generator optimises between emission and register allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effort {
    /// Instructions stay in the order they are emitted in.
    Keep,
    /// The generator's mid-end rewrites and reorders.
    Rewrite,
}

/// The host with the settings that code is generated under.
pub struct Target {
    keep: OwnedTargetIsa,
    rewrite: OwnedTargetIsa,
}

impl Target {
    /// The machine that runs now.
    ///
    /// # Errors
    /// Where it has no fused multiply-add or cannot round vectors (x86 before 2013).
    pub fn host() -> Result<Target, JitError> {
        let target = Target {
            keep: isa("none")?,
            rewrite: isa("speed")?,
        };
        target.check()?;
        Ok(target)
    }

    /// The generator's settings for that effort.
    pub fn isa(&self, effort: Effort) -> &OwnedTargetIsa {
        match effort {
            Effort::Keep => &self.keep,
            Effort::Rewrite => &self.rewrite,
        }
    }

    /// Without these the generator calls library functions, whose results differ between machines.
    fn check(&self) -> Result<(), JitError> {
        if !cfg!(target_arch = "x86_64") {
            return Ok(());
        }
        let has = |name: &str| {
            let flags = self.keep.isa_flags();
            flags
                .iter()
                .any(|flag| flag.name == name && flag.as_bool() == Some(true))
        };
        let needed = ["has_fma", "has_avx", "has_sse41"];
        let missing: Vec<&str> = needed.into_iter().filter(|name| !has(name)).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(JitError::Machine {
                missing: missing.join(", ").replace("has_", ""),
            }),
        }
    }
}

fn isa(opt_level: &str) -> Result<OwnedTargetIsa, JitError> {
    let machine = |message: String| JitError::Machine { missing: message };
    let mut flags = settings::builder();
    let checks = if cfg!(debug_assertions) {
        "true"
    } else {
        "false"
    };
    for (name, value) in [
        ("opt_level", opt_level),
        ("enable_verifier", checks),
        ("is_pic", "false"),
        ("use_colocated_libcalls", "false"),
        ("enable_probestack", "false"),
        ("unwind_info", "false"),
    ] {
        flags
            .set(name, value)
            .map_err(|error| machine(error.to_string()))?;
    }
    let builder = cranelift_native::builder().map_err(|error| machine(error.into()))?;
    builder
        .finish(settings::Flags::new(flags))
        .map_err(|error| machine(error.to_string()))
}
