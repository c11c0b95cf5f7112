//! Telling somebody that something is missing: the report as a JSON-RPC notification, by HTTP POST.

use bridge::foreign::shown;
use eyre::{Result, eyre};
use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::HttpClientBuilder;

use super::report::Report;

/// What a receiver tells reports from others by.
const METHOD: &str = "causeway_audit";

/// Posts a report.
///
/// # Errors
///
/// `url` is none, or does not answer with success.
pub async fn post(url: &str, report: &Report) -> Result<()> {
    // A receiver's words may hold anything, and are shown in a terminal.
    let failed = |error: jsonrpsee::core::ClientError| {
        eyre!("the webhook {url} does not take the report: {}", shown(&error.to_string()))
    };
    let client = HttpClientBuilder::default().build(url).map_err(failed)?;
    let mut params = ArrayParams::new();
    params.insert(report)?;
    client.notification(METHOD, params).await.map_err(failed)
}
