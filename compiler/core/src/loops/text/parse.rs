//! Text to kernels.

use cranelift_entity::{EntityRef, PrimaryMap};
use dlm_grammar::{FileId, Span};

use super::super::{
    Access, Address, Affine, Block, Buffer, BufferDecl, Carried, Comparison, Conditional, Element,
    Float, Instruction, IntOp, Kernel, LoadKind, LoopKind, LoopStatement, MathOp, Statement, Type,
    Value, VectorBinary, VectorUnary,
};
use super::lexer::{Token, TokenKind, tokens};

/// Text that is no loop IR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Values and buffers above this number are refused, so that a short text can not ask for much memory.
const MOST_NUMBERS: usize = 1 << 20;

/// Conditions and loops nest at most this deep.
const DEEPEST: usize = 200;

type Parsed<T> = Result<T, ParseError>;

/// Every kernel in `text`. Types are read, not checked; the verifier does that.
///
/// # Errors
/// The first place that does not parse.
pub fn parse_kernels(text: &str) -> Result<Vec<Kernel>, ParseError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        position: 0,
        types: Vec::new(),
        depth: 0,
    };
    let mut kernels = Vec::new();
    while parser.position < parser.tokens.len() {
        kernels.push(parser.kernel()?);
    }
    Ok(kernels)
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
    /// By number; a value that is never defined keeps `None` and counts as an index.
    types: Vec<Option<Type>>,
    depth: usize,
}

impl Parser {
    fn kernel(&mut self) -> Parsed<Kernel> {
        self.types.clear();
        self.word("kernel")?;
        let mut kernel = Kernel {
            name: self.text()?,
            ..Kernel::default()
        };
        self.mark("{")?;
        loop {
            if self.accept_word("note") {
                kernel.notes.push(self.text()?);
            } else if self.accept_word("span") {
                kernel.spans.push(self.span()?);
            } else if self.accept_word("buffer") {
                self.buffer(&mut kernel.buffers)?;
            } else if self.accept_word("scalar") {
                let value = self.value()?;
                self.declare(value, Type::Index);
                kernel.scalars.push((value, self.text()?));
            } else {
                break;
            }
        }
        kernel.body = self.block()?;
        self.mark("}")?;
        let types = self.types.iter().map(|ty| ty.unwrap_or(Type::Index));
        kernel.values = types.collect();
        Ok(kernel)
    }

    fn buffer(&mut self, buffers: &mut PrimaryMap<Buffer, BufferDecl>) -> Parsed<()> {
        let number = self.numbered('b', "a buffer")?;
        if number != buffers.len() {
            return Err(self.wrong("buffers are numbered in order"));
        }
        let name = self.text()?;
        self.mark(":")?;
        let element = self.named("an element type", Element::from_name)?;
        let access = self.named("an access", Access::from_name)?;
        buffers.push(BufferDecl {
            name,
            element,
            access,
        });
        Ok(())
    }

    fn span(&mut self) -> Parsed<Span> {
        let file = FileId(self.integer()?);
        self.mark(":")?;
        let start = self.integer()?;
        self.mark("..")?;
        let end = self.integer()?;
        Ok(Span { file, start, end })
    }

