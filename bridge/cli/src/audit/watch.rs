//! `--watch`: audits at each block, and by the clock where a node shows none, until a satoshi is missing.
//!
//! ```text
//!   new block, or ten seconds --> audit --> findings that are new are told, and which of them are no more
//!                                   | failed
//!                                   told once, tried again; posted after a while
//! ```
//! Nothing but a missing satoshi ends it, and with a webhook, which was told then, not even that.

use std::time::Duration;

use eyre::Result;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::auditor::Auditor;
use super::failure::Fault;
use super::findings::Kind;
use super::options::Args;
use super::prometheus::{Health, write_metrics};
use super::report::Report;
use super::verdict::judge;
use super::webhook::Posts;
use crate::context::Context;

/// Between two looks for a new block.
const LOOK: Duration = Duration::from_secs(1);
/// The longest that no audit is begun, whatever a node says of its blocks.
const LONGEST: Duration = Duration::from_secs(10);

/// What a watcher has told, and knows of itself.
struct Watch<'a> {
    args: &'a Args,
    context: &'a Context,
    posts: Option<Posts>,
    health: Health,
    last: Option<Report>,
    /// That no audit can be done.
    trouble: Option<Trouble>,
    /// Since when the node shows no header that is young enough to judge by.
    blind: Option<Blind>,
}

struct Trouble {
    since: Blind,
    /// Whose fault it was said to be. Its words may name another block each time.
    told: Option<Fault>,
}

/// For how long it has been so, and whether that was posted.
struct Blind {
    since: Instant,
    is_posted: bool,
}

impl Blind {
    fn now() -> Self {
        Self { since: Instant::now(), is_posted: false }
    }

    /// Whether it is to be posted now: once, after a while.
    fn is_due(&mut self, after: Duration) -> bool {
        let is_due = !self.is_posted && self.since.elapsed() >= after;
        self.is_posted |= is_due;
        is_due
    }
}

/// What is posted when no audit could be done for long.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed<'a> {
    failed: &'a str,
    fault: Fault,
    since_s: u64,
}

/// Audits until a satoshi is missing; with a webhook for ever.
///
/// # Errors
///
/// A satoshi is missing, or the webhook's address is none.
pub async fn watch(auditor: &Auditor, args: &Args, context: &Context) -> Result<()> {
    let posts = args.webhook.as_deref().map(Posts::start).transpose()?;
    let mut watch = Watch { args, context, posts, health: Health::default(), last: None, trouble: None, blind: None };
    let mut block = None;
    loop {
        match auditor.audit().await {
            Ok((report, _)) => watch.report(report)?,
            Err(error) => watch.fail(&error),
        }
        block = next_block(auditor, block).await;
    }
}

/// Waits until the node shows another block, but not for long.
async fn next_block(auditor: &Auditor, last: Option<u64>) -> Option<u64> {
    let another = async {
        loop {
            sleep(LOOK).await;
            match auditor.client().block_number().await {
                Ok(number) if last != Some(number) => return number,
                // The audit says what is wrong with the node.
                _ => {}
            }
        }
    };
    timeout(LONGEST, another).await.ok().or(last)
}

impl Watch<'_> {
    fn report(&mut self, report: Report) -> Result<()> {
        if self.trouble.take().is_some() {
            tracing::warn!("the audit can be done again");
        }
        self.health.is_up = true;
        let before = self.last.as_ref();
        let news = report.news_since(before);
        let lines = if news.is_empty() { vec![report.line()] } else { report.lines() };
        let gone = before.map_or_else(Vec::new, |before| before.news_since(Some(&report)));
        self.context.print(&report, || {
            lines.iter().for_each(|line| println!("{line}"));
            gone.iter().for_each(|ended| println!("OVER     {}", ended.finding.line()));
        });
        let is_new_alarm = news.iter().any(|objection| objection.kind == Kind::Safety);
        if !(report.is_old() || report.is_unjudged()) {
            self.blind = None;
        } else if self.blind.is_none() {
            self.blind = Some(Blind::now());
        }
        let is_blind = self.blind.as_mut().is_some_and(|blind| blind.is_due(self.args.alarm_after));
        if let (Some(posts), true) = (&self.posts, is_new_alarm || is_blind) {
            posts.post(&report);
        }
        let end = if self.posts.is_none() { judge(&report) } else { Ok(()) };
        self.last = Some(report);
        self.write();
        end
    }

    fn fail(&mut self, error: &eyre::Report) {
        let (fault, words) = (Fault::of(error), format!("{error:#}"));
        self.health.fail();
        let trouble = self.trouble.get_or_insert_with(|| Trouble { since: Blind::now(), told: None });
        if trouble.told.replace(fault) != Some(fault) {
            tracing::warn!("the audit could not be done, and is tried again: {words}");
        }
        let is_due = trouble.since.is_due(self.args.alarm_after);
        if let (Some(posts), true) = (&self.posts, is_due) {
            let since_s = trouble.since.since.elapsed().as_secs();
            posts.post(&Failed { failed: &words, fault, since_s });
        }
        self.write();
    }

    /// Gauges that cannot be written are no reason to look away.
    fn write(&self) {
        if let Err(error) = write_metrics(self.args.prometheus.as_deref(), self.last.as_ref(), self.health) {
            tracing::warn!("{error:#}");
        }
    }
}
