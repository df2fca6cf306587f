//! What a browser is shown: one small page, with everything in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;\
font:17px/1.5 system-ui,sans-serif;background:light-dark(#f4f5f7,#16181d);color:light-dark(#1c2024,#e8eaed)}\
main{max-width:26rem;margin:1.5rem;padding:2.5rem;text-align:center;border-radius:16px;\
background:light-dark(#fff,#22252c);box-shadow:0 1px 3px #0002,0 12px 32px #0001}\
.mark{width:64px;height:64px;margin:0 auto 1.25rem;border-radius:50%;display:grid;place-items:center;\
font-size:32px;color:#fff}\
.good .mark{background:#1f8f4e}.bad .mark{background:#c2410c}.other .mark{background:#5b6472}\
h1{margin:0 0 .5rem;font-size:1.4rem}p{margin:0;opacity:.8}";

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Done,
    Failed,
    Foreign,
    NotFound,
    NotAllowed,
    WrongHost,
    Malformed,
    HeadTooLong,
    TargetTooLong,
}

impl Page {
    const fn parts(self) -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
        const WAITING: &str = "The login that is under way goes on in its own window.";
        match self {
            Self::Done => (
                "200 OK",
                "good",
                "&#10003;",
                "Login complete",
                "You can close this window. The program that you came from takes it from here.",
            ),
            Self::Failed => (
                "200 OK",
                "bad",
                "!",
                "You are not signed in",
                "The login was refused or has failed. Go back to where you came from to see why.",
            ),
            Self::Foreign => (
                "400 Bad Request",
                "other",
                "?",
                "This is not the login we wait for",
                "Nothing was changed. The login that is under way goes on in its own window.",
            ),
            Self::NotFound => ("404 Not Found", "other", "?", "There is nothing here", WAITING),
            Self::NotAllowed => {
                ("405 Method Not Allowed", "other", "?", "That is not done here", WAITING)
            }
            Self::WrongHost => {
                ("421 Misdirected Request", "other", "?", "This is another address", WAITING)
            }
            Self::Malformed => {
                ("400 Bad Request", "other", "?", "That was not understood", WAITING)
            }
            Self::HeadTooLong => {
                ("431 Request Header Fields Too Large", "other", "?", "That was too long", WAITING)
            }
            Self::TargetTooLong => ("414 URI Too Long", "other", "?", "That was too long", WAITING),
        }
    }

    /// The whole answer; for HEAD without the page.
    pub(crate) fn answer(self, with_body: bool) -> Vec<u8> {
        let (status, class, mark, title, text) = self.parts();
        let body = format!(
            "<!doctype html><html lang=en><head><meta charset=utf-8><title>{title}</title>\
             <meta name=viewport content=\"width=device-width,initial-scale=1\">\
             <link rel=icon href=\"data:,\"><style>{STYLE}</style></head>\
             <body><main class={class}><div class=mark aria-hidden=true>{mark}</div>\
             <h1>{title}</h1><p>{text}</p></main></body></html>"
        );
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let allow = if self == Self::NotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
        let shown = if with_body { body.as_str() } else { "" };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'sha256-{style}'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\nX-Content-Type-Options: nosniff\r\n\
             Referrer-Policy: no-referrer\r\nCache-Control: no-store\r\n{allow}Connection: close\r\n\
             \r\n{shown}",
            body.len()
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_stands_alone() {
        for page in [Page::Done, Page::Failed, Page::Foreign, Page::NotFound, Page::NotAllowed] {
            let answer = String::from_utf8(page.answer(true)).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
            assert!(head.contains("default-src 'none'") && head.contains("no-referrer"), "{head}");
            for outside in ["http:", "https:", "<script", "src=", "url("] {
                assert!(!body.contains(outside), "{outside} in {body}");
            }
            assert!(String::from_utf8(page.answer(false)).unwrap().ends_with("\r\n\r\n"));
        }
    }
}
