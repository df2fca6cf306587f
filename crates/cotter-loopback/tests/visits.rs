//! Real sockets, both faces: who gets through to a login that is waited for, and who does not.

#![allow(clippy::unwrap_used, missing_docs)]

use core::net::Ipv6Addr;
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use cotter_core::login::{BlockingUserAgent, HostedPage, PendingLogin, UserAgent};
use cotter_core::{Error, ErrorKind, Provider};
use cotter_jwt::SignedObjects;
use cotter_loopback::{Builder, Loopback, Notice};
use proptest::prelude::*;

const KEY: &str = "7d0c6a52-5d0e-4c0f-9a57-2b1f5f6a1c01";
const CODE: &str = "SECRETcode4711";

#[derive(Clone, Copy, Debug)]
enum Face {
    Async,
    Blocking,
}

/// A login that is waited for, and the ways to get at its listener.
struct Wait {
    agent: Arc<Loopback>,
    login: Arc<PendingLogin>,
    ended: thread::JoinHandle<Result<(), Error>>,
}

fn builder() -> Builder {
    Loopback::builder().no_browser().deadline(Duration::from_secs(30))
}

fn login(agent: &Loopback, seed: u8) -> PendingLogin {
    let page = HostedPage::email(SignedObjects::cotter(KEY));
    let url = BlockingUserAgent::redirect_url(agent);
    page.begin(&Provider::cotter(KEY).unwrap(), url, &[seed; 64]).unwrap()
}

fn wait(face: Face, builder: Builder) -> Wait {
    let agent = Arc::new(builder.bind().unwrap());
    let login = Arc::new(login(&agent, 7));
    let (here, this) = (Arc::clone(&agent), Arc::clone(&login));
    let ended = thread::spawn(move || match face {
        Face::Blocking => BlockingUserAgent::visit(&*here, &this).map(drop),
        Face::Async => tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(UserAgent::visit(&*here, &this))
            .map(drop),
    });
    Wait { agent, login, ended }
}

fn state(login: &PendingLogin) -> String {
    let (_, rest) = login.url().split_once("state=").unwrap();
    rest.split('&').next().unwrap().to_owned()
}

impl Wait {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.agent.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn good(&self) -> String {
        format!("/?code={CODE}&state={}&challenge_id=42", state(&self.login))
    }

    fn own_host(&self) -> String {
        format!("127.0.0.1:{}", self.agent.port())
    }

    /// The status line and all that follows.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn request(&self, method: &str, target: &str, host: &str) -> String {
        self.raw(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
    }

    fn get(&self, target: &str) -> String {
        self.request("GET", target, &self.own_host())
    }

    fn comes_back(self) -> Result<(), Error> {
        let answer = self.get(&self.good());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("Login complete"), "{answer}");
        self.ended.join().unwrap()
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn the_way_back_is_caught(face: Face) {
    wait(face, builder()).comes_back().unwrap();
}

fn the_page_is_clean_and_stands_alone(face: Face) {
    let wait = wait(face, builder());
    let answer = wait.get(&wait.good());
    for header in
        ["content-security-policy: default-src 'none'", "no-store", "referrer-policy: no-referrer"]
    {
        assert!(answer.to_ascii_lowercase().contains(header), "{header} in {answer}");
    }
    for secret in [CODE.to_owned(), state(&wait.login)] {
        assert!(!answer.contains(&secret), "{answer}");
    }
    wait.ended.join().unwrap().unwrap();
}

fn favicons_wrong_paths_and_other_methods_change_nothing(face: Face) {
    let wait = wait(face, builder());
    assert_eq!(status(&wait.get("/favicon.ico")), "404");
    assert_eq!(status(&wait.get("/other?code=x")), "404");
    let good = wait.good();
    assert_eq!(status(&wait.request("POST", &good, &wait.own_host())), "405");
    let head = wait.request("HEAD", &good, &wait.own_host());
    assert!(head.ends_with("\r\n\r\n"), "a HEAD gets no page and takes no code: {head}");
    assert!(!wait.ended.is_finished());
    wait.comes_back().unwrap();
}

fn a_wrong_state_is_refused_and_waited_past(face: Face) {
    let wait = wait(face, builder());
    let foreign = format!("/?code=x&state={}&challenge_id=1", state(&login(&wait.agent, 9)));
    for target in [foreign.as_str(), "/?code=x&challenge_id=1", "/", "/?state="] {
        let answer = wait.get(target);
        assert_eq!(status(&answer), "400", "{target}: {answer}");
        assert!(!answer.contains("Login complete"));
    }
    wait.comes_back().unwrap();
}

fn another_name_for_this_machine_is_refused(face: Face) {
    let wait = wait(face, builder());
    let (good, port) = (wait.good(), wait.agent.port());
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", &format!("evil.example:{port}"), ""] {
        assert_eq!(status(&wait.request("GET", &good, host)), "421", "{host}");
    }
    assert_eq!(status(&wait.raw(format!("GET {good} HTTP/1.1\r\n\r\n").as_bytes())), "421");
    assert!(!wait.ended.is_finished());
    assert_eq!(status(&wait.request("GET", "/", &format!("LocalHost:{port}"))), "400");
    wait.comes_back().unwrap();
}

