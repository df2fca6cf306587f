//! TLS, proxies and the environment, with servers on loopback.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::error::Error as _;
use core::time::Duration;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use cotter_core::{BlockingTransport, SecretBytes, Sent, TransportError};
use cotter_testkit::certificates;
use cotter_testkit::wire::{Reply, Server};
use cotter_transport_ureq::{Builder, Ureq};
use http::{Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

type Answer = Result<Response<SecretBytes>, TransportError>;

const PLENTY: Duration = Duration::from_secs(20);
/// PEM, but not of a certificate.
const NO_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

fn send(transport: &Ureq, request: Request<SecretBytes>, timeout: Duration) -> Answer {
    transport.send(request, timeout)
}

fn trusting() -> Builder {
    Ureq::builder().root_certificate_pem(certificates::AUTHORITY)
}

fn post(url: &str) -> Request<SecretBytes> {
    let request = Request::post(url).header("API_KEY_ID", "PLANTED-KEY");
    request.body(SecretBytes::from(b"PLANTED-BODY".as_slice())).unwrap()
}

/// Speaks TLS as `auth.example`, reads one request, notes it, and writes `answer` after `pause`.
fn speak_tls(
    stream: &mut TcpStream,
    seen: &Mutex<String>,
    pause: Duration,
    answer: &str,
) -> io::Result<()> {
    let certificate = CertificateDer::from_pem_slice(certificates::SERVER.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificates::SERVER_KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let connection = ServerConnection::new(Arc::new(config)).unwrap();
    let mut tls = StreamOwned::new(connection, stream.try_clone()?);
    let mut request = Vec::new();
    while !request.ends_with(b"PLANTED-BODY") {
        let mut chunk = [0; 1024];
        let length = tls.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..length]);
    }
    seen.lock().unwrap().push_str(&String::from_utf8_lossy(&request));
    thread::sleep(pause);
    tls.write_all(answer.as_bytes())?;
    tls.flush()
}

fn tls_server(answer: &'static str) -> (Server, Arc<Mutex<String>>) {
    let seen = Arc::<Mutex<String>>::default();
    let server = Server::start_raw({
        let seen = Arc::clone(&seen);
        move |stream| speak_tls(stream, &seen, Duration::ZERO, answer)
    });
    (server, seen)
}

/// What the client says to a proxy before it waits for the answer, so that no more is there.
fn read_connect(stream: &TcpStream) -> io::Result<String> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    Ok(head)
}

/// A proxy that answers CONNECT with `status` and, where that is 200, is the server itself.
fn proxy(status: u16) -> (Server, Arc<Mutex<String>>) {
    let seen = Arc::<Mutex<String>>::default();
    let server = Server::start_raw({
        let seen = Arc::clone(&seen);
        move |stream| {
            let head = read_connect(stream)?;
            seen.lock().unwrap().push_str(&head);
            write!(stream, "HTTP/1.1 {status} Planned\r\n\r\n")?;
            match status {
                200 => speak_tls(stream, &seen, Duration::ZERO, ANSWER),
                _ => Ok(()),
            }
        }
    });
    (server, seen)
}

/// A proxy that answers CONNECT with `start`, and then with one byte now and then.
fn dripping_proxy(start: &'static [u8]) -> Server {
    Server::start_raw(move |stream| {
        read_connect(stream)?;
        stream.write_all(start)?;
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(50));
            stream.write_all(b"a")?;
        }
        Ok(())
    })
}

#[test]
fn a_trusted_server_gets_the_request_and_answers() {
    let (server, seen) = tls_server(ANSWER);
    let transport = trusting().build().unwrap();
    let url = format!("https://{}/token", server.address());
    let response = send(&transport, post(&url), PLENTY).unwrap();
    assert_eq!((response.status().as_u16(), response.body().expose()), (200, b"{}".as_slice()));
    let seen = seen.lock().unwrap();
    assert!(seen.starts_with("POST /token HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("PLANTED-KEY"), "{seen}");
}

#[test]
fn an_untrusted_server_gets_nothing() {
    let (server, seen) = tls_server(ANSWER);
    let url = format!("https://{}/token", server.address());
    let error = send(&Ureq::new().unwrap(), post(&url), PLENTY).unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error:?}");
    assert_eq!(*seen.lock().unwrap(), "");
}

#[test]
fn a_server_with_another_name_gets_nothing() {
    let (server, seen) = tls_server(ANSWER);
    // The certificate is for 127.0.0.1, not for this name of it.
    let url = format!("https://localhost:{}/token", server.address().port());
    let error = send(&trusting().build().unwrap(), post(&url), PLENTY).unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error:?}");
    assert_eq!(*seen.lock().unwrap(), "");
}

