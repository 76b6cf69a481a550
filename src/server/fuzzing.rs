//! A door to the byte guard for the fuzzer; built with `--cfg fuzzing` only.

use super::scan::Scanner;

/// How a connection's bytes were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How many bytes would have reached hyper.
    pub passed: usize,
    /// How many heads were whole.
    pub heads: u64,
    /// Whether the bytes after those were refused.
    pub refused: bool,
}

/// Reads a connection that comes in these pieces, as the guard does.
pub fn scan(pieces: &[&[u8]]) -> Verdict {
    let mut scanner = Scanner::new(8 * 1024);
    let (mut waiting, mut passed, mut refused) = (Vec::new(), 0, false);
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let scan = scanner.scan(&waiting);
        waiting.drain(..scan.passed);
        passed += scan.passed;
        if scan.refused.is_some() {
            refused = true;
            break;
        }
    }
    Verdict {
        passed,
        heads: scanner.heads(),
        refused,
    }
}
