//! Random structured kernels (nested loops that carry values, conditions, loads and stores of every kind), against
//! the interpreter, with the wide emitter.

mod support;

use dlm_core::loops::{
    Access, Affine, Buffer, Comparison, Element, Instruction, IntOp, Kernel, KernelBuilder,
    LoadKind, LoopKind, Type, Value, VectorBinary, VectorUnary,
};
use dlm_jit::wide::{Features, assemble, disassemble};
use proptest::prelude::*;
use support::{Words, check_wide};

/// Elements of each buffer; every generated place is below half of it, every lane and neighbour within the other half.
const ELEMENTS: usize = 512;

struct Generator {
    words: Words,
    builder: KernelBuilder,
    lanes: u8,
    inputs: Vec<(Buffer, Element)>,
    outputs: Vec<(Buffer, Element)>,
    indices: Vec<Value>,
    vectors: Vec<Value>,
    scalars: Vec<Value>,
    depth: usize,
}

impl Generator {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.words.below(from.len() as u32) as usize]
    }

    /// A place in 0..256: known indices are in 0..8.
    fn place(&mut self) -> Affine {
        let mut place = Affine::constant(i64::from(self.words.below(32)));
        for _ in 0..self.words.below(3) {
            let index = self.pick(&self.indices.clone());
            let factor = self.pick(&[1, 2, 4, 8, 16, 3, 5]);
            place = place.add_term(index, factor);
        }
        place
    }

    /// An operand of that type: a known one or a constant.
    fn vector(&mut self, ty: Type) -> Value {
        let known: Vec<Value> = self.vectors.clone();
        let fitting: Vec<Value> = known
            .into_iter()
            .filter(|&v| self.builder.type_of(v) == ty)
            .collect();
        if fitting.is_empty() || self.words.below(6) == 0 {
            let bits = self.words.special();
            return match ty {
                Type::I32(lanes) => self.builder.integer(bits as i32, lanes),
                Type::Mask(lanes) => self.builder.mask(bits & 1 == 1, lanes),
                _ => self.builder.float(finite(bits), ty.lanes().unwrap_or(1)),
            };
        }
        self.pick(&fitting)
    }

    fn types(&self) -> [Type; 4] {
        let lanes = self.lanes;
        [
            Type::F32(lanes),
            Type::F32(lanes),
            Type::I32(lanes),
            Type::Mask(lanes),
        ]
    }

    fn computation(&mut self) {
        let (float, int, mask) = {
            let [float, _, int, mask] = self.types();
            (float, int, mask)
        };
        let value = match self.words.below(13) {
            0..3 => self.load(),
            3..5 => {
                let [a, b, c] = [0; 3].map(|_| self.vector(float));
                self.builder.fma(a, b, c)
            }
            5 => {
                use VectorBinary as B;
                let op = self.pick(&[B::Add, B::Sub, B::Mul, B::MinNan, B::MaxSelect, B::Div]);
                let (a, b) = (self.vector(float), self.vector(float));
                self.builder.binary(op, a, b)
            }
            6 => {
                use VectorBinary as B;
                let op = self.pick(&[B::IntAdd, B::IntMul, B::IntXor, B::IntMin]);
                let (a, b) = (self.vector(int), self.vector(int));
                self.builder.binary(op, a, b)
            }
            7 => {
                let (a, b) = (self.vector(float), self.vector(float));
                let comparison = self.pick(Comparison::ALL);
                self.builder.compare(comparison, a, b)
            }
            8 => {
                let ty = self.pick(&self.types());
                let [m, a, b] = [self.vector(mask), self.vector(ty), self.vector(ty)];
                self.builder.select(m, a, b)
            }
            9 => {
                let a = self.vector(float);
                let op = self.pick(&[VectorUnary::Neg, VectorUnary::ToInt, VectorUnary::Floor]);
                self.builder.unary(op, a)
            }
            10 => {
                let several: Vec<Value> = (0..4).map(|_| self.vector(float)).collect();
                let count = self.words.below(4) as usize + 1;
                let several = several[..count].iter();
                let sums: Vec<Value> = several.map(|&a| self.builder.reduce_add(a)).collect();
                let sums: Vec<Value> = sums
                    .iter()
                    .map(|&sum| self.builder.splat(sum, self.lanes))
                    .collect();
                self.vectors.extend(&sums[1..]);
                sums[0]
            }
            11 => {
                let [a, b, c] = [self.vector(int), self.vector(int), self.vector(float)];
                self.builder.dot_pairs(a, b, c)
            }
            _ => {
                let index = self.pick(&self.indices.clone());
                self.builder.index_to_int(index, self.lanes)
            }
        };
        self.vectors.push(value);
    }

    fn load(&mut self) -> Value {
        let (buffer, _) = self.pick(&self.inputs.clone());
        let place = self.place();
        let stride = i64::from(self.words.below(5));
        let kind = self.pick(&[
            LoadKind::Contiguous,
            LoadKind::Contiguous,
            LoadKind::Splat,
            LoadKind::Strided(stride),
        ]);
        self.builder.load_as(buffer, place, kind, self.lanes)
    }

    fn index(&mut self) {
        let known = self.indices.clone();
        let (a, b) = (self.pick(&known), self.pick(&known));
        let divisor = self.builder.index(i64::from(self.words.below(9)) + 1);
        let (op, b) = match self.words.below(4) {
            0 => (IntOp::Min, b),
            1 => (IntOp::Max, b),
            2 => (IntOp::DivFloor, divisor),
            _ => (IntOp::ModFloor, divisor),
        };
        let value = self.builder.define(Instruction::Int(op, a, b), 1);
        self.indices.push(value);
    }

    fn store(&mut self) {
        let (buffer, element) = self.pick(&self.outputs.clone());
        let value = self.vector(element.loaded(self.lanes));
        let place = self.place();
        let stride = self.pick(&[1, 1, 1, 2, 3]);
        self.builder
            .store_strided(place.address(buffer), value, stride);
    }

    /// Neighbours with their lanes apart: loaded, computed with, and stored.
    fn columns(&mut self) {
        let (from, _) = self.inputs[0];
        let (to, _) = self.outputs[0];
        let stride = self.pick(&[3, 4, 6, 16]);
        let (read, write) = (self.place(), self.place());
        let count = i64::from(self.words.below(5)) + 2;
        let at = |place: &Affine, column: i64| place.clone().add_constant(column);
        let kind = LoadKind::Strided(stride);
        let loaded: Vec<Value> = (0..count)
            .map(|column| {
                self.builder
                    .load_as(from, at(&read, column), kind, self.lanes)
            })
            .collect();
        let other = self.vector(Type::F32(self.lanes));
        let values: Vec<Value> = loaded
            .into_iter()
            .map(|value| self.builder.binary(VectorBinary::Add, value, other))
            .collect();
        for (column, value) in (0..count).zip(values) {
            let address = at(&write, column).address(to);
            self.builder.store_strided(address, value, stride);
        }
    }

    fn statement(&mut self) {
        match self.words.below(17) {
            0..10 => self.computation(),
            10 => self.index(),
            11..13 => self.store(),
            13 => self.columns(),
            14..16 if self.depth < 3 => self.nested_loop(),
            _ if self.depth < 3 => self.condition(),
            _ => self.computation(),
        }
    }

    fn body(&mut self) {
        for _ in 0..self.words.below(9) + 2 {
            self.statement();
        }
    }

    /// A body whose values are not known outside; `finish` picks what leaves it.
    fn scoped<T>(&mut self, finish: impl FnOnce(&mut Generator) -> T) -> T {
        let known = (self.indices.len(), self.vectors.len());
        self.depth += 1;
        self.body();
        let result = finish(self);
        self.depth -= 1;
        self.indices.truncate(known.0);
        self.vectors.truncate(known.1);
        result
    }

    fn nested_loop(&mut self) {
        let types: Vec<Type> = (0..self.words.below(5))
            .map(|_| self.pick(&self.types()))
            .collect();
        let initials: Vec<Value> = types.iter().map(|&ty| self.vector(ty)).collect();
        let begin = self.builder.index(i64::from(self.words.below(3)));
        let end = match self.words.below(3) {
            0 => self.pick(&self.scalars.clone()),
            1 => self.pick(&self.indices.clone()),
            _ => self.builder.index(i64::from(self.words.below(4)) + 2),
        };
        let step = i64::from(self.words.below(2)) + 1;
        let kind = LoopKind::Reduction;
        let opened = self
            .builder
            .begin_loop(kind, "l", begin, end, step, &initials);
        let known = (self.indices.len(), self.vectors.len());
        self.indices.push(opened.0);
        self.vectors.extend(&opened.1);
        let nexts: Vec<Value> = self.scoped(|g| types.iter().map(|&ty| g.vector(ty)).collect());
        self.indices.truncate(known.0);
        self.vectors.truncate(known.1);
        let results = self.builder.end_loop(&nexts);
        self.vectors.extend(results);
    }

    fn condition(&mut self) {
        let types: Vec<Type> = (0..self.words.below(3))
            .map(|_| self.pick(&self.types()))
            .collect();
        let otherwise: Vec<Value> = types.iter().map(|&ty| self.vector(ty)).collect();
        let known = self.indices.clone();
        let (a, b) = (self.pick(&known), self.pick(&known));
        let op = self.pick(&[IntOp::Less, IntOp::LessEqual, IntOp::Equal, IntOp::And]);
        let condition = self.builder.define(Instruction::Int(op, a, b), 1);
        self.builder.begin_if(condition);
        let then: Vec<Value> = self.scoped(|g| types.iter().map(|&ty| g.vector(ty)).collect());
        let pairs: Vec<(Value, Value)> = then.into_iter().zip(otherwise).collect();
        let results = self.builder.end_if(&pairs);
        self.vectors.extend(results);
    }
}