fn port_scans_and_half_open_connections_change_nothing(face: Face) {
    let wait = wait(face, builder());
    for _ in 0..50 {
        drop(wait.connect());
    }
    let mut half: Vec<TcpStream> = (0..10).map(|_| wait.connect()).collect();
    for stream in &mut half {
        stream.write_all(b"GET /?code=").unwrap();
    }
    wait.comes_back().unwrap();
}

fn a_slowloris_on_every_place_makes_room(face: Face) {
    let wait = wait(face, builder());
    let mut slow: Vec<TcpStream> = (0..200).map(|_| wait.connect()).collect();
    for stream in &mut slow {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nX: ");
    }
    wait.comes_back().unwrap();
}

fn a_request_that_arrives_in_pieces_is_read(face: Face) {
    let wait = wait(face, builder());
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", wait.good(), wait.own_host());
    let mut stream = wait.connect();
    for piece in request.as_bytes().chunks(40) {
        stream.write_all(piece).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Login complete"), "{answer}");
    wait.ended.join().unwrap().unwrap();
}

fn what_is_too_long_is_cut_off(face: Face) {
    let wait = wait(face, builder());
    let host = wait.own_host();
    let long = "a".repeat(9_000);
    assert_eq!(status(&wait.get(&format!("/?{long}"))), "414");
    let headers = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "a".repeat(20_000));
    assert_eq!(status(&wait.raw(headers.as_bytes())), "431");
    assert_eq!(status(&wait.raw(b"\x16\x03\x01\x02\x00 this is TLS")), "400");
    wait.comes_back().unwrap();
}

fn an_error_in_the_redirect_ends_the_login(face: Face) {
    let wait = wait(face, builder());
    let answer = wait.get(&format!("/?error=access_denied&state={}", state(&wait.login)));
    assert!(answer.contains("You are not signed in"), "{answer}");
    assert_eq!(wait.ended.join().unwrap().unwrap_err().kind(), ErrorKind::Denied);
}

fn a_second_tab_gets_the_page_as_well(face: Face) {
    let wait = wait(face, builder());
    let (mut one, mut two) = (wait.connect(), wait.connect());
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", wait.good(), wait.own_host());
    one.write_all(request.as_bytes()).unwrap();
    two.write_all(request.as_bytes()).unwrap();
    for stream in [&mut one, &mut two] {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("Login complete"), "{answer}");
    }
    wait.ended.join().unwrap().unwrap();
}

fn nobody_comes_in_time(face: Face) {
    let wait = wait(face, builder().deadline(Duration::from_millis(300)));
    let error = wait.ended.join().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable { uncertain: false, .. }), "{error}");
}

fn it_can_be_given_up(face: Face) {
    let wait = wait(face, builder());
    wait.agent.canceller().cancel();
    assert_eq!(wait.ended.join().unwrap().unwrap_err().kind(), ErrorKind::Denied);
}

fn a_pasted_address_counts_as_the_way_back(face: Face) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let wait =
        wait(face, builder().tell(move |notice| noted.lock().unwrap().push(notice.to_string())));
    wait.agent.paste("http://127.0.0.1:1/?code=x&state=foreign&challenge_id=1");
    let good = format!("  http://{}{}\n", wait.own_host(), wait.good());
    wait.agent.paste(&good);
    wait.ended.join().unwrap().unwrap();
    let told = told.lock().unwrap();
    assert!(told[0].contains(wait.login.url()), "{told:?}");
    assert!(told[1].contains("not where this login ends"), "{told:?}");
}

