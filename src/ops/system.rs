//! What the system says of this process.

use std::fs;

/// The size of a page where it is not told; every system this runs on uses it.
const PAGE: u64 = 4096;

/// Resident memory of this process in bytes; `None` where the system does not say.
///
/// `/proc/self/statm`, second field, counted in pages (proc(5)).
pub(super) fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}

/// How many file descriptors this process holds, and how many it may.
pub(super) fn descriptors() -> Option<(u64, u64)> {
    let held = fs::read_dir("/proc/self/fd").ok()?.count();
    Some((u64::try_from(held).unwrap_or(u64::MAX), descriptor_limit()?))
}

/// The soft limit on open files, as `/proc/self/limits` names it (proc(5)).
pub fn descriptor_limit() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    limit_in(&text)
}

fn limit_in(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_on_open_files_is_read_off_its_line() {
        let head = "Limit                     Soft Limit           Hard Limit           Units\n";
        for (line, limit) in [
            (
                "Max open files            1024                 524288               files",
                Some(1024),
            ),
            (
                "Max open files            unlimited            unlimited            files",
                Some(u64::MAX),
            ),
            (
                "Max processes             1                    1                    processes",
                None,
            ),
        ] {
            assert_eq!(limit_in(&format!("{head}{line}\n")), limit, "{line}");
        }
    }
}
