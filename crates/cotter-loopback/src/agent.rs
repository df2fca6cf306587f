//! The two faces: the same turns, with and without a runtime.

#[cfg(feature = "async")]
mod asynchronous {
    use cotter_core::Error;
    use cotter_core::login::{AuthorizationCode, PendingLogin, UserAgent};

    use crate::loopback::{Loopback, TICK};

    #[async_trait::async_trait]
    impl UserAgent for Loopback {
        fn redirect_url(&self) -> &str {
            &self.redirect_url
        }

        async fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error> {
            let mut visit = self.begin(login)?;
            loop {
                if let Some(outcome) = visit.turn() {
                    return outcome;
                }
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

mod blocking {
    use cotter_core::Error;
    use cotter_core::login::{AuthorizationCode, BlockingUserAgent, PendingLogin};

    use crate::loopback::{Loopback, TICK};

    impl BlockingUserAgent for Loopback {
        fn redirect_url(&self) -> &str {
            &self.redirect_url
        }

        fn visit(&self, login: &PendingLogin) -> Result<AuthorizationCode, Error> {
            let mut visit = self.begin(login)?;
            loop {
                if let Some(outcome) = visit.turn() {
                    return outcome;
                }
                std::thread::sleep(TICK);
            }
        }
    }
}

/// Opens a link in the system's browser, without a shell and without waiting for it.
///
/// `$BROWSER` names programs of the user's own, separated by colons. No variable of cotter's, which may
/// hold a sealing key, goes to the browser.
#[cfg(feature = "browser")]
pub(crate) fn open_browser(url: &str) -> std::io::Result<()> {
    use std::env::{var_os, vars_os};
    use std::io::{Error, ErrorKind};
    use std::process::Stdio;

    let set = |name| var_os(name).filter(|value| !value.is_empty());
    // Without a screen a text browser would take the terminal over.
    let screens = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"];
    let mut failure = Error::new(ErrorKind::NotFound, "there is no graphical session here");
    if cfg!(target_os = "linux") && !screens.into_iter().any(|name| set(name).is_some()) {
        return Err(failure);
    }
    let own = set("BROWSER").and_then(|list| list.into_string().ok()).unwrap_or_default();
    let own = own.split(':').filter(|name| !name.is_empty());
    for mut command in own.map(|name| open::with_command(url, name)).chain(open::commands(url)) {
        for (name, _) in vars_os() {
            if name.to_string_lossy().starts_with("COTTER_") {
                command.env_remove(name);
            }
        }
        // Ctrl-C at the login is not meant for the browser.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(mut child) => {
                let wait = move || drop(child.wait());
                drop(std::thread::Builder::new().name("cotter-browser".into()).spawn(wait));
                return Ok(());
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
