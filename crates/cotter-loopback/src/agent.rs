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

/// Opens a link in the system's browser, without a shell.
#[cfg(feature = "browser")]
pub(crate) fn open_browser(url: &str) -> std::io::Result<()> {
    use std::env::var_os;
    let set = |name| var_os(name).is_some_and(|value| !value.is_empty());
    // Without a screen a text browser would take the terminal over.
    let screen = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"].into_iter().any(set);
    if cfg!(target_os = "linux") && !screen {
        return Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "there is no graphical session here",
        ));
    }
    webbrowser::open(url)
}
