//! Text to plans.

use cranelift_entity::EntityRef;

use super::ParseError;
use super::lexer::{Token, TokenKind, tokens};
use crate::graph::{Dim, InputKind, OutputKind};
use crate::loops::text::parse_kernels;
use crate::loops::{Access, Buffer, BufferDecl, Element, Kernel, Type, Value};
use crate::plan::names::Named;
use crate::plan::{
    BufferId, Call, Commit, KernelId, Layout, Phase, Plan, PlanBuffer, Port, Repeat,
    ScalarArgument, Space, TaskGroup, Tasks,
};

/// Entities above this number are refused, so that a short text can not ask for much memory.
const MOST_NUMBERS: usize = 1 << 20;

type Parsed<T> = Result<T, ParseError>;

/// The plan in `text`, with the bodies of its kernels where they follow it. Whether it makes sense is the verifier's
/// business.
///
/// # Errors
/// The first place that does not parse, and kernels that are not those the plan declares.
pub fn parse_plan(text: &str) -> Result<Plan, ParseError> {
    let (tokens, kernels_line) = tokens(text)?;
    let mut parser = Parser {
        tokens,
        position: 0,
    };
    let mut plan = parser.plan()?;
    if parser.peek() != &TokenKind::End {
        return Err(parser.expected("the end of the text or `kernel` at the beginning of a line"));
    }
    let rest: Vec<&str> = text.lines().skip(kernels_line).collect();
    if !rest.is_empty() {
        bodies(&mut plan, &"\n".repeat(kernels_line), &rest.join("\n"))?;
    }
    Ok(plan)
}

/// Puts the kernels in place of their declarations. Empty lines before them keep line numbers right.
fn bodies(plan: &mut Plan, before: &str, text: &str) -> Parsed<()> {
    let fault = |line, message| ParseError {
        line,
        column: 1,
        message,
    };
    let kernels = parse_kernels(&format!("{before}{text}"))
        .map_err(|error| fault(error.line, error.message))?;
    let line = before.len() + 1;
    if kernels.len() != plan.kernels.len() {
        let (found, declared) = (kernels.len(), plan.kernels.len());
        return Err(fault(
            line,
            format!("{found} kernels follow a plan that declares {declared}"),
        ));
    }
    for ((id, declared), kernel) in plan.kernels.iter_mut().zip(kernels) {
        let scalar_names = |kernel: &Kernel| -> Vec<String> {
            kernel.scalars.iter().map(|s| s.1.clone()).collect()
        };
        let same = declared.name == kernel.name
            && declared.buffers == kernel.buffers
            && scalar_names(declared) == scalar_names(&kernel);
        if !same {
            let message = format!(
                "kernel {:?} is not what the plan declares as {id}",
                kernel.name
            );
            return Err(fault(line, message));
        }
        *declared = kernel;
    }
    Ok(())
}

struct Parser {
    /// Ends in [`TokenKind::End`], which is never passed.
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn plan(&mut self) -> Parsed<Plan> {
        self.word("plan")?;
        let mut plan = Plan {
            name: self.text()?,
            ..Plan::default()
        };
        self.mark("{")?;
        while !self.accept_mark("}") {
            self.item(&mut plan)?;
        }
        Ok(plan)
    }

    fn item(&mut self, plan: &mut Plan) -> Parsed<()> {
        let start = self.position;
        match self
            .any_word("`buffer`, `phase` or another part of a plan")?
            .as_str()
        {
            "batch" => {
                plan.batch = self.number()?;
                plan.exact = self.accept_word("exactly");
            }
            "space" => self.space(plan)?,
            "buffer" => {
                self.in_order("m", plan.buffers.len())?;
                let buffer = self.buffer()?;
                plan.buffers.push(buffer);
            }
            "input" => plan.inputs.push(self.port(InputKind::from_name)?),
            "output" => plan.outputs.push(self.port(OutputKind::from_name)?),
            "kernel" => {
                self.in_order("k", plan.kernels.len())?;
                let kernel = self.kernel()?;
                plan.kernels.push(kernel);
            }
            "phase" => {
                self.in_order("", plan.phases.len())?;
                let phase = self.phase()?;
                plan.phases.push(phase);
            }
            "commit" => {
                let from = self.buffer_id()?;
                self.mark("->")?;
                let to = self.buffer_id()?;
                plan.commits.push(Commit { from, to });
            }
            "decision" => plan.decisions.push(self.text()?),
            _ => {
                self.position = start;
                return Err(self.expected("`buffer`, `phase` or another part of a plan"));
            }
        }
        Ok(())
    }

