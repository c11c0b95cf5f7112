//! The documentation is true of the repository: files and headings that it names exist, and it describes every method that a node
//! serves and every dependency.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders with nothing of ours in them, or nothing that is written by hand.
const SKIPPED: [&str; 7] = ["target", "node_modules", "web3", "out", "cache", "artifacts", "fixtures"];

/// Pages whose every file name must be right. Decisions are history: only their links are checked.
const PAGES: [&str; 11] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "contracts/README.md",
    "docs/architecture.md",
    "docs/dapps.md",
    "docs/owners.md",
    "docs/payments.md",
    "docs/rpc.md",
    "docs/scripts.md",
    "docs/tour.md",
];

#[test]
fn every_file_that_a_page_names_exists() {
    for page in PAGES {
        let text = read(page);
        let named: Vec<&str> = code_spans(&text).into_iter().filter(|span| is_path(page, span)).collect();
        let missing: Vec<_> = named.iter().filter(|path| resolve(page, path).is_none()).collect();
        assert!(missing.is_empty(), "{page} names files that are not there: {missing:?}");
    }
}

#[test]
fn no_page_has_a_figure_that_is_still_to_be_filled_in() {
    for page in files("md") {
        let text = read(&page);
        let parts: Vec<&str> = text.split('@').collect();
        let between = parts.get(1..parts.len() - 1).unwrap_or_default();
        let is_open = |part: &&&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        assert_eq!(between.iter().find(is_open), None, "{page}");
    }
}

#[test]
fn the_tour_names_a_file_at_every_step() {
    let text = read("docs/tour.md");
    let steps: Vec<&str> = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert!(steps.len() >= 20, "{} steps", steps.len());
    for step in steps {
        assert!(code_spans(step).iter().any(|span| is_path("docs/tour.md", span)), "no file in: {step}");
    }
}

/// In "`file` (`name`)" the file has the name.
#[test]
fn the_names_in_the_tour_are_in_their_files() {
    for (before, after) in read("docs/tour.md").lines().filter_map(|line| line.split_once("` (`")) {
        let file = before.rsplit('`').next().unwrap_or_default();
        let name = after.split('`').next().unwrap_or_default();
        assert!(read(file).contains(name), "{name} is not in {file}");
    }
}

/// Each rule of the chain names the test that would fail without it, and the file that holds it.
#[test]
fn every_rule_of_the_chain_has_a_test_that_exists() {
    let text = read("docs/chain.md");
    let sources: String = files("rs").iter().map(|file| read(file)).collect();
    let rules: Vec<&str> = text.lines().filter(|line| line.starts_with("| ● |") || line.starts_with("| |")).collect();
    let rules: Vec<&str> = rules.into_iter().filter(|line| !line.starts_with("| | rule |")).collect();
    assert!(rules.len() >= 15, "{} rules", rules.len());
    for rule in rules {
        let [_, _, _, _, file, tests, _] = rule.split('|').collect::<Vec<_>>()[..] else {
            panic!("not a row of rule, value, where and test: {rule}");
        };
        assert!(code_spans(file).iter().all(|span| is_path("docs/chain.md", span)), "no file in: {rule}");
        assert!(!code_spans(tests).is_empty(), "no test in: {rule}");
        for test in code_spans(tests) {
            assert!(is_test(&sources, test), "{test} is no test");
        }
    }
}

/// Whether a function of the name follows an attribute that makes it a test.
fn is_test(sources: &str, name: &str) -> bool {
    let declaration = format!("fn {name}(");
    sources.match_indices(&declaration).any(|(at, _)| {
        let before = &sources[..at];
        let lines = before.lines().rev().skip(usize::from(!before.ends_with('\n')));
        lines.take_while(|line| !line.trim().is_empty()).any(|line| line.contains("#[test]") || line.contains("::test"))
    })
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    for page in files("md").into_iter().chain(["llms.txt".to_owned()]) {
        let text = read(&page);
        for link in links(&text) {
            assert!(leads_somewhere(&page, link), "{page} links to {link}, which is not there");
        }
    }
}

/// A program that reads finds every page for readers.
#[test]
fn the_list_for_programs_has_every_page_but_decisions() {
    let list = read("llms.txt");
    let listed = links(&list);
    let pages = files("md").into_iter().filter(|page| page.starts_with("docs/") && !page.starts_with("docs/adr/"));
    let missing: Vec<String> = pages.filter(|page| !listed.contains(&page.as_str())).collect();
    assert!(missing.is_empty(), "llms.txt does not list {missing:?}");
}

#[test]
fn every_page_that_the_code_cites_exists() {
    for source in ["rs", "sol", "toml", "mjs"].map(files).concat() {
        for cited in cited_pages(&read(&source)) {
            assert!(is_cited_rightly(&cited), "{source} cites {cited}, which is not there");
        }
    }
}

#[test]
fn the_reference_has_exactly_the_methods_that_a_node_serves() {
    let sources: Vec<_> = files("rs").into_iter().filter(|file| file.starts_with("sidechain/src/io/rpc/")).collect();
    let served = sources.iter().filter(|file| !file.contains("/tests/")).flat_map(|file| registered(&read(file)));
    let text = read("docs/rpc.md");
    let reference = text.split("\n## Ethereum's methods").nth(1).expect("the reference has this heading");
    let tables: Vec<&str> = reference.lines().filter(|line| line.starts_with("| ")).collect();
    let described = tables.iter().flat_map(|row| code_spans(row.split('|').nth(1).unwrap_or_default()));
    let described: BTreeSet<String> = described.filter(|span| is_method(span)).map(str::to_owned).collect();
    assert_eq!(described, served.collect());
}

