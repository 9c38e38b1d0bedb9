//! Addresses: pointers computed as far out as their terms allow, and carried round innermost loops.
//!
//! Before a loop, a pointer is made for each sum of outer terms that an address inside needs. In an innermost loop a
//! counter's multiple becomes a pointer of its own that steps with the loop, unless the machine can scale the counter
//! by itself (by 1, 2, 4 or 8).

use cranelift_entity::SecondaryMap;
use dlm_core::loops::{Address, Block, Buffer, Instruction, LoopStatement, Statement, Value};
use iced_x86::Code;
use indexmap::{IndexMap, IndexSet};
use rustc_hash::FxBuildHasher;

use super::super::Unsupported;
use super::super::machine::{Base, First, Inst, Memory, Op, Operand, Program, Reg};
use super::operands::general;
use super::{Constant, Lower, Lowered, Place};

/// A buffer and the terms added to its start, sorted by value.
type Key = (Buffer, Vec<(Value, i64)>);

/// Pointers known in a block.
#[derive(Default)]
struct Scope {
    pointers: IndexMap<Key, Reg, FxBuildHasher>,
    /// Values times bytes.
    products: IndexMap<(Value, i64), Reg, FxBuildHasher>,
}

pub(super) struct Addresses {
    buffers: SecondaryMap<Buffer, Option<Reg>>,
    block: Option<Reg>,
    scopes: Vec<Scope>,
    /// How many blocks deep each value is defined.
    depths: SecondaryMap<Value, usize>,
}

/// A pointer that steps with a loop, and by how many bytes.
pub(super) type Stepping = (Reg, i64);

impl Addresses {
    pub(super) fn new() -> Addresses {
        Addresses {
            buffers: SecondaryMap::new(),
            block: None,
            scopes: vec![Scope::default()],
            depths: SecondaryMap::new(),
        }
    }

    /// The register that holds the argument block's address on entry.
    pub(super) fn block_register(&mut self, program: &mut Program) -> Reg {
        *self.block.get_or_insert_with(|| {
            let reg = program.general();
            program.argument = Some(reg);
            reg
        })
    }

    pub(super) fn set_buffer(&mut self, buffer: Buffer, reg: Reg) {
        self.buffers[buffer] = Some(reg);
    }

    pub(super) fn defined(&mut self, value: Value) {
        self.depths[value] = self.scopes.len();
    }

    pub(super) fn open(&mut self) {
        self.scopes.push(Scope::default());
    }

    pub(super) fn close(&mut self) {
        self.scopes.pop();
    }

    fn find(&self, key: &Key) -> Option<Reg> {
        let mut scopes = self.scopes.iter().rev();
        scopes.find_map(|scope| scope.pointers.get(key).copied())
    }

    fn remember(&mut self, key: Key, reg: Reg) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.pointers.insert(key, reg);
        }
    }
}