/// Numbers whose products stay far from overflow, so that few results are NaN.
fn finite(bits: u32) -> f32 {
    let value = f32::from_bits(bits);
    if value.is_finite() && value.abs() < 100.0 {
        value
    } else {
        0.75
    }
}

fn generate(seed: u64, lanes: u8, statements: usize) -> (Kernel, Vec<Vec<u8>>, Vec<i64>) {
    let mut builder = KernelBuilder::new("random");
    let elements = [
        Element::F32,
        Element::I32,
        Element::U8,
        Element::Bf16,
        Element::Bool,
    ];
    let inputs = elements.map(|e| (builder.buffer("in", e, Access::Read), e));
    let outputs = elements.map(|e| (builder.buffer("out", e, Access::ReadWrite), e));
    let scalars: Vec<Value> = (0..3).map(|_| builder.scalar("n")).collect();
    let mut inputs = inputs.to_vec();
    inputs.extend(outputs);
    let mut generator = Generator {
        words: Words(seed),
        builder,
        lanes,
        inputs,
        outputs: outputs.to_vec(),
        indices: scalars.clone(),
        vectors: Vec::new(),
        scalars,
        depth: 0,
    };
    for _ in 0..statements {
        generator.statement();
    }
    for (buffer, element) in outputs {
        let value = generator.vector(element.loaded(lanes));
        generator.builder.store_at(buffer, 0, value);
    }
    let mut words = generator.words;
    let buffers = elements.iter().chain(&elements);
    let buffers = buffers.map(|&element| match element {
        Element::F32 => (0..ELEMENTS)
            .flat_map(|_| finite(words.special()).to_ne_bytes())
            .collect(),
        other => words.bytes(other, ELEMENTS),
    });
    let buffers = buffers.collect();
    let scalars = (0..3).map(|_| i64::from(words.below(8))).collect();
    (
        generator.builder.finish().expect("well built"),
        buffers,
        scalars,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agree_with_the_interpreter(seed in any::<u64>(), lanes in prop::sample::select(vec![1_u8, 2, 4, 8, 16])) {
        let (kernel, buffers, scalars) = generate(seed, lanes, 12);
        check_wide(&kernel, &buffers, &scalars);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    /// So many values that vectors, masks and indices are spilled.
    #[test]
    fn large_ones_agree_too(seed in any::<u64>(), lanes in prop::sample::select(vec![4_u8, 8, 16])) {
        let (kernel, buffers, scalars) = generate(seed, lanes, 150);
        check_wide(&kernel, &buffers, &scalars);
    }
}

/// The large ones prove what they are for: each kind of register is stored in the frame and read again.
#[test]
fn large_ones_spill_every_kind_of_register() {
    let code = (0..20).map(|seed| {
        let kernel = dlm_core::loops::expand_pairs(&generate(seed, 16, 150).0);
        let code = assemble(&kernel, Features::AVX512).expect("has code");
        disassemble(&code)
    });
    let text: String = code.collect();
    for spill in ["kmovw [rsp", "vmovups [rsp", "mov [rsp"] {
        assert!(text.contains(spill), "no {spill}");
    }
    // The end of each function takes its caller's stack pointer from the frame.
    let reads = text
        .lines()
        .filter(|line| line.contains(",[rsp") && !line.contains("rsp,["));
    let names: Vec<&str> = reads
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    for name in ["kmovw", "vmovups", "mov"] {
        assert!(names.contains(&name), "no {name}: {names:?}");
    }
}