    fn space(&mut self, plan: &mut Plan) -> Parsed<()> {
        let space = self.read("a space", Space::from_name)?;
        let bytes = self.number()?;
        self.word("bytes")?;
        match space {
            Space::Persistent => plan.persistent_bytes = bytes,
            Space::Arena => plan.arena_bytes = bytes,
            Space::Scratch => plan.scratch_bytes = bytes,
        }
        Ok(())
    }

    fn buffer(&mut self) -> Parsed<PlanBuffer> {
        let name = self.text()?;
        self.mark(":")?;
        let element = self.read("an element type", Element::from_name)?;
        self.mark("[")?;
        let shape = self.until("]", Parser::dim)?;
        let layout = self.layout()?;
        self.word("in")?;
        let space = self.read("a space", Space::from_name)?;
        self.word("at")?;
        let offset = self.number()?;
        self.mark(",")?;
        let bytes = self.number()?;
        self.word("bytes")?;
        let (mut block_stride, mut task_stride) = (0, 0);
        let (mut row_of, mut cleared) = (None, false);
        while self.accept_mark(",") {
            if self.accept_word("cleared") {
                cleared = true;
                continue;
            }
            if self.accept_word("row") {
                self.word("of")?;
                row_of = Some(self.buffer_id()?);
                continue;
            }
            match self.accept_word("task") {
                true => task_stride = self.number()?,
                false => {
                    self.word("block")?;
                    block_stride = self.number()?;
                }
            }
        }
        Ok(PlanBuffer {
            name,
            element,
            shape,
            layout,
            space,
            offset,
            bytes,
            block_stride,
            task_stride,
            row_of,
            cleared,
        })
    }

    /// `28`, `B`, `2*B`, `B+1`, `-1*B-3`.
    fn dim(&mut self) -> Parsed<Dim> {
        let mut dim = Dim { batch: 0, fixed: 0 };
        let negative = self.accept_mark("-");
        if self.accept_word("B") {
            dim.batch = if negative { -1 } else { 1 };
        } else {
            let number = self.signed(negative)?;
            if !self.accept_mark("*") {
                return Ok(Dim::fixed(number));
            }
            self.word("B")?;
            dim.batch = number;
        }
        if self.accept_mark("+") {
            dim.fixed = self.signed(false)?;
        } else if self.accept_mark("-") {
            dim.fixed = self.signed(true)?;
        }
        Ok(dim)
    }

    fn signed(&mut self, negative: bool) -> Parsed<i64> {
        let sign = if negative { "-" } else { "" };
        self.read("an extent such as `28`, `B` or `2*B+1`", |word| {
            format!("{sign}{word}").parse().ok()
        })
    }

    fn layout(&mut self) -> Parsed<Layout> {
        if self.accept_word("plain") {
            return Ok(Layout::Plain);
        }
        if self.accept_word("partials") {
            return Ok(Layout::Partials);
        }
        if self.accept_word("panels") {
            self.mark("(")?;
            let width = self.number()?;
            self.mark(")")?;
            return Ok(Layout::Panels { width });
        }
        if !self.accept_word("lanes") {
            return Err(
                self.expected("`plain`, `lanes(AXIS)xLANES`, `panels(WIDTH)` or `partials`")
            );
        }
        self.mark("(")?;
        let axis = self.number()?;
        self.mark(")")?;
        let lanes = self.read("`x` and the number of lanes", |word| {
            word.strip_prefix('x')?.parse().ok()
        })?;
        Ok(Layout::Lanes { axis, lanes })
    }

