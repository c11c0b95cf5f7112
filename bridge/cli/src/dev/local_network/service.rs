//! The process of `causeway dev`: starts the network, looks after it, answers requests, stops it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eyre::{Result, WrapErr, eyre};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::control::{self, Request, Status};
use super::fund;
use super::layout::Layout;
use super::network::Network;
use super::options::Options;
use super::progress::Progress;
use crate::context::Context;

/// How often children are looked after.
const WATCH: Duration = Duration::from_millis(250);

/// Runs the network until it is told to stop.
pub async fn serve(folder: &Path, options: &Options, context: &Context) -> Result<()> {
    let _held = Layout::lock(folder)?;
    // Absolute: children and later readers of the status have other working directories.
    let folder = &folder.canonicalize().wrap_err_with(|| format!("cannot use {}", folder.display()))?;
    let (layout, fresh) = options.layout(folder)?;
    let status = Arc::new(Mutex::new(Status::default()));
    let mut requests = control::serve(folder, Arc::clone(&status))?;
    let progress = Progress::new(Arc::clone(&status), context.json);
    progress.endpoints(&layout);

    let mut network = Network::new(layout, options.bitcoind()?, context.log_format)?;
    let started = tokio::select! {
        started = start(&mut network, fresh, options, &progress) => started,
        () = asked_to_stop(&mut requests) => Err(eyre!("stopped before the network was ready; the next start continues")),
        () = options.stop.stopped() => Err(eyre!("stopped before the network was ready; the next start continues")),
    };
    let result = match started {
        Ok(()) => {
            progress.ready(network.running(), options);
            watch(&mut network, &mut requests, options, &status).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        status.lock().expect("no holder panics").failed = Some(format!("{error:#}"));
    }
    progress.step("stopping");
    network.stop();
    result
}

async fn start(network: &mut Network, fresh: bool, options: &Options, progress: &Progress) -> Result<()> {
    network.start(fresh, progress).await?;
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
    status: &Mutex<Status>,
) -> Result<()> {
    let mut look = tokio::time::interval(WATCH);
    // An interval of zero is no interval: blocks come on demand.
    let pause = if options.block_interval.is_zero() { Duration::MAX / 4 } else { options.block_interval };
    let mut next_block = tokio::time::Instant::now().checked_add(pause);
    let stop = options.stop.stopped();
    tokio::pin!(stop);
    loop {
        status.lock().expect("no holder panics").running = network.running();
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
                status.lock().expect("no holder panics").running = network.running();
                let _ = reply.send(answer); // Whoever asked may be gone.
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
        Request::Start { name } => network.process(&name)?.start().map(|()| Value::Null),
        Request::Pay { to } => Ok(json!({ "txid": network.pay(&to).await? })),
        Request::Status | Request::Stop => Ok(Value::Null),
    }
}

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

async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