#[test]
fn tls_that_breaks_after_the_handshake_may_have_sent() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"] {
        let (server, _seen) = tls_server(answer);
        let url = format!("https://{}/token", server.address());
        let error = send(&trusting().build().unwrap(), post(&url), PLENTY).unwrap_err();
        assert_eq!(error.sent(), Sent::Maybe, "{error:?}");
    }
}

#[test]
fn a_proxy_carries_https_and_sees_no_request() {
    let (proxy, seen) = proxy(200);
    let url = format!("http://ada:PROXY-PASSWORD@{}", proxy.address());
    let transport = trusting().proxy(&url).build().unwrap();
    assert!(!format!("{transport:?} {:?}", trusting().proxy(&url)).contains("PROXY-PASSWORD"));

    let response = send(&transport, post("https://auth.example/token"), PLENTY).unwrap();
    assert_eq!(response.status(), 200);
    let seen = seen.lock().unwrap();
    let (connect, request) = seen.split_once("\r\n\r\n").unwrap();
    assert!(connect.starts_with("CONNECT auth.example:443 HTTP/1.1\r\n"), "{connect}");
    assert!(connect.to_lowercase().contains("proxy-authorization: basic "), "{connect}");
    assert!(!connect.contains("PLANTED"), "{connect}");
    assert!(request.starts_with("POST /token HTTP/1.1\r\n"), "{request}");
    assert!(!request.to_lowercase().contains("proxy-authorization"), "{request}");
}

#[test]
fn a_proxy_that_refuses_has_sent_nothing() {
    let (proxy, seen) = proxy(407);
    let url = format!("http://ada:PROXY-PASSWORD@{}", proxy.address());
    let transport = trusting().proxy(url).build().unwrap();
    let error = send(&transport, post("https://auth.example/token"), PLENTY).unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error:?}");
    assert!(!format!("{error:?} {error}").contains("PROXY-PASSWORD"), "{error:?}");
    assert!(!seen.lock().unwrap().contains("PLANTED"));
}

