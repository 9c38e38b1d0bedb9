//! Kernels as text, with what they are for.

use std::collections::BTreeSet;

use dlm_core::loops::Kernel;
use dlm_core::plan::Plan;
use dlm_grammar::SourceMap;
use dlm_jit::{Code, Listing};

/// The loop nests of the kernels whose names contain `wanted`.
pub fn loops(plan: &Plan, wanted: Option<&str>, sources: &SourceMap) -> String {
    let kernels = plan
        .kernels
        .values()
        .filter(|kernel| is_wanted(kernel, wanted));
    kernels
        .map(|kernel| format!("{}{kernel}\n", origin(kernel, sources)))
        .collect()
}

/// The generator's text of the kernels whose names contain `wanted`.
pub fn listings(
    plan: &Plan,
    code: &Code,
    wanted: Option<&str>,
    sources: &SourceMap,
    pick: impl Fn(&Listing) -> &String,
) -> String {
    let mut text = String::new();
    for (number, kernel) in plan.kernels.values().enumerate() {
        if !is_wanted(kernel, wanted) {
            continue;
        }
        text += &format!("# kernel {}\n{}", kernel.name, origin(kernel, sources));
        for note in &kernel.notes {
            text += &format!("#   {note}\n");
        }
        if let Some(listing) = code.listing(number) {
            text += pick(listing).trim_end();
            text += "\n\n";
        }
    }
    text
}

fn is_wanted(kernel: &Kernel, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| kernel.name.contains(wanted))
}

/// The lines of the source that a kernel computes.
fn origin(kernel: &Kernel, sources: &SourceMap) -> String {
    let mut lines = BTreeSet::new();
    for &span in &kernel.spans {
        let position = sources.position(span);
        if position.file != "?" && !position.file.starts_with('<') {
            let line = sources
                .text(span.file)
                .lines()
                .nth(position.line - 1)
                .unwrap_or("");
            lines.insert((
                position.file.to_string(),
                position.line,
                line.trim().to_string(),
            ));
        }
    }
    let comment =
        |(file, line, text): &(String, usize, String)| format!("# {file}:{line}  {text}\n");
    lines.iter().map(comment).collect()
}
