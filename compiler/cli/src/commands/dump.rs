//! `dlmc dump`: a stage of the compilation as text.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dlm_core::graph::Graph;
use dlm_core::passes::PASSES;
use dlm_jit::Listing;

use crate::arguments::Shared;
use crate::commands::opt::unknown_pass;
use crate::failure::Failure;
use crate::pipeline::frontend::{Frontend, Part, persistent_layout};
use crate::pipeline::lower::{listings, optimise, plan, plan_apart};
use crate::pipeline::overrides::Overrides;
use crate::report::kernels;
use crate::stages::Stages;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  dlmc dump models/lenet.dlm --emit plan                      phases, tasks, memory, and why
  dlmc dump models/lenet.dlm --emit loops --kernel product12  one kernel's loop nest
  dlmc dump models/lenet.dlm --emit asm                       machine code beside the source line
  dlmc dump models/lenet.dlm --emit asm --products            the same as `dlmc bench --products` measures it
  dlmc dump models/lenet.dlm --print-after changed            the graph after each pass that changed it
  dlmc dump models/lenet.dlm --print-after elaborate          the graph before any pass
  dlmc dump models/lenet.dlm --part eval --emit graph         the evaluation instead of the step";

/// The name that `--print-after` has for the graph before any pass.
const ELABORATE: &str = "elaborate";

/// Print a stage of the compilation.
///
/// Everything is text that can be read back where there is a command for it: graphs go into `dlmc opt`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DumpArguments {
    /// The program
    file: PathBuf,
    /// Which `train` of the file [default: the first]
    train: Option<String>,
    /// What to print
    #[arg(long, value_enum, required_unless_present = "print_after")]
    emit: Option<Emit>,
    /// Print the graph after a pass, after all, or after each that changed it
    ///
    /// `elaborate` is the graph before any pass.
    #[arg(long, value_name = "PASS|all|changed")]
    print_after: Option<String>,
    /// Only kernels whose name contains this
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Which of the run's programs: `step`, `init`, or an evaluation by its split
    #[arg(long, value_name = "PART", default_value = "step")]
    part: String,
    /// Take tiles from a plan's text (`dlmc dump FILE --emit plan`), which may have been edited
    #[arg(long, value_name = "PLAN")]
    plan: Option<PathBuf>,
    /// With each product in a kernel of its own, as `dlmc bench --products` measures them
    #[arg(long)]
    products: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// The stages that can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// The syntax tree
    Ast,
    /// The graph after all passes
    Graph,
    /// Each kernel's loop nest with its tile and lane decisions
    Loops,
    /// Phases, tasks, buffers and decisions
    Plan,
    /// Cranelift's intermediate code
    Clif,
    /// Machine code, with the source lines of each kernel
    Asm,
}

/// Prints what is asked for.
pub fn run(arguments: &DumpArguments, shared: &Shared) -> Result<(), Failure> {
    let mut stages = Stages::new(shared.verbose);
    if let Some(pass) = &arguments.print_after {
        known_pass(pass)?;
    }
    let mut frontend = Frontend::load(&arguments.file, &arguments.overrides, shared)?;
    frontend.take_plan(arguments.plan.as_deref())?;
    if arguments.emit == Some(Emit::Ast) {
        return terminal::print(&frontend.tree()?.dump());
    }
    let train = frontend.train(arguments.train.as_deref(), &mut stages)?;
    let part = Part::find(&train, &arguments.part)?;
    let graph = print_passes(part.graph, arguments.print_after.as_deref(), &mut stages)?;
    let Some(emit) = arguments.emit else {
        return Ok(());
    };
    if emit == Emit::Graph {
        return terminal::print(&graph.to_string());
    }
    let layout = persistent_layout(&train);
    let place = (&frontend.machine, &frontend.source);
    let plan = match arguments.products {
        false => plan(&graph, part.batch, &layout, place, &mut stages)?,
        true => plan_apart(&graph, part.batch, &layout, place, &mut stages)?.0,
    };
    let wanted = arguments.kernel.as_deref();
    let text = match emit {
        Emit::Plan => plan.to_string(),
        Emit::Loops => kernels::loops(&plan, wanted, &frontend.source.map),
        _ => {
            let code = listings(&plan, &frontend.machine, &mut stages)?;
            let pick: fn(&Listing) -> &String = match emit {
                Emit::Clif => |listing| &listing.clif,
                _ => |listing| &listing.assembly,
            };
            kernels::listings(&plan, &code, wanted, &frontend.source.map, pick)
        }
    };
    if let (Some(name), true) = (wanted, text.is_empty()) {
        return Err(Failure::command_line(format!(
            "no kernel's name contains `{name}`"
        )));
    }
    stages.show();
    terminal::print(&text)
}

fn known_pass(name: &str) -> Result<(), Failure> {
    let special = ["all", "changed", ELABORATE].contains(&name);
    match special || PASSES.iter().any(|pass| pass.name == name) {
        true => Ok(()),
        false => Err(unknown_pass(name, &["elaborate", "all", "changed"])),
    }
}

/// Runs the passes, printing the graphs that are wanted.
fn print_passes(
    graph: &Graph,
    wanted: Option<&str>,
    stages: &mut Stages,
) -> Result<Graph, Failure> {
    let mut printed = String::new();
    if matches!(wanted, Some("all" | ELABORATE)) {
        printed += &format!("# {ELABORATE}\n{graph}\n");
    }
    let mut before = graph.to_string();
    let result = optimise(graph, stages, |name, after| {
        let Some(wanted) = wanted else {
            return;
        };
        let after = after.to_string();
        let changed = after != before;
        if wanted == name || wanted == "all" || (wanted == "changed" && changed) {
            printed += &format!(
                "# {name}{}\n{after}\n",
                if changed { "" } else { " (no change)" }
            );
        }
        before = after;
    })?;
    terminal::print(&printed)?;
    Ok(result)
}
