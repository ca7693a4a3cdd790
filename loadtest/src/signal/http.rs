//! Requests with JSON over one connection that is kept, as far as a load generator on loopback needs them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::{Doing, Failure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of an answer's head.
const LONGEST_LINE: u64 = 16 * 1024;
/// Of an answer's body.
const LONGEST_BODY: usize = 1 << 20;

/// A connection to one server.
pub(crate) struct Client {
    server: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) const fn new(server: SocketAddr) -> Self {
        Self { server, connection: None }
    }

    /// Posts JSON and reads JSON.
    pub(crate) fn post<T: DeserializeOwned>(&mut self, path: &str, body: &Value) -> Result<T, Failure> {
        let answer = self.ask("POST", path, &body.to_string()).doing("asking a server over HTTP")?;
        let refused = || Failure::RefusedHttp {
            server: self.server,
            path: path.to_owned(),
            status: answer.status,
            answer: String::from_utf8_lossy(&answer.body).into_owned(),
        };
        if !(200..300).contains(&answer.status) {
            return Err(refused());
        }
        serde_json::from_slice(&answer.body).map_err(|_other_json| refused())
    }

    /// Whether anything that speaks HTTP listens there.
    pub(crate) fn is_up(&mut self, path: &str) -> bool {
        self.ask("GET", path, "").is_ok()
    }

    /// One request; once more if the server has closed the kept connection meanwhile.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let kept = self.connection.is_some();
        match self.try_once(method, path, body) {
            Err(_closed) if kept => self.try_once(method, path, body),
            other => other,
        }
    }

    fn try_once(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        // Only a connection whose answer was read to its end is kept.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.server)?,
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.server,
            body.len()
        );
        connection.get_mut().write_all(request.as_bytes())?;
        let (answer, keep) = read(&mut connection)?;
        self.connection = keep.then_some(connection);
        Ok(answer)
    }
}

fn connect(server: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let connection = TcpStream::connect_timeout(&server, PATIENCE)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(connection))
}

/// Reads an answer, and says whether the connection may be used again. One without a length is not read to its end.
fn read(connection: &mut impl BufRead) -> io::Result<(Answer, bool)> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "this is not an answer of HTTP/1.1");
    let status = line(connection)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    let (mut length, mut keep) = (None, true);
    loop {
        let line = line(connection)?;
        let Some((name, value)) = line.split_once(':') else { break };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(
                value.parse::<usize>().ok().filter(|&length| length <= LONGEST_BODY).ok_or_else(broken)?,
            );
        } else if name.eq_ignore_ascii_case("connection") {
            keep = !value.eq_ignore_ascii_case("close");
        }
    }
    let mut body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut body)?;
    Ok((Answer { status, body }, keep && length.is_some()))
}

fn line(connection: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if connection.take(LONGEST_LINE).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let mut bytes: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\nX: y\r\n\r\n{}HTTP/1.1 ";
        let (answer, keep) = read(&mut bytes).unwrap();
        assert_eq!((answer.status, answer.body.as_slice(), keep), (201, &b"{}"[..], true));
        assert_eq!(bytes, b"HTTP/1.1 ");
    }

    #[test]
    fn a_connection_that_ends_or_has_no_length_is_not_kept() {
        for head in ["Connection: close\r\nContent-Length: 0", "Transfer-Encoding: chunked"] {
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
            assert!(!read(&mut answer.as_bytes()).unwrap().1, "{head}");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in ["", "SSH-2.0\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"] {
            assert!(read(&mut bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
