//! A table for accountants: RFC 4180, and nothing in it that a spreadsheet runs.
//!
//! Spreadsheets run a cell that begins with `=`, `+`, `-` or `@`, and some split lines at semicolons or tabs, whatever the quotes say. So a text that
//! begins so, at its start or after such a sign, gets an apostrophe before it, which spreadsheets take for "text".

/// Signs with which a formula begins; the wide ones are taken for the narrow ones in East Asian settings.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// Signs at which some program begins another cell.
const SEPARATOR: [char; 7] = [';', ',', '\t', '|', '"', '\r', '\n'];

/// One line, its end included.
pub fn line<S: AsRef<str>>(cells: &[S]) -> String {
    let cells: Vec<String> =
        cells.iter().map(|cell| format!("\"{}\"", defused(cell.as_ref()).replace('"', "\"\""))).collect();
    cells.join(",") + "\r\n"
}

fn defused(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins && FORMULA.contains(&c) {
            safe.push('\'');
        }
        begins = SEPARATOR.contains(&c) || (begins && (c.is_whitespace() || c == '\''));
        safe.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_so_that_nothing_in_them_ends_them() {
        assert_eq!(line(&["a", "b,c", "say \"hi\"", ""]), "\"a\",\"b,c\",\"say \"\"hi\"\"\",\"\"\r\n");
    }

    #[test]
    fn no_cell_is_a_formula_however_a_spreadsheet_splits_the_line() {
        let hyperlink = "=HYPERLINK(\"http://evil.example\",\"pay\")";
        assert!(line(&[hyperlink]).starts_with("\"'=HYPERLINK(\"\"http"));
        for (text, safe) in [
            ("+1", "'+1"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "  '=1"),
            ("a;=1", "a;'=1"),
            ("a\t=1", "a\t'=1"),
            ("a\";=1", "a\";'=1"),
            ("'=1", "''=1"),
            ("＝1", "'＝1"),
            ("2+2=4", "2+2=4"),
            ("order-1", "order-1"),
        ] {
            assert_eq!(defused(text), safe);
        }
    }
}
