//! Runs kernels twice, as machine code on memory between guard pages and in the interpreter, and compares every byte.

use dlm_core::loops::{Element, Kernel, interpret, text::parse_kernels};
use dlm_jit::{Backend, Effort, Options, compile};
use region::Protection;

/// Bytes that end (or begin) where memory ends, so that an access beyond is a fault.
struct Guarded {
    allocation: region::Allocation,
    start: usize,
    length: usize,
}

impl Guarded {
    fn new(bytes: &[u8], at_end: bool) -> Guarded {
        let page = region::page::size();
        let body = bytes.len().div_ceil(page).max(1) * page;
        let mut allocation =
            region::alloc(body + 2 * page, Protection::READ_WRITE).expect("memory is there");
        let base = allocation.as_mut_ptr::<u8>();
        let start = if at_end {
            page + body - bytes.len()
        } else {
            page
        };
        // SAFETY: the allocation holds `body` bytes between the first and the last page; both lie inside it.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), base.add(start), bytes.len());
            region::protect(base, page, Protection::NONE).expect("page is ours");
            region::protect(base.add(page + body), page, Protection::NONE).expect("page is ours");
        }
        Guarded {
            allocation,
            start,
            length: bytes.len(),
        }
    }

    fn pointer(&mut self) -> *mut u8 {
        // SAFETY: `start` lies inside the allocation.
        unsafe { self.allocation.as_mut_ptr::<u8>().add(self.start) }
    }

    fn bytes(&mut self) -> Vec<u8> {
        // SAFETY: `length` bytes from `start` on are readable and were written by `new`.
        unsafe { std::slice::from_raw_parts(self.pointer(), self.length).to_vec() }
    }
}

/// The first kernel in `text`.
#[allow(dead_code, reason = "not every test has text")]
pub fn parse(text: &str) -> Kernel {
    parse_kernels(text).expect("parses").remove(0)
}

/// Runs the machine code of `kernel`.
pub fn run(
    kernel: &Kernel,
    (backend, effort): (Backend, Effort),
    buffers: &[Vec<u8>],
    scalars: &[i64],
    at_end: bool,
) -> Vec<Vec<u8>> {
    let options = Options {
        listings: true,
        effort: Some(effort),
        backend: Some(backend),
    };
    let code = compile(std::slice::from_ref(kernel), &options).expect("compiles");
    let mut guarded: Vec<Guarded> = buffers.iter().map(|b| Guarded::new(b, at_end)).collect();
    let mut arguments: Vec<u64> = guarded.iter_mut().map(|g| g.pointer() as u64).collect();
    arguments.extend(scalars.iter().map(|&scalar| scalar as u64));
    let entry = code.entry(0).expect("one kernel");
    // SAFETY: the arguments are a pointer for each buffer, then the scalars, as the kernel declares them; the
    // interpreter has shown that the kernel stays inside its buffers.
    unsafe { entry(arguments.as_ptr()) };
    guarded.iter_mut().map(Guarded::bytes).collect()
}

/// An emitter, its effort, and whether buffers end where memory ends.
type Way = (Backend, Effort, bool);

const CRANELIFT: [Way; 3] = [
    (Backend::Cranelift, Effort::Keep, true),
    (Backend::Cranelift, Effort::Keep, false),
    (Backend::Cranelift, Effort::Rewrite, true),
];
const WIDE: [Way; 12] = [
    (Backend::Avx2, Effort::Keep, true),
    (Backend::Avx2, Effort::Keep, false),
    (Backend::Avx512, Effort::Keep, true),
    (Backend::Avx512, Effort::Keep, false),
    (Backend::Avx2Interpreted, Effort::Keep, true),
    (Backend::Avx2Interpreted, Effort::Keep, false),
    (Backend::Avx512Interpreted, Effort::Keep, true),
    (Backend::Avx512Interpreted, Effort::Keep, false),
    (Backend::Avx512Bf16, Effort::Keep, true),
    (Backend::Avx512Bf16, Effort::Keep, false),
    (Backend::Avx512Bf16Interpreted, Effort::Keep, true),
    (Backend::Avx512Bf16Interpreted, Effort::Keep, false),
];

/// Compares the machine code of all emitters with the interpreter; NaNs are equal to one another.
#[allow(dead_code, reason = "not every test is for all emitters")]
pub fn check(kernel: &Kernel, buffers: &[Vec<u8>], scalars: &[i64]) {
    check_ways(&[&CRANELIFT[..], &WIDE].concat(), kernel, buffers, scalars);
}

