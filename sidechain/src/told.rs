//! What a node's log is told of how it stands: each trouble once when it lasts, and once when it is over.
//!
//! ```text
//!   seen for the second look in a row     -> Begun      a connection that breaks, or a block that is late, is no news
//!   not seen for six looks in a row       -> Over       what comes and goes meanwhile is told once
//! ```

use std::collections::BTreeMap;

/// Looks in a row that a trouble has to be there for.
const LASTS: u32 = 2;
/// Looks in a row that it has to be gone for.
const GONE: u32 = 6;

/// What to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Begun(String),
    /// In the words in which it was told.
    Over(String),
}

/// The troubles that were seen lately. There are never more than were ever seen within [`GONE`] looks.
#[derive(Clone, Debug, Default)]
pub struct Told(BTreeMap<String, Trouble>);

#[derive(Clone, Debug, Default)]
struct Trouble {
    /// Looks in a row that saw it.
    there: u32,
    /// Looks in a row that did not.
    gone: u32,
    /// What was told of it.
    told: Option<String>,
}

impl Told {
    /// Takes what is wrong now, words by name: the name tells whether it is the same as before, whatever numbers are in its words.
    pub fn look(&mut self, now: &BTreeMap<String, String>) -> Vec<News> {
        let mut news = Vec::new();
        for (name, words) in now {
            let trouble = self.0.entry(name.clone()).or_default();
            (trouble.there, trouble.gone) = (trouble.there.saturating_add(1), 0);
            if trouble.there >= LASTS && trouble.told.is_none() {
                trouble.told = Some(words.clone());
                news.push(News::Begun(words.clone()));
            }
        }
        self.0.retain(|name, trouble| {
            if now.contains_key(name) {
                return true;
            }
            (trouble.there, trouble.gone) = (0, trouble.gone.saturating_add(1));
            let is_over = trouble.gone >= GONE || trouble.told.is_none();
            if is_over {
                news.extend(trouble.told.take().map(News::Over));
            }
            !is_over
        });
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By names; each look has other words.
    fn look(told: &mut Told, number: u32, names: &[&str]) -> Vec<News> {
        told.look(&names.iter().map(|name| ((*name).to_owned(), format!("{name} {number}"))).collect())
    }

    #[test]
    fn a_trouble_is_told_once_when_it_lasts_and_once_when_it_is_over() {
        let mut told = Told::default();
        assert_eq!(look(&mut told, 1, &["peers"]), []);
        assert_eq!(look(&mut told, 2, &["peers", "disk"]), [News::Begun("peers 2".to_owned())]);
        assert_eq!(look(&mut told, 3, &["peers", "disk"]), [News::Begun("disk 3".to_owned())]);
        for number in 4..100 {
            assert_eq!(look(&mut told, number, &["peers", "disk"]), []);
        }
        for number in 1..GONE {
            assert_eq!(look(&mut told, number, &["disk"]), []);
        }
        assert_eq!(look(&mut told, 0, &["disk"]), [News::Over("peers 2".to_owned())]);
    }

    #[test]
    fn what_comes_and_goes_is_told_once_and_what_hardly_came_never() {
        let mut told = Told::default();
        let all: Vec<News> = (0..300)
            .flat_map(|number| look(&mut told, number, if number % 5 < 3 { &["peers"] } else { &[] }))
            .collect();
        assert_eq!(all, [News::Begun("peers 1".to_owned())]);
        let all: Vec<News> = (0..300)
            .flat_map(|number| look(&mut told, number, if number % 9 == 0 { &["head"] } else { &[] }))
            .collect();
        assert_eq!(all, [News::Over("peers 1".to_owned())]);
        look(&mut told, 0, &[]);
        assert!(told.0.is_empty(), "nothing is kept of what is over");
    }
}
