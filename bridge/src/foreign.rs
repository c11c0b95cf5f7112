//! Text that somebody else wrote, made fit to be shown: what a node, a file or a peer says is read by a person, and a terminal obeys
//! what it is told.
//!
//! Escape codes move the cursor over what was printed before, overrides of the writing direction show an address backwards, and
//! characters without width make two names look the same. None of them has a place in what is told about a payment: each is shown as
//! `\u{fffd}`, so that the reader sees that something was there.

/// Characters of a foreign text that are shown: room for an error in words, too few to push a line of ours off the screen.
pub const MAX_SHOWN: usize = 300;

/// A foreign text on one line of bounded length.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut line: String = text.chars().take(MAX_SHOWN).map(|c| if obeyed(c) { REPLACEMENT } else { c }).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        line.push('…');
    }
    line
}

/// A text of several lines in which nothing is left that a terminal obeys but line feeds and tabs.
#[must_use]
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if obeyed(c) && !matches!(c, '\n' | '\t') { REPLACEMENT } else { c }).collect()
}

/// Whether a character is not shown as itself: controls (C0, DEL, C1), directions (Unicode UAX 9), invisible and zero-width characters,
/// separators of lines, tags.
#[must_use]
pub fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_of_a_foreign_text() {
        let attacks = [
            "\u{1b}[2J\u{1b}[HPay to bc1qthief",
            "\u{9b}2J",
            "\u{1b}]0;title\u{7}",
            "0x1234\u{202e}4321x0",
            "pay\u{200b}pal",
            "a\rb\u{8}c",
            "fine\nerror: forged",
            "tag\u{e0041}",
            "\u{2066}isolate\u{2069}",
        ];
        for attack in attacks {
            let shown = shown(attack);
            assert!(!shown.chars().any(obeyed), "{shown:?}");
            assert!(!lines(attack).chars().any(|c| obeyed(c) && c != '\n'), "{attack:?}");
        }
        assert_eq!(shown("Bob's node, 100 % Zürich"), "Bob's node, 100 % Zürich");
        assert_eq!(lines("a\n  b"), "a\n  b");
    }

    #[test]
    fn a_foreign_text_has_a_bounded_length() {
        let shown = shown(&"x".repeat(1_000_000));
        assert_eq!(shown.chars().count(), MAX_SHOWN + 1);
        assert!(shown.ends_with('…'));
    }
}