impl Lower<'_> {
    /// The memory at an address; `reach` is how many bytes further, either way, lanes may lie.
    pub(super) fn memory(&mut self, address: &Address, reach: i64) -> Lowered<Memory> {
        let size = self.element_bytes(address.buffer);
        let (terms, offset) = self.split_constants(address);
        let bytes = offset.checked_mul(size).ok_or(Unsupported::FarOffset)?;
        let key = (address.buffer, terms);
        let mut memory = match self.addresses.find(&key) {
            Some(pointer) => Memory::at(Base::Register(pointer)),
            None => self.scaled_memory(key, size),
        };
        let end = bytes.checked_add(reach).ok_or(Unsupported::FarOffset)?;
        match (i32::try_from(bytes), i32::try_from(end)) {
            (Ok(bytes), Ok(_)) => memory.displacement = bytes,
            _ if i32::try_from(reach).is_ok() => {
                let far = self.far(memory, bytes);
                memory = Memory::at(Base::Register(far));
            }
            _ => return Err(Unsupported::FarOffset),
        }
        Ok(memory)
    }

    fn element_bytes(&self, buffer: Buffer) -> i64 {
        self.kernel.buffers[buffer].element.bytes() as i64
    }

    /// Terms whose value is a constant go to the offset.
    fn split_constants(&self, address: &Address) -> (Vec<(Value, i64)>, i64) {
        let mut offset = address.offset;
        let mut terms = address.terms.clone();
        terms.retain(|&(value, factor)| match self.places[value] {
            Place::Constant(Constant::Index(index)) => {
                offset = offset.wrapping_add(index.wrapping_mul(factor));
                false
            }
            _ => true,
        });
        (terms, offset)
    }

    /// The innermost term as a scaled index if the machine can scale so.
    fn scaled_memory(&mut self, key: Key, size: i64) -> Memory {
        if let Some((value, scale, rest)) = self.scalable(&key, size) {
            let index = self.register(value, 0);
            let base = self.pointer(&rest);
            let mut memory = Memory::at(Base::Register(base));
            memory.index = Some((index, scale));
            return memory;
        }
        Memory::at(Base::Register(self.pointer(&key)))
    }

    fn scalable(&self, key: &Key, size: i64) -> Option<(Value, u8, Key)> {
        let at = self.innermost(&key.1)?;
        let (value, factor) = key.1[at];
        let scale = machine_scale(factor.checked_mul(size)?)?;
        let mut rest = key.clone();
        rest.1.remove(at);
        Some((value, scale, rest))
    }

    /// Which term is defined furthest in.
    fn innermost(&self, terms: &[(Value, i64)]) -> Option<usize> {
        (0..terms.len()).max_by_key(|&at| (self.addresses.depths[terms[at].0], at))
    }

    fn far(&mut self, memory: Memory, bytes: i64) -> Reg {
        let sum = self.program.general();
        self.push(super::integer::set(sum, bytes));
        let near = self.program.general();
        self.effective_address(near, memory);
        let op = Op::General(Code::Add_r64_rm64);
        let operands = [general(sum), general(near)];
        self.push(Inst::new(op, First::Modifies, &operands));
        sum
    }

    pub(super) fn effective_address(&mut self, to: Reg, memory: Memory) {
        if let (Base::Register(base), None, 0) = (memory.base, memory.index, memory.displacement) {
            return self.copy(to, general(base));
        }
        let op = Op::General(Code::Lea_r64_m);
        let operands = [general(to), Operand::Memory(memory)];
        self.push(Inst::new(op, First::Writes, &operands));
    }

    /// A register with a buffer's start plus terms.
    fn pointer(&mut self, key: &Key) -> Reg {
        let Some(at) = self.innermost(&key.1) else {
            return self.buffer_start(key.0);
        };
        if let Some(found) = self.addresses.find(key) {
            return found;
        }
        let mut rest = key.1.clone();
        let (value, factor) = rest.remove(at);
        let base = self.pointer(&(key.0, rest));
        let bytes = factor.wrapping_mul(self.element_bytes(key.0));
        let mut memory = Memory::at(Base::Register(base));
        memory.index = Some(match machine_scale(bytes) {
            Some(scale) => (self.register(value, 0), scale),
            None => (self.product(value, bytes), 1),
        });
        let to = self.program.general();
        self.effective_address(to, memory);
        self.addresses.remember(key.clone(), to);
        to
    }

    fn buffer_start(&mut self, buffer: Buffer) -> Reg {
        match self.addresses.buffers[buffer] {
            Some(reg) => reg,
            // Every buffer of the kernel has its register since its arguments were loaded.
            None => self.program.general(),
        }
    }

    /// A value times bytes.
    fn product(&mut self, value: Value, bytes: i64) -> Reg {
        let key = (value, bytes);
        let mut scopes = self.addresses.scopes.iter().rev();
        if let Some(found) = scopes.find_map(|scope| scope.products.get(&key).copied()) {
            return found;
        }
        let from = self.register(value, 0);
        let to = self.program.general();
        self.multiply(to, from, bytes);
        if let Some(scope) = self.addresses.scopes.last_mut() {
            scope.products.insert(key, to);
        }
        to
    }

    /// Makes, before a loop, the pointers that it needs; call [`Addresses::open`] before and [`Addresses::close`]
    /// after the body. Those of an innermost loop step with it.
    pub(super) fn prepare_pointers(&mut self, statement: &LoopStatement) -> Vec<Stepping> {
        let mut keys = IndexSet::default();
        self.collect_keys(&statement.body, &mut keys);
        let innermost = !statement.has_inner_loop();
        let mut steppings = Vec::new();
        let mut own = Scope::default();
        for (buffer, terms) in keys {
            let known = |term: &&(Value, i64)| !matches!(self.places[term.0], Place::Nowhere);
            let outer: Vec<_> = terms.iter().filter(known).copied().collect();
            let base = self.pointer(&(buffer, outer.clone()));
            let own_term = terms.iter().find(|term| term.0 == statement.variable);
            let Some(&term) = own_term.filter(|_| innermost) else {
                continue;
            };
            let bytes = term.1.wrapping_mul(self.element_bytes(buffer));
            let mut with = outer;
            with.push(term);
            with.sort_by_key(|term| term.0);
            let key = (buffer, with);
            if machine_scale(bytes).is_none() && !own.pointers.contains_key(&key) {
                let stepping = self.stepping(base, statement, bytes);
                own.pointers.insert(key, stepping);
                steppings.push((stepping, bytes.wrapping_mul(statement.step)));
            }
        }
        self.addresses.scopes.push(own);
        steppings
    }

    fn stepping(&mut self, base: Reg, statement: &LoopStatement, bytes: i64) -> Reg {
        let mut memory = Memory::at(Base::Register(base));
        let begin = match self.places[statement.begin] {
            Place::Constant(Constant::Index(begin)) => Some(begin.wrapping_mul(bytes)),
            _ => None,
        };
        match begin.map(i32::try_from) {
            Some(Ok(start)) => memory.displacement = start,
            _ => memory.index = Some((self.product(statement.begin, bytes), 1)),
        }
        let to = self.program.general();
        self.effective_address(to, memory);
        to
    }

    /// The addresses of a block and of what is in it.
    fn collect_keys(&self, block: &Block, keys: &mut IndexSet<Key, FxBuildHasher>) {
        block.for_each_statement(&mut |statement| {
            let address = match statement {
                Statement::Define(_, Instruction::Load { address, .. })
                | Statement::Store { address, .. }
                | Statement::Prefetch(address) => address,
                _ => return,
            };
            keys.insert((address.buffer, self.split_constants(address).0));
        });
    }
}

/// What the machine multiplies an index by.
fn machine_scale(bytes: i64) -> Option<u8> {
    match bytes {
        1 | 2 | 4 | 8 => Some(bytes as u8),
        _ => None,
    }
}
