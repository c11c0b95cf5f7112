//! Panics in work on what others sent: a bug of ours, and theirs to set off. They end the work and not the process.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Does work that may panic, and returns the text of the panic. For work that leaves nothing half-done behind: it reads what is
/// shared, and changes it by single steps that do not panic. Not for what is final: where that fails, the process ends.
///
/// # Errors
///
/// The text of the panic.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message(panic.as_ref()))
}

/// The text of a panic.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it does not say why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_work_and_says_why() {
        assert_eq!(contain(|| 7), Ok(7));
        assert_eq!(contain(|| -> u8 { panic!("a bug in {}", "it") }), Err("a bug in it".to_owned()));
        let overflow = contain(|| [u64::MAX, 1000].iter().product::<u64>());
        assert!(overflow.expect_err("overflow checks are on").contains("overflow"));
    }
}
