//! The code that the documentation shows is the code that the clients' tests run.
//!
//! A snippet names its place (`<!-- tests/clients/pnp.mjs: pnp -->` above its fence), and there it
//! stands between `docs: pnp` and `end`. What is run by nobody says so: *not run*.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGES: [&str; 2] = ["docs/clients.md", "docs/leaving-graph-toolkit.md"];
const PLACES: [&str; 2] = ["tests/clients", "tests/browser"];

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Without the indentation that all lines share.
fn dedented(lines: &[&str]) -> String {
    let indents = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len());
    let common = indents.min().unwrap_or(0);
    let lines = lines.iter().map(|line| line.get(common..).unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}

/// A fenced block of a page: where it says it is from, and its text.
struct Snippet {
    page: &'static str,
    line: usize,
    from: Option<(String, String)>,
    run: bool,
    text: String,
}

fn snippets(page: &'static str) -> Vec<Snippet> {
    let text = read(page);
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut said = "";
    let mut number = 0;
    while let Some(line) = lines.get(number) {
        let start = number;
        number += 1;
        if !line.trim_start().starts_with("```") {
            if !line.trim().is_empty() && !line.trim_start().starts_with("<!--") {
                said = line;
            }
            continue;
        }
        let length = lines[number..]
            .iter()
            .position(|line| line.trim() == "```")
            .unwrap_or_else(|| panic!("{page}:{} has no end", start + 1));
        let marker = start.checked_sub(1).map(|above| lines[above].trim());
        let marker = marker.and_then(|line| line.strip_prefix("<!-- ")?.strip_suffix(" -->"));
        found.push(Snippet {
            page,
            line: start + 1,
            from: marker
                .and_then(|marker| marker.split_once(": "))
                .map(|(file, name)| (file.to_owned(), name.to_owned())),
            run: !said.contains("not run"),
            text: dedented(&lines[number..number + length]),
        });
        number += length + 1;
    }
    found
}

/// The lines between `docs: name` and `end`, both in comments of whatever language.
fn region(file: &str, name: &str) -> Option<String> {
    let text = read(file);
    let bare = |line: &str| {
        let line = line.trim().trim_end_matches("-->").trim_end().to_owned();
        ["// ", "# ", "<!-- "]
            .iter()
            .find_map(|start| line.strip_prefix(start).map(str::to_owned))
    };
    let lines: Vec<&str> = text.lines().collect();
    let begin = format!("docs: {name}");
    let start = lines
        .iter()
        .position(|line| bare(line).as_deref() == Some(&begin))?;
    let length = lines[start..]
        .iter()
        .position(|line| bare(line).as_deref() == Some("end"))?;
    Some(dedented(&lines[start + 1..start + length]))
}

#[test]
fn every_snippet_is_the_code_that_a_client_runs_or_says_that_none_does() {
    for snippet in PAGES.into_iter().flat_map(snippets) {
        let at = format!("{}:{}", snippet.page, snippet.line);
        match snippet.from {
            Some((file, name)) => {
                let code = region(&file, &name);
                assert_eq!(code.as_deref(), Some(snippet.text.as_str()), "{at}");
                assert!(snippet.run, "{at} is run");
            }
            None => assert!(
                !snippet.run,
                "{at} says neither where it is run nor that it is not"
            ),
        }
    }
}

#[test]
fn every_piece_marked_for_the_documentation_stands_in_it() {
    let shown: BTreeSet<_> = PAGES
        .into_iter()
        .flat_map(snippets)
        .filter_map(|snippet| snippet.from)
        .collect();
    let mut marked = BTreeSet::new();
    for place in PLACES {
        let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(place)).unwrap();
        let files = files
            .map(|file| file.unwrap().path())
            .filter(|file| is_code(file));
        for file in files {
            let name = format!("{place}/{}", file.file_name().unwrap().display());
            marked.extend(read(&file).lines().filter_map(|line| {
                let (_, piece) = line.split_once(" docs: ")?;
                Some((
                    name.clone(),
                    piece.trim_end_matches("-->").trim().to_owned(),
                ))
            }));
        }
    }
    assert_eq!(shown, marked);
    assert!(shown.len() >= 10, "{shown:?}");
}

fn is_code(file: &Path) -> bool {
    file.extension()
        .is_some_and(|kind| kind == "mjs" || kind == "py")
}
