//! Somebody else who may write to Redis.

use bytes::Bytes;
use causeway_cluster::{Cluster, Redis};
use causeway_protocol::NodeId;
use causeway_service::clock;

use crate::node::{LEASE, connected, count, joined, letter, post, secret};
use crate::support::RedisServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_forgery_and_replay_are_counted_and_change_nothing() {
    // Before anything is counted.
    assert_eq!(count("none"), 0);
    let server = RedisServer::start();
    let [a, b] = joined(&server.url()).await;
    let mut mail = b.mail().unwrap();
    let channel = format!("causeway:{{n:{}}}", b.node());
    let recorder = Recorder::start(&server, &channel);
    for number in 0..3 {
        post(&*a, b.node(), &number.to_string()).await;
        assert_eq!(letter(&mut mail).await, number.to_string());
    }
    let recorded = recorder.frames(3);

    for garbage in [&b""[..], b"\x00", b"\x01short", b"{\"kind\":\"letter\"}", &[0xff; 100_000]] {
        server.publish(&channel, garbage);
    }
    let mut forged = recorded[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    server.publish(&channel, &forged);
    for frame in &recorded {
        server.publish(&channel, frame);
    }
    // Meant for b, and sent to a.
    server.publish(&format!("causeway:{{n:{}}}", a.node()), &recorded[0]);

    post(&*a, b.node(), "the next").await;
    assert_eq!(letter(&mut mail).await, "the next", "nothing came twice, and nothing is reset");
    for (reason, least) in [("malformed", 5), ("forged", 2), ("duplicate", 1)] {
        let refused = count(&format!("causeway_cluster_frames_refused_total{{reason=\"{reason}\"}}"));
        assert!(refused >= least, "{reason}: {refused}");
    }
    for counter in ["frames_sent", "frames_received"] {
        assert!(count(&format!("causeway_cluster_{counter}_total")) >= 4, "{counter}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_secret_is_not_heard() {
    let server = RedisServer::start();
    let [a, b] = joined(&server.url()).await;
    let redis = Redis::connect(server.url().parse().unwrap(), NodeId::random(&mut rand::rng()), clock::now);
    let other = causeway_protocol::secret::Secret::from_bytes([8; 32]);
    assert_ne!(other, secret());
    let stranger = causeway_cluster::RedisCluster::join(redis, &other, LEASE);
    connected(&*stranger, true).await;
    let mut mail = b.mail().unwrap();
    stranger.post(b.node(), Bytes::from_static(b"let me in")).unwrap();
    post(&*a, b.node(), "the first").await;
    assert_eq!(letter(&mut mail).await, "the first");
}

/// Reads a channel along, as anybody may who reaches the server.
struct Recorder(std::sync::mpsc::Receiver<Vec<u8>>);

impl Recorder {
    fn start(server: &RedisServer, channel: &str) -> Self {
        use std::io::{BufRead, BufReader, Read, Write};
        let mut connection = std::net::TcpStream::connect(server.address()).unwrap();
        connection.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        write!(connection, "SSUBSCRIBE {channel}\r\n").unwrap();
        let mut reader = BufReader::new(connection);
        // *3 ssubscribe channel :1
        let mut line = String::new();
        while !line.starts_with(':') {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let (sender, receiver) = std::sync::mpsc::sync_channel(100);
        std::thread::spawn(move || {
            let mut part = move || {
                let mut head = String::new();
                loop {
                    head.clear();
                    if reader.read_line(&mut head).ok()? == 0 {
                        return None;
                    }
                    let Some(length) = head.strip_prefix('$') else { continue };
                    let mut bytes = vec![0; length.trim().parse::<usize>().unwrap() + 2];
                    reader.read_exact(&mut bytes).ok()?;
                    bytes.truncate(bytes.len() - 2);
                    return Some(bytes);
                }
            };
            // smessage channel bytes
            while let (Some(_), Some(_), Some(bytes)) = (part(), part(), part()) {
                if sender.send(bytes).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// The first frames that carried letters, at least this many.
    fn frames(&self, least: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        // A frame without letters is shorter.
        while frames.iter().filter(|frame: &&Vec<u8>| frame.len() > 17 + 9 + 33).count() < least {
            frames.push(self.0.recv_timeout(crate::support::PATIENCE).unwrap());
        }
        frames
    }
}
