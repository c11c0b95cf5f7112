//! `causeway audit`: the audit itself, once or for each block.

use eyre::{Result, WrapErr, ensure};
use files::write_atomic;

use super::auditor::Auditor;
use super::failure::Fault;
pub use super::options::{Args, Rules};
use super::prometheus::{Health, write_metrics};
use super::report::Report;
pub use super::verdict::judge;
use super::verdict::punctual;
use super::watch::watch;
use super::webhook::Posts;
use crate::context::Context;
use crate::progress::Progress;

/// Runs `causeway audit`.
///
/// # Errors
///
/// A satoshi is missing, something is late, or one of the nodes does not answer or prove what it says.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let auditor = Auditor::new(&args)?;
        if args.watch {
            return watch(&auditor, &args, context).await;
        }
        let progress = Progress::new(context);
        let audited = auditor.showing(progress.clone()).audit().await;
        progress.clear();
        if audited.is_err() {
            write_metrics(args.prometheus.as_deref(), None, Health { is_up: false, failures: 1 })?;
        }
        let (report, ledger) = audited.map_err(plain)?;
        context.print(&report, || report.lines().iter().for_each(|line| println!("{line}")));
        if let (Some(url), true) = (&args.webhook, report.is_unsafe()) {
            let posts = Posts::start(url)?;
            posts.post(&report);
            posts.end().await;
        }
        write_metrics(args.prometheus.as_deref(), Some(&report), Health { is_up: true, failures: 0 })?;
        judge(&report)?;
        if let Some(path) = &args.receipt {
            ensure!(!report.is_old(), "no receipt is written: {}", report.lines().last().cloned().unwrap_or_default());
            let json = serde_json::to_string(&ledger.receipt)? + "\n";
            write_atomic(path, json.as_bytes()).wrap_err_with(|| format!("cannot write {}", path.display()))?;
        }
        punctual(&report)
    })
}

/// Audits once.
///
/// # Errors
///
/// One of the nodes does not answer, or the sidechain's does not prove what it says.
pub async fn audit(args: &Args) -> Result<Report> {
    Auditor::new(args)?.audit().await.map(|(report, _)| report).map_err(plain)
}

fn plain(error: eyre::Report) -> eyre::Report {
    let exit = Fault::of(&error).exit();
    error.wrap_err(exit)
}