    fn port<K>(&mut self, kind: fn(&str) -> Option<K>) -> Parsed<Port<K>> {
        let kind = self.read("what it is to the run", kind)?;
        Ok(Port {
            kind,
            name: self.text()?,
            buffer: self.buffer_id()?,
        })
    }

    fn kernel(&mut self) -> Parsed<Kernel> {
        let mut kernel = Kernel {
            name: self.text()?,
            ..Kernel::default()
        };
        self.mark("(")?;
        while matches!(self.peek(), TokenKind::Word(_)) {
            self.in_order("b", kernel.buffers.len())?;
            let name = self.text()?;
            self.mark(":")?;
            let element = self.read("an element type", Element::from_name)?;
            let access = self.read("an access", Access::from_name)?;
            let _: Buffer = kernel.buffers.push(BufferDecl {
                name,
                element,
                access,
            });
            if !self.accept_mark(",") {
                break;
            }
        }
        if self.accept_mark(";") {
            for name in self.until(")", Parser::text)? {
                let value: Value = kernel.values.push(Type::Index);
                kernel.scalars.push((value, name));
            }
        } else {
            self.mark(")")?;
        }
        Ok(kernel)
    }

    fn phase(&mut self) -> Parsed<Phase> {
        let mut phase = Phase {
            serial: self.accept_word("serial"),
            groups: Vec::new(),
        };
        self.mark("{")?;
        while !self.accept_mark("}") {
            phase.groups.push(self.group()?);
        }
        Ok(phase)
    }

    fn group(&mut self) -> Parsed<TaskGroup> {
        let tasks = self.tasks()?;
        let mut group = TaskGroup {
            tasks,
            name: self.text()?,
            zeroed: Vec::new(),
            calls: Vec::new(),
            repeats: Vec::new(),
        };
        self.mark("{")?;
        if self.accept_word("zero") {
            group.zeroed.push(self.buffer_id()?);
            while self.accept_mark(",") {
                group.zeroed.push(self.buffer_id()?);
            }
        }
        while !self.accept_mark("}") {
            match self.accept_word("repeat") {
                true => self.repeat(&mut group)?,
                false => group.calls.push(self.call()?),
            }
        }
        Ok(group)
    }

    fn repeat(&mut self, group: &mut TaskGroup) -> Parsed<()> {
        let rounds = self.number()?;
        let reverse = self.accept_word("backward");
        let first = group.calls.len();
        self.mark("{")?;
        while !self.accept_mark("}") {
            group.calls.push(self.call()?);
        }
        let count = group.calls.len() - first;
        if count == 0 {
            return Err(self.expected("a call in the loop before"));
        }
        group.repeats.push(Repeat {
            first,
            count,
            rounds,
            reverse,
        });
        Ok(())
    }

    fn tasks(&mut self) -> Parsed<Tasks> {
        if self.accept_word("once") {
            return Ok(Tasks::Once);
        }
        if self.accept_word("batch") {
            self.word("ranges")?;
            self.word("by")?;
            return Ok(Tasks::BatchRanges {
                chunk: self.number()?,
            });
        }
        if self.accept_word("ranges") {
            self.word("of")?;
            let extent = self.number()?;
            self.word("by")?;
            return Ok(Tasks::Ranges {
                extent,
                chunk: self.number()?,
            });
        }
        if !self.accept_word("blocks") {
            return Err(self.expected("`blocks`, `ranges`, `batch ranges` or `once`"));
        }
        self.word("of")?;
        let lanes = self.number()?;
        self.mark(",")?;
        self.word("at")?;
        self.word("most")?;
        let most = self.number()?;
        self.word("tasks")?;
        Ok(Tasks::Blocks { lanes, most })
    }