/// Compares the wide emitter's code with the interpreter.
#[allow(dead_code, reason = "not every test is for the wide emitter")]
pub fn check_wide(kernel: &Kernel, buffers: &[Vec<u8>], scalars: &[i64]) {
    check_ways(&WIDE, kernel, buffers, scalars);
}

fn check_ways(ways: &[Way], kernel: &Kernel, buffers: &[Vec<u8>], scalars: &[i64]) {
    let mut expected = buffers.to_vec();
    interpret(kernel, &mut expected, scalars).unwrap_or_else(|e| panic!("{e}\n{kernel}"));
    let available = Backend::available();
    let mut left: Vec<(Backend, Vec<Vec<u8>>)> = Vec::new();
    for &(backend, effort, at_end) in ways {
        if !available.contains(&backend) {
            println!("skipped: this machine cannot run {backend:?}");
            continue;
        }
        let found = run(kernel, (backend, effort), buffers, scalars, at_end);
        for ((decl, expected), found) in kernel.buffers.values().zip(&expected).zip(&found) {
            if let Some(at) = difference(decl.element, expected, found) {
                panic!(
                    "{backend:?}, {effort:?}: `{}` differs at byte {at}: {:?} is not {:?}\n{kernel}",
                    decl.name,
                    &found[at..(at + 4).min(found.len())],
                    &expected[at..(at + 4).min(found.len())],
                );
            }
        }
        left.push((backend, found));
    }
    for (interpreted, native) in INTERPRETED {
        check_bits(&left, interpreted, native, kernel);
    }
}

/// The same code run in software and by the processor.
const INTERPRETED: [(Backend, Backend); 3] = [
    (Backend::Avx2Interpreted, Backend::Avx2),
    (Backend::Avx512Interpreted, Backend::Avx512),
    (Backend::Avx512Bf16Interpreted, Backend::Avx512Bf16),
];

/// All bits are those of the processor, of NaNs too, where it has run the code.
fn check_bits(
    left: &[(Backend, Vec<Vec<u8>>)],
    interpreted: Backend,
    native: Backend,
    kernel: &Kernel,
) {
    let by = |wanted: Backend| left.iter().filter(move |(backend, _)| *backend == wanted);
    for ((_, software), (_, processor)) in by(interpreted).zip(by(native)) {
        for ((decl, software), processor) in kernel.buffers.values().zip(software).zip(processor) {
            let at = software.iter().zip(processor).position(|(a, b)| a != b);
            let Some(at) = at.map(|at| at / 4 * 4) else {
                continue;
            };
            panic!(
                "{interpreted:?}: `{}` differs from {native:?} at byte {at}: {:?} is not {:?}\n{kernel}",
                decl.name,
                &software[at..(at + 4).min(software.len())],
                &processor[at..(at + 4).min(processor.len())],
            );
        }
    }
}

fn difference(element: Element, expected: &[u8], found: &[u8]) -> Option<usize> {
    let size = element.bytes();
    let is_nan = |bytes: &[u8]| {
        element == Element::F32
            && f32::from_ne_bytes(bytes.try_into().expect("four bytes")).is_nan()
    };
    let same = |(a, b): (&[u8], &[u8])| a == b || (is_nan(a) && is_nan(b));
    let mut pairs = expected.chunks_exact(size).zip(found.chunks_exact(size));
    pairs
        .position(|pair| !same(pair))
        .map(|element| element * size)
}

/// Reproducible words.
#[allow(dead_code, reason = "not every test has random data")]
pub struct Words(pub u64);

#[allow(dead_code, reason = "not every test has random data")]
impl Words {
    pub fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        self.next() % bound
    }

    /// A word that is often a special float or integer.
    pub fn special(&mut self) -> u32 {
        const SPECIAL: [u32; 16] = [
            0,
            0x8000_0000,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0x3f80_0000,
            0xbf80_0000,
            1,
            0x7f7f_ffff,
            0x4f00_0000,
            0xcf00_0000,
            0x3f00_0000,
            0xffff_ffff,
            0x7fff_ffff,
            0x0080_0000,
            0x4b80_0001,
        ];
        match self.below(3) {
            0 => SPECIAL[self.below(16) as usize],
            1 => self.next(),
            _ => ((self.below(2001) as f32 - 1000.0) / 64.0).to_bits(),
        }
    }

    pub fn bytes(&mut self, element: Element, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            match element {
                Element::F32 | Element::I32 => bytes.extend(self.special().to_ne_bytes()),
                Element::U8 => bytes.push(self.next() as u8),
                Element::Bf16 => bytes.extend((self.special() as u16).to_ne_bytes()),
                Element::Bool => bytes.push(self.below(2) as u8),
            }
        }
        bytes
    }
}