    fn block(&mut self) -> Parsed<Block> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("nested too deep"));
        }
        let mut statements = Vec::new();
        while let Some(statement) = self.statement()? {
            statements.push(statement);
        }
        self.depth -= 1;
        Ok(Block { statements })
    }

    fn statement(&mut self) -> Parsed<Option<Statement>> {
        let Some(TokenKind::Word(word)) = self.peek() else {
            return Ok(None);
        };
        match word.as_str() {
            "next" => Ok(None),
            "for" => self.loop_statement().map(Some),
            "if" => self.conditional().map(Some),
            "store" => self.store().map(Some),
            "prefetch" => {
                self.word("prefetch")?;
                Ok(Some(Statement::Prefetch(self.address()?)))
            }
            _ => {
                let (value, ty) = self.typed_value()?;
                self.mark("=")?;
                let instruction = self.instruction(ty)?;
                Ok(Some(Statement::Define(value, instruction)))
            }
        }
    }

    fn store(&mut self) -> Parsed<Statement> {
        self.word("store")?;
        let address = self.address()?;
        self.mark(",")?;
        let value = self.value()?;
        let mut stride = 1;
        if self.accept_mark(",") {
            self.word("stride")?;
            stride = self.integer()?;
        }
        Ok(Statement::Store {
            address,
            value,
            stride,
        })
    }

    fn loop_statement(&mut self) -> Parsed<Statement> {
        self.word("for")?;
        let variable = self.value()?;
        self.declare(variable, Type::Index);
        let name = self.text()?;
        self.word("in")?;
        let begin = self.value()?;
        self.mark("..")?;
        let end = self.value()?;
        self.word("step")?;
        let step = self.integer()?;
        let kind = self.named("a loop's kind", LoopKind::from_name)?;
        let starts = self.loop_starts()?;
        self.mark("{")?;
        let body = self.block()?;
        let nexts = self.optional_values("next")?;
        self.mark("}")?;
        let results = self.optional_values("give")?;
        if nexts.len() != starts.len() || results.len() != starts.len() {
            return Err(self.wrong("a loop carries, passes on and gives equally many values"));
        }
        let mut carried = Vec::with_capacity(starts.len());
        for ((argument, ty, initial), (next, result)) in
            starts.into_iter().zip(nexts.into_iter().zip(results))
        {
            self.declare(result, ty);
            carried.push(Carried {
                initial,
                argument,
                next,
                result,
            });
        }
        Ok(Statement::Loop(LoopStatement {
            kind,
            name,
            variable,
            begin,
            end,
            step,
            carried,
            body,
        }))
    }

    fn loop_starts(&mut self) -> Parsed<Vec<(Value, Type, Value)>> {
        let mut starts = Vec::new();
        if self.accept_word("carry") {
            loop {
                let (argument, ty) = self.typed_value()?;
                self.mark("=")?;
                starts.push((argument, ty, self.value()?));
                if !self.accept_mark(",") {
                    break;
                }
            }
        }
        Ok(starts)
    }

    fn conditional(&mut self) -> Parsed<Statement> {
        self.word("if")?;
        let condition = self.value()?;
        self.mark("{")?;
        let body = self.block()?;
        self.mark("}")?;
        let mut results = Vec::new();
        if self.accept_word("give") {
            loop {
                let (result, _) = self.typed_value()?;
                self.mark("=")?;
                let then = self.value()?;
                self.word("else")?;
                results.push((result, then, self.value()?));
                if !self.accept_mark(",") {
                    break;
                }
            }
        }
        Ok(Statement::If(Conditional {
            condition,
            body,
            results,
        }))
    }

    fn instruction(&mut self, ty: Type) -> Parsed<Instruction> {
        let name = self.any_word("an operation")?;
        if name == "const" {
            return self.constant(ty);
        }
        if let Some(instruction) = self.special(&name)? {
            return Ok(instruction);
        }
        if let (Type::Index, Some(op)) = (ty, IntOp::from_name(&name)) {
            let [a, b] = self.operands()?;
            return Ok(Instruction::Int(op, a, b));
        }
        if let Some(op) = VectorUnary::from_name(&name) {
            return Ok(Instruction::Unary(op, self.value()?));
        }
        if let Some(op) = VectorBinary::from_name(&name) {
            let [a, b] = self.operands()?;
            return Ok(Instruction::Binary(op, a, b));
        }
        if let Some(comparison) = Comparison::from_name(&name) {
            let [a, b] = self.operands()?;
            return Ok(Instruction::Compare(comparison, a, b));
        }
        if let Some(op) = MathOp::from_name(&name) {
            return Ok(Instruction::Math(op, self.values()?));
        }
        Err(self.wrong(&format!("no operation is called `{name}`")))
    }

    /// Operations that are no row of a table.
    fn special(&mut self, name: &str) -> Parsed<Option<Instruction>> {
        Ok(Some(match name {
            "load" => self.load(LoadKind::Contiguous)?,
            "load_splat" => self.load(LoadKind::Splat)?,
            "load_splat_pair" => self.load(LoadKind::SplatPair)?,
            "load_strided" => {
                let address = self.address()?;
                self.mark(",")?;
                let kind = LoadKind::Strided(self.integer()?);
                Instruction::Load { address, kind }
            }
            "fma" => {
                let [a, b, c] = self.operands()?;
                Instruction::Fma(a, b, c)
            }
            "dot_pairs" => {
                let [a, b, c] = self.operands()?;
                Instruction::DotPairs(a, b, c)
            }
            "select" => {
                let [mask, a, b] = self.operands()?;
                Instruction::Select(mask, a, b)
            }
            "shift_left" => {
                let (a, count) = self.value_and_number()?;
                Instruction::ShiftLeft(a, count)
            }
            "shift_right" => {
                let (a, count) = self.value_and_number()?;
                Instruction::ShiftRight(a, count)
            }
            "extract" => {
                let (a, lane) = self.value_and_number()?;
                Instruction::Extract(a, lane)
            }
            "join" => {
                let [a, b] = self.operands()?;
                Instruction::Join(a, b)
            }
            "half" => {
                let (a, half) = self.value_and_number()?;
                Instruction::Half(a, half)
            }
            "splat" => Instruction::Splat(self.value()?),
            "index_to_int" => Instruction::IndexToInt(self.value()?),
            "int_to_index" => Instruction::IntToIndex(self.value()?),
            "reduce_add" => Instruction::ReduceAdd(self.value()?),
            "lane_iota" => Instruction::LaneIota,
            _ => return Ok(None),
        }))
    }

    fn load(&mut self, kind: LoadKind) -> Parsed<Instruction> {
        let address = self.address()?;
        Ok(Instruction::Load { address, kind })
    }

    fn constant(&mut self, ty: Type) -> Parsed<Instruction> {
        match ty {
            Type::Index => Ok(Instruction::IndexConst(self.integer()?)),
            Type::I32(_) => Ok(Instruction::IntConst(self.integer()?)),
            Type::Mask(_) => {
                let set = self.named("true or false", |word| word.parse().ok())?;
                Ok(Instruction::MaskConst(set))
            }
            Type::F32(_) if self.accept_word("bits") => {
                let bits =
                    self.number(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok())?;
                Ok(Instruction::FloatConst(Float(f32::from_bits(bits))))
            }
            Type::F32(_) => {
                let value = self.number(|text| text.parse().ok())?;
                Ok(Instruction::FloatConst(Float(value)))
            }
        }
    }

    fn address(&mut self) -> Parsed<Address> {
        let buffer = Buffer::new(self.numbered('b', "a buffer")?);
        self.mark("[")?;
        let (mut terms, mut offset) = (Vec::new(), 0i64);
        loop {
            if let Some(TokenKind::Number(_)) = self.peek() {
                offset = offset.wrapping_add(self.integer()?);
            } else {
                let value = self.value()?;
                let factor = if self.accept_mark("*") {
                    self.integer()?
                } else {
                    1
                };
                terms.push((value, factor));
            }
            if !self.accept_mark("+") {
                break;
            }
        }
        self.mark("]")?;
        Ok(Affine::from_terms(terms, offset).address(buffer))
    }

    fn optional_values(&mut self, word: &str) -> Parsed<Vec<Value>> {
        if self.accept_word(word) {
            return self.values();
        }
        Ok(Vec::new())
    }

    fn values(&mut self) -> Parsed<Vec<Value>> {
        let mut values = vec![self.value()?];
        while self.accept_mark(",") {
            values.push(self.value()?);
        }
        Ok(values)
    }

    fn operands<const N: usize>(&mut self) -> Parsed<[Value; N]> {
        let values = self.values()?;
        let count = values.len();
        values
            .try_into()
            .map_err(|_| self.wrong(&format!("expects {N} operands, found {count}")))
    }

    fn value_and_number(&mut self) -> Parsed<(Value, u8)> {
        let value = self.value()?;
        self.mark(",")?;
        Ok((value, self.integer()?))
    }

    fn typed_value(&mut self) -> Parsed<(Value, Type)> {
        let value = self.value()?;
        self.mark(":")?;
        let ty = self.named("a type", parse_type)?;
        self.declare(value, ty);
        Ok((value, ty))
    }

    fn declare(&mut self, value: Value, ty: Type) {
        if self.types.len() <= value.index() {
            self.types.resize(value.index() + 1, None);
        }
        self.types[value.index()] = Some(ty);
    }

    fn value(&mut self) -> Parsed<Value> {
        let number = self.numbered('v', "a value")?;
        Ok(Value::new(number))
    }

    fn numbered(&mut self, letter: char, what: &str) -> Parsed<usize> {
        let word = self.any_word(what)?;
        let number = word.strip_prefix(letter);
        let number = number.and_then(|digits| digits.parse().ok());
        let number = number.filter(|&number| number < MOST_NUMBERS);
        number.ok_or_else(|| self.wrong(&format!("expects {what}, found `{word}`")))
    }

    fn integer<T: std::str::FromStr>(&mut self) -> Parsed<T> {
        self.number(|text| text.parse().ok())
    }

    fn number<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Parsed<T> {
        let read = match self.peek() {
            Some(TokenKind::Number(text)) => read(text),
            _ => return Err(self.wrong("expects a number")),
        };
        self.position += 1;
        read.ok_or_else(|| self.wrong("the number does not fit"))
    }

    fn named<T>(&mut self, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Parsed<T> {
        let word = self.any_word(what)?;
        read(&word).ok_or_else(|| self.wrong(&format!("expects {what}, found `{word}`")))
    }

    fn any_word(&mut self, what: &str) -> Parsed<String> {
        let word = match self.peek() {
            Some(TokenKind::Word(word)) => word.clone(),
            _ => return Err(self.wrong(&format!("expects {what}"))),
        };
        self.position += 1;
        Ok(word)
    }

    fn text(&mut self) -> Parsed<String> {
        let text = match self.peek() {
            Some(TokenKind::Text(text)) => text.clone(),
            _ => return Err(self.wrong("expects a name in quotation marks")),
        };
        self.position += 1;
        Ok(text)
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        match self.accept_word(word) {
            true => Ok(()),
            false => Err(self.wrong(&format!("expects `{word}`"))),
        }
    }

    fn mark(&mut self, mark: &str) -> Parsed<()> {
        match self.accept_mark(mark) {
            true => Ok(()),
            false => Err(self.wrong(&format!("expects `{mark}`"))),
        }
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(TokenKind::Word(found)) if found == word);
        self.position += usize::from(found);
        found
    }

    fn accept_mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(TokenKind::Mark(found)) if *found == mark);
        self.position += usize::from(found);
        found
    }

    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.position).map(|token| &token.kind)
    }

    fn wrong(&self, message: &str) -> ParseError {
        let at = self.position.min(self.tokens.len().saturating_sub(1));
        ParseError {
            line: self.tokens.get(at).map_or(1, |token| token.line),
            message: message.into(),
        }
    }
}

fn parse_type(word: &str) -> Option<Type> {
    if word == "index" {
        return Some(Type::Index);
    }
    let (kind, lanes) = word.split_once('x')?;
    let lanes = lanes.parse().ok()?;
    match kind {
        "f32" => Some(Type::F32(lanes)),
        "i32" => Some(Type::I32(lanes)),
        "mask" => Some(Type::Mask(lanes)),
        _ => None,
    }
}