/// `tests/clients/final.mjs` runs it.
#[test]
fn the_code_that_verifies_finality_is_shown_as_it_is_tested() {
    let source = read("tests/clients/finality.mjs");
    let marked = source.split_once("// [shown in docs/rpc.md]\n").and_then(|(_, rest)| rest.split_once("// [end]"));
    let (code, _) = marked.expect("the marks");
    assert!(read("docs/rpc.md").contains(&format!("\n```js\n{code}```\n")), "docs/rpc.md does not show it");
}

#[test]
fn every_decision_has_a_number_a_status_a_date_and_the_same_sections() {
    let index = read("docs/adr/README.md");
    let pages = files("md");
    let decisions = pages.iter().filter_map(|page| page.strip_prefix("docs/adr/")).filter(|page| *page != "README.md");
    let decisions: BTreeSet<&str> = decisions.collect();
    for (number, page) in (1..).zip(decisions) {
        let text = read(&format!("docs/adr/{page}"));
        assert!(
            page.starts_with(&format!("{number:04}-")) && text.starts_with(&format!("# {number}. ")),
            "{page}: {number}"
        );
        assert!(text.contains("\n- Status: ") && text.contains("\n- Date: 20"), "{page}: status, date");
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, ["Context", "Options", "Decision", "Consequences"], "{page}");
        assert!(index.contains(&format!("| [{number}]({page}) |")), "{page} is not in the index");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).and_then(|rest| rest.split("\n[").next());
    let lines = section.expect("the workspace lists dependencies").lines().filter(|line| !line.contains("path ="));
    let names =
        lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).filter(|name| !name.starts_with('#'));
    let page = read("docs/architecture.md");
    let reasons = page.split("\n## Dependencies").nth(1).expect("the architecture has this heading");
    let given = code_spans(reasons);
    let is_given = |name: &str| given.iter().any(|span| *span == name || is_family(span, name));
    let missing: Vec<_> = names.filter(|name| !is_given(name)).collect();
    assert!(missing.is_empty(), "docs/architecture.md gives no reason for {missing:?}");
}

/// `alloy-*` names every package that begins so.
fn is_family(span: &str, name: &str) -> bool {
    span.strip_suffix('*').is_some_and(|prefix| !prefix.is_empty() && name.starts_with(prefix))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files of ours with an extension, from the root of the repository.
fn files(extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    visit(&root(), "", &mut |path| {
        if path.ends_with(&format!(".{extension}")) {
            found.push(path.to_owned());
        }
    });
    found
}

fn visit(folder: &Path, prefix: &str, found: &mut dyn FnMut(&str)) {
    for entry in fs::read_dir(folder).expect("a folder of the repository").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() { visit(&entry.path(), &format!("{path}/"), found) } else { found(&path) }
    }
}

/// Text between single backticks, outside of fenced blocks.
fn code_spans(text: &str) -> Vec<&str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// Targets of `[text](target)`, outside of fenced blocks.
fn links(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split_once(')')))
        .map(|(to, _)| to)
        .collect()
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// A path with a folder, of which the first exists beside the page or at the root: `bridge/src/dkg.rs`, not `GET /health`.
fn is_path(page: &str, span: &str) -> bool {
    let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let first = span.split_once('/').map(|(first, _)| first);
    plain && first.is_some_and(|first| !first.is_empty() && resolve(page, first).is_some())
}

/// A path as it stands, from the root or from the page's folder.
fn resolve(page: &str, path: &str) -> Option<PathBuf> {
    let beside = root().join(page).parent()?.join(path);
    [root().join(path), beside].into_iter().find(|path| path.exists())
}

fn leads_somewhere(page: &str, link: &str) -> bool {
    if link.starts_with("https://") {
        return true;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let file =
        if path.is_empty() { root().join(page) } else { root().join(page).parent().unwrap_or(&root()).join(path) };
    file.exists() && (heading.is_empty() || has_heading(&file, heading))
}

fn has_heading(file: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    prose(&text).filter_map(|line| line.strip_prefix('#')).any(|heading| anchor_of(heading) == anchor)
}

/// The anchor that GitHub gives a heading.
fn anchor_of(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// `docs/…` as comments cite it: a page, a page's heading, or a decision by the number that its name begins with.
fn cited_pages(text: &str) -> Vec<String> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    let comments = text.lines().filter(|line| line.contains("//") || line.starts_with('#'));
    let after = comments.flat_map(|line| line.split("docs/").skip(1).map(|rest| rest.split(|c| !belongs(c)).next()));
    after
        .flatten()
        .map(|rest| format!("docs/{}", rest.trim_end_matches('.')))
        .filter(|cited| cited != "docs/")
        .collect()
}

fn is_cited_rightly(cited: &str) -> bool {
    if cited.contains(".md") {
        return leads_somewhere("README.md", cited);
    }
    files("md").iter().any(|page| page.starts_with(cited))
}

/// Names of methods in a source file: strings that begin with a namespace.
fn registered(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let strings = code.lines().flat_map(|line| line.split('"').skip(1).step_by(2));
    // The names under which subscriptions' messages come are no methods.
    strings.filter(|text| is_method(text) && !text.ends_with("_subscription")).map(str::to_owned).collect()
}

fn is_method(text: &str) -> bool {
    let name = ["eth_", "debug_", "ots_", "net_", "web3_", "txpool_", "peg_"]
        .iter()
        .find_map(|space| text.strip_prefix(space));
    name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()))
}