    fn call(&mut self) -> Parsed<Call> {
        self.word("call")?;
        let kernel = KernelId::new(self.numbered("k")?);
        let (mut buffers, mut scalars) = (Vec::new(), Vec::new());
        self.mark("(")?;
        while matches!(self.peek(), TokenKind::Word(_)) {
            buffers.push(self.buffer_id()?);
            if !self.accept_mark(",") {
                break;
            }
        }
        if self.accept_mark(";") {
            scalars = self.until(")", Parser::scalar)?;
        } else {
            self.mark(")")?;
        }
        Ok(Call {
            kernel,
            buffers,
            scalars,
        })
    }

    fn scalar(&mut self) -> Parsed<ScalarArgument> {
        if self.accept_word("tasks") {
            self.word("of")?;
            let lanes = self.number()?;
            self.word("most")?;
            return Ok(ScalarArgument::BlockTasks {
                lanes,
                most: self.number()?,
            });
        }
        self.read("a scalar", |word| match word {
            "batch" => Some(ScalarArgument::Batch),
            "block" => Some(ScalarArgument::Block),
            "follows" => Some(ScalarArgument::Follows),
            "valid" => Some(ScalarArgument::ValidLanes),
            "begin" => Some(ScalarArgument::RangeBegin),
            "end" => Some(ScalarArgument::RangeEnd),
            "round" => Some(ScalarArgument::Round),
            _ => None,
        })
    }
}

/// The parts that know no plan.
impl Parser {
    fn buffer_id(&mut self) -> Parsed<BufferId> {
        self.numbered("m").map(BufferId::new)
    }

    fn numbered(&mut self, letter: &str) -> Parsed<usize> {
        let number = |word: &str| {
            word.strip_prefix(letter)?
                .parse()
                .ok()
                .filter(|&number| number < MOST_NUMBERS)
        };
        self.read(&format!("`{letter}` and a number"), number)
    }

    /// The number of the next entity of a list.
    fn in_order(&mut self, letter: &str, next: usize) -> Parsed<()> {
        let expected = format!("{letter}{next}");
        self.read(
            &format!("`{expected}`, as they are numbered in order"),
            |word| (word == expected).then_some(()),
        )
    }

    fn number(&mut self) -> Parsed<usize> {
        self.read("a number", |word| word.parse().ok())
    }

    /// Items with commas between them, up to and with the closing mark.
    fn until<T>(
        &mut self,
        close: &'static str,
        item: fn(&mut Parser) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        while !self.accept_mark(close) {
            items.push(item(self)?);
            if !self.accept_mark(",") {
                self.mark(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn read<T>(&mut self, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Parsed<T> {
        let found = match self.peek() {
            TokenKind::Word(word) => read(word),
            _ => None,
        };
        let found = found.ok_or_else(|| self.expected(what))?;
        self.position += 1;
        Ok(found)
    }

    fn any_word(&mut self, what: &str) -> Parsed<String> {
        self.read(what, |word| Some(word.to_string()))
    }

    fn text(&mut self) -> Parsed<String> {
        let TokenKind::Text(text) = self.peek() else {
            return Err(self.expected("a name in quotation marks"));
        };
        let text = text.clone();
        self.position += 1;
        Ok(text)
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        match self.accept_word(word) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{word}`"))),
        }
    }

    fn mark(&mut self, mark: &str) -> Parsed<()> {
        match self.accept_mark(mark) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{mark}`"))),
        }
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Word(found) if found == word);
        self.position += usize::from(found);
        found
    }

    fn accept_mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Mark(found) if *found == mark);
        self.position += usize::from(found);
        found
    }

    fn token(&self) -> &Token {
        &self.tokens[self.position.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &TokenKind {
        &self.token().kind
    }

    fn expected(&self, what: &str) -> ParseError {
        let Token { line, column, kind } = self.token();
        ParseError {
            line: *line,
            column: *column,
            message: format!("expects {what}, found {kind}"),
        }
    }
}