#[test]
fn a_proxy_that_drips_its_answer_ends_with_the_deadline_and_is_not_sent() {
    let brief = Duration::from_millis(250);
    // The answer itself, and then the server's handshake, in a record that would be long.
    let starts: [&[u8]; 2] =
        [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03\x3f\x00"];
    for start in starts {
        let proxy = dripping_proxy(start);
        for (connect_timeout, timeout) in [(brief, PLENTY), (PLENTY, brief)] {
            let builder = trusting().proxy(format!("http://{}", proxy.address()));
            let transport = builder.connect_timeout(connect_timeout).build().unwrap();
            let get = Request::get("https://auth.example/keys").body(SecretBytes::default());
            for request in [post("https://auth.example/token"), get.unwrap()] {
                let from = Instant::now();
                let error = send(&transport, request, timeout).unwrap_err();
                assert!(from.elapsed() < 4 * brief, "{:?} {error:?}", from.elapsed());
                assert_eq!(error.sent(), Sent::No, "{error:?}");
                assert!(error.to_string().contains("in time"), "{error:?}");
            }
        }
    }
}

#[test]
fn a_proxy_that_answers_without_an_end_is_not_read_on() {
    let proxy = Server::start_raw(|stream| {
        read_connect(stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
        loop {
            stream.write_all(&[b'a'; 1000])?;
        }
    });
    let transport = trusting().proxy(format!("http://{}", proxy.address())).build().unwrap();
    let error = send(&transport, post("https://auth.example/token"), PLENTY).unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error:?}");
    assert_eq!(error.source().unwrap().to_string(), "more than 64 KiB came");
}

/// What holds for the way to the server holds no more once the request is on it.
#[test]
fn a_response_through_a_proxy_may_be_later_than_a_connection_and_longer_than_its_answer() {
    let brief = Duration::from_secs(1);
    let proxy = Server::start_raw(move |stream| {
        read_connect(stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let body = "x".repeat(64 << 10);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        speak_tls(stream, &Mutex::default(), brief + brief / 4, &answer)
    });
    let builder = trusting().proxy(format!("http://{}", proxy.address()));
    let transport = builder.connect_timeout(brief).build().unwrap();
    let response = send(&transport, post("https://auth.example/token"), PLENTY).unwrap();
    assert_eq!(response.body().len(), 64 << 10);
}

#[test]
fn requests_to_this_machine_use_no_proxy() {
    let (proxy, _seen) = proxy(502);
    let plain = Server::start(|_| Reply::ok("{}"));
    let (tls, _seen) = tls_server(ANSWER);
    let transport = trusting().proxy(format!("http://{}", proxy.address())).build().unwrap();
    for url in [plain.url("/"), format!("https://{}/", tls.address())] {
        assert_eq!(send(&transport, post(&url), PLENTY).unwrap().status(), 200, "{url}");
    }
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn settings_that_cannot_work_are_config_errors() {
    let key = certificates::SERVER_KEY;
    for builder in [
        Ureq::builder().proxy("socks5://127.0.0.1:1080"),
        Ureq::builder().proxy("http://"),
        Ureq::builder().user_agent("two\nlines"),
        Ureq::builder().root_certificate_pem(""),
        Ureq::builder().root_certificate_pem(NO_CERTIFICATE),
        Ureq::builder()
            .root_certificate_pem(format!("{}{NO_CERTIFICATE}", certificates::AUTHORITY)),
        Ureq::builder().root_certificate_pem(key),
    ] {
        let told = format!("{builder:?}");
        let error = builder.build().expect_err(&told);
        assert_eq!(error.kind(), cotter_core::ErrorKind::Config, "{told}");
    }
}

#[test]
fn plain_http_leaves_by_the_dangerous_call() {
    let transport = Ureq::builder().no_proxy().danger_allow_plain_http().build().unwrap();
    // An address for documentation (RFC 5737): nobody answers, so it ends one way or the other.
    let request = post("http://192.0.2.1/");
    let error = send(&transport, request, Duration::from_millis(300)).unwrap_err();
    assert!(!error.is_config(), "{error:?}");
    assert_eq!(error.sent(), Sent::No, "{error:?}");
}

/// Set in the processes of [`in_child`] only; elsewhere the tests for them have nothing to do.
const CHILD: &str = "COTTER_TEST_CHILD";

/// Runs `child` of this file in a process of its own, as no test may change the environment here.
fn in_child(child: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([child, "--exact", "--nocapture"]);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(name);
    }
    command.env(CHILD, child).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn the_environment_names_the_proxy() {
    let (proxy, seen) = proxy(502);
    let url = format!("http://{}", proxy.address());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        in_child("child_sends_to_auth_example", &[(name, &url)]);
        assert!(core::mem::take(&mut *seen.lock().unwrap()).starts_with("CONNECT"), "{name}");
    }
    let count = proxy.connections();
    // Without the proxy, the name is one that nobody has.
    in_child(
        "child_sends_to_auth_example",
        &[("HTTPS_PROXY", &url), ("NO_PROXY", "a.test, example")],
    );
    assert_eq!(proxy.connections(), count);
    in_child("child_builds", &[("HTTPS_PROXY", "socks5://a.test"), ("EXPECT", "config")]);
    in_child("child_builds", &[("HTTPS_PROXY", ""), ("EXPECT", "built")]);
}

#[test]
fn child_sends_to_auth_example() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let request = post("https://auth.example/token");
    let error = send(&Ureq::new().unwrap(), request, PLENTY).unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error:?}");
}

#[test]
fn child_builds() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let expected = std::env::var("EXPECT").unwrap();
    assert_eq!(Ureq::new().is_ok(), expected == "built");
}

