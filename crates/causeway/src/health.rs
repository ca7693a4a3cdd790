//! `causeway health`: asks a running process, for health checks in images that hold no other HTTP client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::cli::HealthFlags;
use crate::exit::Exit;

/// A health check that takes longer is a failed one.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most that is read of an answer; ours are a few lines.
const LONGEST_ANSWER: u64 = 4096;

/// Prints the report of `/readyz`.
///
/// # Errors
/// [`Exit::Unhealthy`] if there is no answer or it is not 200.
pub fn run(flags: &HealthFlags) -> Result<(), Exit> {
    let answer = ask(flags).map_err(|error| {
        Exit::Unhealthy(format!("no answer from {} ({error}); is the process running?", flags.ops))
    })?;
    let report = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim_end();
    if answer.starts_with("HTTP/1.1 200") {
        println!("{report}");
        Ok(())
    } else {
        Err(Exit::Unhealthy(format!("not ready: {}", report.replace('\n', ", "))))
    }
}

fn ask(flags: &HealthFlags) -> std::io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&flags.ops, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    write!(connection, "GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", flags.ops)?;
    let mut answer = String::new();
    connection.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}
