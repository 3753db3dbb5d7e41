//! A load of keep-alive connections over HTTP/1.1: what `wrk -t1 -cN` does, without `wrk`.
//!
//! One thread, one connection per task, one request in flight on each (nothing is pipelined), every reply read whole
//! and checked. It costs both servers the same, since the same load meets both.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::error::BenchError;
use crate::measure::Turn;

/// Most bytes of one reply.
const REPLY_BYTES_MAX: usize = 64 << 10;
/// Longest that a reply may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same request from many connections.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// The request as it is sent, head and all.
    pub(crate) request: Bytes,
    pub(crate) connections: usize,
}

impl Load {
    /// A GET of `path` with these headers.
    pub(crate) fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)], connections: usize) -> Self {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n");
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        let request = request.into();
        Self { address, request, connections }
    }

    /// Every connection asks again as soon as it was answered, for about `span`.
    pub(crate) fn turn(&self, span: Duration) -> Result<Turn, BenchError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut streams = Vec::with_capacity(self.connections);
            for _ in 0..self.connections {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                streams.push(stream);
            }
            let began = Instant::now();
            let mut connections = JoinSet::new();
            for stream in streams {
                let ask = ask(stream, self.request.clone(), began, span);
                connections.spawn(tokio::time::timeout(span + PATIENCE, ask));
            }
            let mut operations = 0;
            while let Some(connection) = connections.join_next().await {
                let answered = connection.expect("a measured request does not panic");
                operations += answered.map_err(|_| BenchError::Answer("none in time".to_owned()))??;
            }
            Ok(Turn { operations, elapsed: began.elapsed() })
        })
    }
}

async fn ask(
    mut stream: TcpStream,
    request: Bytes,
    began: Instant,
    span: Duration,
) -> Result<u64, BenchError> {
    let mut buffer = vec![0; REPLY_BYTES_MAX];
    let mut operations = 0;
    while began.elapsed() < span {
        stream.write_all(&request).await?;
        let mut filled = 0;
        while !is_whole(&buffer[..filled])? {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err(BenchError::Answer("half a reply, or one that is too long".to_owned()));
            }
            filled += read;
        }
        operations += 1;
    }
    Ok(operations)
}

/// Whether a reply is there to its last byte.
///
/// # Errors
/// When it is not `200 OK` or does not say its length.
fn is_whole(reply: &[u8]) -> Result<bool, BenchError> {
    let Some(head) = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(false) };
    let answer = || BenchError::Answer(String::from_utf8_lossy(&reply[..head.min(400)]).into_owned());
    if !reply.starts_with(b"HTTP/1.1 200 ") {
        return Err(answer());
    }
    let length = reply[..head].split(|byte| *byte == b'\n').find_map(content_length).ok_or_else(answer)?;
    Ok(reply.len() >= head + 4 + length)
}

fn content_length(line: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    let value = std::str::from_utf8(value).ok().filter(|_| name.eq_ignore_ascii_case(NAME))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_with_its_last_byte_and_must_be_200() {
        let whole = b"HTTP/1.1 200 OK\r\nx: y\r\nContent-Length: 3\r\n\r\nabc";
        assert!(is_whole(whole).unwrap());
        for part in 0..whole.len() {
            assert!(!is_whole(&whole[..part]).unwrap(), "{part}");
        }
        assert!(is_whole(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