#[test]
fn the_environment_names_the_certificates() {
    let (server, seen) = tls_server(ANSWER);
    let path = format!("{}/authority.pem", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&path, certificates::AUTHORITY).unwrap();
    let url = format!("https://{}/token", server.address());
    in_child("child_is_answered", &[("SSL_CERT_FILE", &path), ("URL", &url)]);
    assert!(seen.lock().unwrap().contains("PLANTED-BODY"));
}

#[test]
fn child_is_answered() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let url = std::env::var("URL").unwrap();
    let response = send(&Ureq::new().unwrap(), post(&url), PLENTY).unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn certificates_that_the_environment_names_and_nobody_can_use_are_config_errors() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let file = |name: &str, text: &str| {
        let path = format!("{folder}/{name}.pem");
        std::fs::write(&path, text).unwrap();
        path
    };
    for path in [
        format!("{folder}/no-such-file.pem"),
        folder.to_owned(),
        file("empty", ""),
        file("key", certificates::SERVER_KEY),
        file("none", NO_CERTIFICATE),
    ] {
        in_child("child_builds", &[("SSL_CERT_FILE", &path), ("EXPECT", "config")]);
    }
    // One that is sound among others is enough.
    let mixed = file("mixed", &format!("{NO_CERTIFICATE}{}", certificates::AUTHORITY));
    in_child("child_builds", &[("SSL_CERT_FILE", &mixed), ("EXPECT", "built")]);
}

#[test]
fn an_empty_variable_leaves_the_systems_certificates() {
    let (server, seen) = tls_server(ANSWER);
    let url = format!("https://{}/token", server.address());
    in_child("child_trusts_the_system", &[("SSL_CERT_FILE", ""), ("URL", &url)]);
    assert_eq!(*seen.lock().unwrap(), "");
}

#[test]
fn child_trusts_the_system() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let url = std::env::var("URL").unwrap();
    let error = send(&Ureq::new().unwrap(), post(&url), PLENTY).unwrap_err();
    // There are certificates; the server's is signed by none of them.
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
}

/// The same for every transport of ours.
#[test]
fn no_proxy_excepts_names_domains_addresses_networks_and_everything() {
    let (proxy, seen) = proxy(502);
    let url = format!("http://{}", proxy.address());
    let hosts = "a.invalid x.a.invalid xa.invalid 192.0.2.7 192.0.2.70 [2001:db8::1]";
    for (list, through) in [
        ("", hosts),
        ("a.invalid", "xa.invalid 192.0.2.7 192.0.2.70 [2001:db8::1]"),
        (" .A.invalid , 192.0.2.7", "xa.invalid 192.0.2.70 [2001:db8::1]"),
        ("192.0.2.0/26,2001:db8::/32", "a.invalid x.a.invalid xa.invalid 192.0.2.70"),
        ("2.7,192.0.2.0/33", hosts),
        ("*", ""),
    ] {
        let variables = [
            ("HTTPS_PROXY", url.as_str()),
            ("NO_PROXY", list),
            ("HOSTS", hosts),
            ("THROUGH", through),
        ];
        in_child("child_sends_to_many", &variables);
        let seen = core::mem::take(&mut *seen.lock().unwrap());
        let asked: Vec<&str> = seen
            .lines()
            .filter_map(|line| line.strip_prefix("CONNECT ")?.strip_suffix(":443 HTTP/1.1"))
            .collect();
        assert_eq!(asked.join(" "), through, "NO_PROXY={list}");
    }
}

#[test]
fn child_sends_to_many() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let transport = Ureq::new().unwrap();
    let through = std::env::var("THROUGH").unwrap();
    let through: Vec<&str> = through.split(' ').collect();
    for host in std::env::var("HOSTS").unwrap().split(' ') {
        // Nobody has these names and addresses (RFC 6761, RFC 5737, RFC 3849).
        // The proxy answers at once; who is asked directly is not there.
        let brief = Duration::from_millis(if through.contains(&host) { 10_000 } else { 500 });
        let error = send(&transport, post(&format!("https://{host}/token")), brief).unwrap_err();
        assert_eq!(error.sent(), Sent::No, "{error:?}");
    }
}
