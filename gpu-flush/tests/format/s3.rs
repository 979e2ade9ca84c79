//! The object sink over HTTP against moto, a local emulation of S3 from PyPI, because a full server is not to be had from the
//! registries as a program. The emulation keeps S3's rules where they matter here: parts below 5 MiB are refused, an upload is
//! invisible until it is completed. It does not check signatures.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use prewire_gpu_flush::sink::{MemorySink, ObjectSettings, ObjectSink, Sink};
use prewire_gpu_flush::{ArrayConfig, CodecConfig, DataType, Dimension, Error};

use crate::interop::environment::{Packages, folder, interpreter};
use crate::support::{Objects, dimension, engine, write};

/// A server on a free port of the loopback; ended with the test.
struct Server {
    process: Child,
    endpoint: String,
}

const MAKE_BUCKET: &str = "
import sys, time, urllib.request
for attempt in range(600):
    try:
        urllib.request.urlopen(urllib.request.Request(sys.argv[1] + '/bucket', method='PUT'), timeout=5)
        break
    except OSError:
        time.sleep(0.05)
else:
    sys.exit('the server does not answer')
";

impl Server {
    fn start() -> Self {
        let python = interpreter(Packages::S3);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder("s3-log").join("moto.log")).unwrap();
        let process = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Server { process, endpoint: format!("http://127.0.0.1:{port}") };
        let made = Command::new(&python).args(["-c", MAKE_BUCKET, &server.endpoint]).status().unwrap();
        assert!(made.success());
        server
    }

    fn store(&self) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name("bucket")
            .with_access_key_id("key")
            .with_secret_access_key("secret")
            .build()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn config(codec: CodecConfig) -> ArrayConfig {
    ArrayConfig::builder(DataType::U16)
        .dimension(Dimension::unbounded("t").chunks_per_shard(4))
        .dimension(dimension("y", 1024, 256))
        .dimension(dimension("x", 1024, 256).chunks_per_shard(2))
        .codec(codec)
        .build()
        .unwrap()
}

fn frames(count: u32) -> Vec<u8> {
    (0..count * 1024 * 1024).flat_map(|value| ((value.wrapping_mul(2_654_435_761) >> 9) as u16).to_le_bytes()).collect()
}

#[test]
fn a_store_in_s3_holds_the_bytes_of_the_memory_sink() {
    let server = Server::start();
    let settings = ObjectSettings { part_bytes: 5 << 20, parts_in_flight: 3 };
    // Two frames of a shard are 8 MiB without compression: one part of 5 MiB and a last one; compressed shards are put whole.
    for (prefix, codec, count) in
        [("none.zarr", CodecConfig::None, 6), ("deep/zstd.zarr", CodecConfig::Zstd { level: 1 }, 2)]
    {
        let input = frames(count);
        let memory = MemorySink::new();
        write(&config(codec), engine(2), Arc::new(memory.clone()), &input, input.len());
        let sink = Arc::new(ObjectSink::new(Arc::new(server.store()), prefix, settings).unwrap());
        write(&config(codec), engine(2), sink.clone(), &input, input.len());
        assert_eq!(sink.pending_bytes(), 0);
        let expected: Objects = memory.objects();
        for (key, bytes) in &expected {
            assert!(sink.get(key).unwrap().as_ref() == Some(bytes), "{prefix}/{key}");
        }
        assert!(matches!(sink.prepare(false), Err(Error::AlreadyExists { .. })));
        sink.prepare(true).unwrap();
        assert!(expected.keys().all(|key| sink.get(key).unwrap().is_none()), "{prefix} was cleared");
    }
}

#[test]
fn a_bucket_that_is_not_there_is_an_error_with_its_key() {
    let server = Server::start();
    let store: Arc<dyn ObjectStore> = Arc::new(
        AmazonS3Builder::new()
            .with_endpoint(&server.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name("elsewhere")
            .with_access_key_id("key")
            .with_secret_access_key("secret")
            .build()
            .unwrap(),
    );
    let sink = ObjectSink::new(store, "a.zarr", ObjectSettings::default()).unwrap();
    let mut shard = sink.open("c/0").unwrap();
    shard.write(0, b"bytes").unwrap();
    shard.finalize().unwrap();
    let fence = sink.record_fence();
    let error = sink.wait_fence(fence).unwrap_err();
    assert!(matches!(&error, Error::SinkFailed { key, .. } if key == "c/0"), "{error}");
    assert!(!sink.fence_retired(fence) && sink.pending_bytes() == 0);
    assert_eq!(sink.open("c/1").unwrap_err().to_string(), error.to_string(), "the error stays");
}
