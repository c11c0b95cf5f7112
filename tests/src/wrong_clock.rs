//! A clock that is wrong, for one process: a library that is loaded before the system's and moves what it says.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Moves the time of day; clocks that only measure are left alone.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, time);
    const char *ahead = getenv("CLOCK_AHEAD_S");
    if (!failed && id == CLOCK_REALTIME && ahead) time->tv_sec += atol(ahead);
    return failed;
}
"#;

/// The library.
#[derive(Debug)]
pub struct WrongClock(PathBuf);

impl WrongClock {
    /// Compiles it into a folder.
    ///
    /// # Panics
    ///
    /// When there is no C compiler; the build of this project needs one.
    #[must_use]
    pub fn compile(folder: &Path) -> Self {
        let (source, library) = (folder.join("wrong_clock.c"), folder.join("wrong_clock.so"));
        std::fs::write(&source, SOURCE).expect("written");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let compiled = compiler.status().expect("there is a C compiler");
        assert!(compiled.success(), "the library compiles");
        Self(library)
    }

    /// Gives a process that will be started a clock that is so many seconds ahead.
    pub fn give(&self, command: &mut Command, ahead_s: i64) {
        command.env("LD_PRELOAD", &self.0).env("CLOCK_AHEAD_S", ahead_s.to_string());
    }
}
