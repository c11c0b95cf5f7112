//! Vouchers as they are kept: one a line, as JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;

use eyre::{Report, Result, WrapErr, eyre};
use payments::voucher::SignedVoucher;

/// What a file has.
#[derive(Debug, Default)]
pub struct VoucherFile {
    /// In the order of their lines.
    pub vouchers: Vec<SignedVoucher>,
    /// Lines that are none, with what is wrong: each may be money that nobody sees.
    faults: Vec<Report>,
}

impl VoucherFile {
    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Self::of(stdin().lock());
        }
        let file = File::open(path).wrap_err_with(|| format!("cannot read vouchers from {}", path.display()))?;
        Self::of(BufReader::new(file))
    }

    /// Reads what there is of it.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn of(input: impl BufRead) -> Result<Self> {
        let mut read = Self::default();
        for (number, line) in (1..).zip(input.lines()) {
            let line = line.wrap_err("cannot read vouchers")?;
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(&line) {
                Ok(voucher) => read.vouchers.push(voucher),
                Err(error) => read.faults.push(eyre!("line {number} is not a voucher: {error}")),
            }
        }
        Ok(read)
    }

    /// For what must not be done while a voucher may be missing.
    ///
    /// # Errors
    ///
    /// A line is no voucher.
    pub fn all(mut self) -> Result<Vec<SignedVoucher>> {
        if self.faults.is_empty() { Ok(self.vouchers) } else { Err(self.faults.remove(0)) }
    }

    /// Names the lines that are no vouchers, but for the first `told`; how many there are.
    pub fn warn_of_faults(&self, told: usize) -> usize {
        self.faults.iter().skip(told).for_each(|fault| tracing::warn!("{fault:#}: left out"));
        self.faults.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_hides_no_other_and_is_told() {
        let none = VoucherFile::of(&b"\n \n"[..]).expect("read");
        assert!(none.vouchers.is_empty() && none.all().is_ok());
        let cut = VoucherFile::of(&b"{\"channel\n\n{}\n"[..]).expect("read");
        assert_eq!(cut.warn_of_faults(0), 2);
        let fault = cut.all().expect_err("one may be missing").to_string();
        assert!(fault.starts_with("line 1 is not a voucher"), "{fault}");
    }
}
