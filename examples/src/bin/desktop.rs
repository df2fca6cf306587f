//! A desktop-like program: a person signs in by the browser once, the tokens are kept sealed in a
//! folder, and from then on the program starts signed in.
//!
//! `cargo run -p cotter-examples --bin desktop -- --emulated`
//!
//! With `--emulated` the server is one in this process and the person is played, so that it runs anywhere.
//! Without, it opens your browser: give your project's API key id in `COTTER_API_KEY_ID`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cotter::blocking::Session;
use cotter::jwt::SignedObjects;
use cotter::login::HostedPage;
use cotter::loopback::Loopback;
use cotter::store::{File, KeyFile};
use cotter::{ErrorKind, Provider};
use cotter_emulator::{Config, Emulator};

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--emulated") {
        let server = Arc::new(Emulator::start(Config::default())?);
        let home = std::env::temp_dir().join(format!("cotter-desktop-{}", std::process::id()));
        println!("-- the program starts for the first time --");
        start(&App::emulated(server.clone(), &home)?)?;
        println!("-- and the next day --");
        start(&App::emulated(server, &home)?)?;
        std::fs::remove_dir_all(&home)?;
        return Ok(());
    }
    let project = std::env::var("COTTER_API_KEY_ID")
        .map_err(|_| "give your project's API key id in COTTER_API_KEY_ID, or say --emulated")?;
    start(&App {
        provider: Provider::cotter(&project)?,
        page: HostedPage::email(SignedObjects::cotter(project)),
        // Where desktop programs keep such things differs; see the crate `directories`.
        home: PathBuf::from("desktop-example"),
        person: None,
    })
}

/// What differs between the real service and the emulated one.
struct App {
    provider: Provider,
    page: HostedPage,
    home: PathBuf,
    /// The emulated server, whose person is played.
    person: Option<Arc<Emulator>>,
}

impl App {
    fn emulated(server: Arc<Emulator>, home: &Path) -> Result<Self, Box<dyn Error>> {
        let identities =
            SignedObjects::cotter(server.api_key_id()).public_key(server.identity_key())?;
        Ok(Self {
            provider: Provider::cotter(server.api_key_id())?.with_base_url(server.base_url())?,
            page: HostedPage::email(identities).login_url(server.login_url())?,
            home: home.to_owned(),
            person: Some(server),
        })
    }
}

/// What the program does each time it starts.
fn start(app: &App) -> Result<(), Box<dyn Error>> {
    // The key lies in a file of its own, never beside what it seals; `store::KeyringKey` keeps it in the
    // keyring of the operating system.
    std::fs::create_dir_all(&app.home)?;
    let store = File::open(app.home.join("session"), KeyFile::new(app.home.join("key")))?;
    let session = Session::builder(app.provider.clone())
        .store(store)
        .transport(cotter::transport::Ureq::new()?)
        .build()?;

    match session.access_token() {
        Err(error) if matches!(error.kind(), ErrorKind::SignInRequired(_)) => {
            println!("nobody is signed in yet");
            let signed_in = session.sign_in_with(app.page.clone(), &browser(app)?)?;
            println!("signed in as {}", signed_in.identity.identifier);
        }
        other => drop(other?),
    }

    let user = session.signed_in_user()?;
    let token = session.access_token()?;
    println!(
        "hello {}, here is what you asked for (with a token of {} characters)",
        user.identifier.as_deref().unwrap_or("you"),
        token.expose().len()
    );
    Ok(())
}

/// The browser and the way back from it.
fn browser(app: &App) -> Result<Loopback, cotter::Error> {
    let agent = Loopback::builder().deadline(Duration::from_secs(300));
    let agent = match &app.person {
        None => agent,
        Some(server) => {
            let server = Arc::clone(server);
            agent.opener(move |link| {
                cotter_examples::person_signs_in(&server, link, "ada@example.test")
            })
        }
    };
    agent
        // "open this link to sign in: ..."; also that there is no browser, if so.
        .tell(|notice| println!("{notice}"))
        .bind()
}
