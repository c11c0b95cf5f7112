//! The process of `causeway dev`: starts the network, looks after it, answers requests, stops it.

use std::path::Path;
use std::time::Duration;

use eyre::{Result, WrapErr, eyre};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::control::{self, Request, SharedStatus};
use super::fund;
use super::layout::Layout;
use super::network::Network;
use super::options::Options;
use super::progress::Progress;
use crate::context::Context;
use crate::options::bitcoin::keep_development_cookie;
use crate::options::network::pin_development;

/// How often children are looked after.
const WATCH: Duration = Duration::from_millis(250);

/// Runs the network in `folder` until it is to stop.
///
/// # Errors
///
/// It cannot start, or is stopped before it was ready.
pub async fn serve(folder: &Path, options: &Options, context: &Context) -> Result<()> {
    // First what can be refused without a trace: the lock makes the folder.
    options.layout(folder)?;
    let bitcoind = options.bitcoind()?;
    let _held = Layout::lock(folder)?;
    // Absolute: children and later readers of the status have other working directories.
    let folder = &folder.canonicalize().wrap_err_with(|| format!("cannot use {}", folder.display()))?;
    let (layout, fresh) = options.layout(folder)?;
    let status = SharedStatus::default();
    let mut requests = control::serve(folder, status.clone())?;
    let progress = Progress::new(status.clone(), context.json);
    progress.endpoints(&layout);
    let (usual, genesis, cookie) = (layout.is_usual(), layout.genesis(), layout.cookie());

    let mut network = Network::new(layout, bitcoind, context.log_format)?;
    let started = tokio::select! {
        started = start(&mut network, fresh, options, &progress) => started,
        () = asked_to_stop(&mut requests) => Err(stopped_early()),
        () = options.stop.stopped() => Err(stopped_early()),
    };
    let result = match started {
        Ok(()) => {
            if usual {
                name_network(options, &genesis, &cookie);
            }
            progress.ready(network.running(), options);
            watch(&mut network, &mut requests, options, &status).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        status.update(|status| status.failed = Some(format!("{error:#}")));
    }
    progress.step("stopping");
    network.stop();
    progress.clear();
    result
}

/// Lets this user's other commands know the network at the usual ports: they sign for no network that only a node names.
fn name_network(options: &Options, genesis: &Path, cookie: &Path) {
    let named = options.home.folder().and_then(|home| {
        pin_development(&home, &std::fs::read_to_string(genesis)?)?;
        keep_development_cookie(&home, cookie)
    });
    if let Err(error) = named {
        tracing::warn!("other commands have to be told of this network by --genesis {}: {error:#}", genesis.display());
    }
}

async fn start(network: &mut Network, fresh: bool, options: &Options, progress: &Progress) -> Result<()> {
    network.start(fresh, progress).await?;
    fund::reserve(network, progress).await?;
    if !options.no_fund {
        fund::developer_accounts(network, progress).await?;
    }
    Ok(())
}

/// Looks after a network that is up: mines, answers requests, reports children that end.
async fn watch(
    network: &mut Network,
    requests: &mut mpsc::Receiver<control::Pending>,
    options: &Options,
    status: &SharedStatus,
) -> Result<()> {
    let mut look = tokio::time::interval(WATCH);
    // With an interval of zero, blocks come on demand only.
    let pause = if options.block_interval.is_zero() { Duration::MAX / 4 } else { options.block_interval };
    let mut next_block = tokio::time::Instant::now().checked_add(pause);
    let stop = options.stop.stopped();
    tokio::pin!(stop);
    loop {
        status.update(|status| status.running = network.running());
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = look.tick() => network.report_ended(),
            () = sleep_until(next_block) => {
                if let Err(error) = network.mine(1).await {
                    tracing::warn!("no block was mined: {error:#}");
                }
                next_block = tokio::time::Instant::now().checked_add(pause);
            }
            request = requests.recv() => {
                let Some((request, reply)) = request else { return Ok(()) };
                let stopping = request == Request::Stop;
                let answer = perform(network, request).await.map_err(|error| format!("{error:#}"));
                status.update(|status| status.running = network.running());
                let _ = reply.send(answer); // Whoever asked may have gone away.
                if stopping {
                    return Ok(());
                }
            }
        }
    }
}

async fn perform(network: &mut Network, request: Request) -> Result<Value> {
    match request {
        Request::Mine { blocks } => Ok(json!({ "height": network.mine(blocks).await? })),
        Request::Kill { name } => network.process(&name).map(|process| process.kill()).map(|()| Value::Null),
        Request::Start { name } => network.start_again(&name).await.map(|()| Value::Null),
        Request::Pay { to } => Ok(json!({ "txid": network.pay(&to).await? })),
        Request::Status | Request::Stop => Ok(Value::Null),
    }
}

/// Ends when a request says so; other requests have to wait until the network is up.
async fn asked_to_stop(requests: &mut mpsc::Receiver<control::Pending>) {
    while let Some((request, reply)) = requests.recv().await {
        let stop = request == Request::Stop;
        let _ = reply.send(if stop {
            Ok(Value::Null)
        } else {
            Err("the network is still starting; `causeway dev status` tells when it is ready".into())
        });
        if stop {
            return;
        }
    }
}

fn stopped_early() -> eyre::Report {
    eyre!("stopped before the network was ready; the next start continues")
}

/// Never without a time: it is too far away to be told.
async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
