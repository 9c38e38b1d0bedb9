//! "`Upper` is a block and owns parameters and state; `lower` is a pure function."

use super::codes;
use super::context::Elaborator;
use super::diagnose::error;
use super::sites::snake_case;
use dlm_grammar::ast::{Definition, DefinitionKind, File, ItemKind};

impl Elaborator<'_> {
    /// Errors for blocks in lower case and functions in upper case.
    pub fn check_cases(&mut self, tree: &File) {
        for item in &tree.items {
            if let ItemKind::Definition(definition) = &item.kind {
                self.check_case(definition);
            }
        }
    }

    fn check_case(&mut self, definition: &Definition) {
        let name = definition.name.name.as_str();
        let Some(first) = name.chars().find(|letter| *letter != '_') else {
            return;
        };
        let (message, right) = match definition.kind {
            DefinitionKind::Block if first.is_lowercase() => (
                format!("`{name}` is a block, and a block's name begins in upper case"),
                camel_case(name),
            ),
            DefinitionKind::Function if first.is_uppercase() => (
                format!("`{name}` is a function, and a function's name begins in lower case"),
                snake_case(name),
            ),
            _ => return,
        };
        let help = match definition.kind {
            DefinitionKind::Block => format!("`block {right}`; what owns no parameters is a `fn`"),
            _ => format!("`fn {right}`; what owns parameters is a `block`"),
        };
        self.report(error(codes::NAME_CASE, definition.name.span, message).help(help));
    }
}

/// `res_block` as `ResBlock`; what stands before the first letter stays.
fn camel_case(name: &str) -> String {
    let letters = name.trim_start_matches('_');
    let mut camel = name[..name.len() - letters.len()].to_owned();
    for word in letters.split('_') {
        let mut rest = word.chars();
        if let Some(first) = rest.next() {
            camel.extend(first.to_uppercase());
        }
        camel.push_str(rest.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::camel_case;

    #[test]
    fn names_become_camel_case() {
        let names = ["net", "res_block", "_inner_part", "gpt2"];
        let camels: Vec<String> = names.iter().map(|name| camel_case(name)).collect();
        assert_eq!(camels, ["Net", "ResBlock", "_InnerPart", "Gpt2"]);
    }
}
