//! What a page of the documentation shows: its blocks, for tests that run them as they stand.

use std::fs;
use std::path::Path;

/// The fenced blocks of a page in docs/: what is behind the fence, and the text, without a list's indentation.
///
/// # Panics
///
/// When there is no such page.
#[must_use]
pub fn blocks(page: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    let mut indentation = 0;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, open.take()) {
            (Some(head), None) => {
                indentation = line.len() - line.trim_start().len();
                open = Some((head.to_owned(), String::new()));
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((head, text))) => {
                open = Some((head, text + line.get(indentation..).unwrap_or_default() + "\n"))
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The one block of a language that has these words.
///
/// # Panics
///
/// When there is none, or more than one.
#[must_use]
pub fn block(page: &str, language: &str, words: &str) -> String {
    let all = blocks(page).into_iter().filter(|(head, text)| head == language && text.contains(words));
    let found: Vec<String> = all.map(|(_, text)| text).collect();
    assert_eq!(found.len(), 1, "{page}: blocks of {language} with {words:?}: {found:?}");
    found.concat()
}