fn the_link_is_opened_and_told(face: Face) {
    let opened = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&opened);
    let builder = builder().opener(move |link| {
        noted.lock().unwrap().push(link.to_owned());
        Ok(())
    });
    let wait = wait(face, builder);
    let link = wait.login.url().to_owned();
    wait.comes_back().unwrap();
    assert_eq!(*opened.lock().unwrap(), [link]);
}

fn without_a_browser_the_person_is_told(face: Face) {
    let (say, said) = std::sync::mpsc::channel();
    let builder = builder().opener(|_| Err(std::io::Error::other("no browser, as planned"))).tell(
        move |notice| {
            if let Notice::NoBrowser(_) = notice {
                say.send(notice.to_string()).unwrap();
            }
        },
    );
    let wait = wait(face, builder);
    let said = said.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(said.contains("as planned") && said.contains("paste"), "{said}");
    wait.comes_back().unwrap();
}

fn ipv6_is_answered_too(face: Face) {
    let wait = wait(face, builder().localhost());
    assert!(BlockingUserAgent::redirect_url(&*wait.agent).starts_with("http://localhost:"));
    let machine_has_it = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    assert_eq!(wait.agent.listens_on_ipv6(), machine_has_it);
    if !machine_has_it {
        skipped("this machine has no IPv6");
    }
    if machine_has_it {
        let port = wait.agent.port();
        let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        write!(stream, "GET {} HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n", wait.good()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("Login complete"), "{answer}");
        wait.ended.join().unwrap().unwrap();
    } else {
        wait.comes_back().unwrap();
    }
}

macro_rules! both_faces {
    ($($name:ident),* $(,)?) => {
        mod asynchronous { $(#[test] fn $name() { super::$name(super::Face::Async); })* }
        mod blocking { $(#[test] fn $name() { super::$name(super::Face::Blocking); })* }
    };
}

both_faces!(
    the_way_back_is_caught,
    the_page_is_clean_and_stands_alone,
    favicons_wrong_paths_and_other_methods_change_nothing,
    a_wrong_state_is_refused_and_waited_past,
    another_name_for_this_machine_is_refused,
    port_scans_and_half_open_connections_change_nothing,
    a_slowloris_on_every_place_makes_room,
    a_request_that_arrives_in_pieces_is_read,
    what_is_too_long_is_cut_off,
    an_error_in_the_redirect_ends_the_login,
    a_second_tab_gets_the_page_as_well,
    nobody_comes_in_time,
    it_can_be_given_up,
    a_pasted_address_counts_as_the_way_back,
    the_link_is_opened_and_told,
    without_a_browser_the_person_is_told,
    ipv6_is_answered_too,
);

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = builder().port(port).bind().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

/// Says past the harness, which keeps what passing tests print, that something was not tested.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

#[test]
fn half_a_port_is_not_enough() {
    let Ok(taken) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        skipped("this machine has no IPv6");
        return;
    };
    let port = taken.local_addr().unwrap().port();
    assert_eq!(builder().port(port).bind().unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn one_listener_serves_one_login_at_a_time_and_then_the_next() {
    let first = wait(Face::Blocking, builder());
    let agent = Arc::clone(&first.agent);
    let second = login(&agent, 8);
    while first.get("/probe").is_empty() {}
    let error = BlockingUserAgent::visit(&*agent, &second).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    first.comes_back().unwrap();
    agent.paste(&format!("/?code=x&state={}&challenge_id=1", state(&second)));
    BlockingUserAgent::visit(&*agent, &second).unwrap();
}

#[tokio::test]
async fn dropping_the_future_gives_the_login_up() {
    let agent = builder().bind().unwrap();
    let login = login(&agent, 7);
    let begun = Instant::now();
    let visit = tokio::time::timeout(Duration::from_millis(100), UserAgent::visit(&agent, &login));
    assert!(visit.await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(20));
    agent.paste(&format!("/?code=x&state={}&challenge_id=1", state(&login)));
    UserAgent::visit(&agent, &login).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn junk_neither_ends_the_wait_nor_panics(
        junk in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 1..12)
    ) {
        let wait = wait(Face::Blocking, builder());
        for bytes in &junk {
            let mut stream = wait.connect();
            let _ = stream.write_all(bytes);
        }
        prop_assert!(!wait.ended.is_finished());
        wait.comes_back().unwrap();
    }
}
