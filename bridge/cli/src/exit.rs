//! How the process ends where that says more than done or failed.

use std::fmt;

/// The outermost words of an error, with the exit status that the process ends with.
#[derive(Debug)]
pub struct Exit {
    pub status: u8,
    pub words: &'static str,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

impl std::error::Error for Exit {}

/// The exit status for an error: 1, unless it says another.
pub fn status(error: &eyre::Report) -> u8 {
    error.downcast_ref::<Exit>().map_or(1, |exit| exit.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyre::eyre;

    #[test]
    fn an_error_ends_with_the_status_that_was_put_around_it() {
        assert_eq!(status(&eyre!("no such file")), 1);
        let error = eyre!("connection refused").wrap_err(Exit { status: 6, words: "the node does not answer" });
        assert_eq!((status(&error), error.to_string().as_str()), (6, "the node does not answer"));
        assert_eq!(status(&error.wrap_err("later")), 6);
    }
}
