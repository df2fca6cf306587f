//! Signing in by Cotter's hosted page, and users; for threads.

use cotter_core::Error;
use cotter_core::flow;
use cotter_core::login::{BlockingUserAgent, HostedPage, SignedInUser, User};

use super::drive::drive;
use super::session::Session;
use crate::settings::SignedIn;

impl Session {
    /// Signs a person in by Cotter's hosted page: `agent` takes them there and back.
    ///
    /// Nothing is asked of anybody if the sign-in could not be stored. Who was signed in before stays
    /// so until the new tokens are durable, and is then replaced, whoever refreshes meanwhile.
    ///
    /// # Errors
    /// What `agent` says; `Denied` if the person or the server refused; `Unavailable` if the server
    /// cannot be reached, where an uncertain one has to begin anew; `Config` if tokens or identity
    /// are another project's or signed by another key; `Protocol` if they are missing or have ended;
    /// `Store` if they cannot be stored.
    pub fn sign_in_with(
        &self,
        page: HostedPage,
        agent: impl BlockingUserAgent,
    ) -> Result<SignedIn, Error> {
        let shared = &*self.shared;
        let login = shared.common.begin(&page, agent.redirect_url())?;
        let cx = shared.common.context(self.key());
        let ready = flow::may_sign_in(&cx, shared.world.clock.now());
        drive(ready, &shared.world, |_| ())?;
        let code = agent.visit(&login)?;
        let _work = self.entry.work();
        let step = flow::login(&cx, login, code, shared.world.clock.now());
        let brought = drive(step, &shared.world, |_| ())?;
        self.sign_in(brought.tokens)?;
        Ok(SignedIn { identity: brought.identity, user: brought.user })
    }

    /// Who is signed in, as the stored tokens say: no network, and none of it verified anew.
    ///
    /// # Errors
    /// `SignInRequired` if nobody is; `Store` if the record cannot be read.
    pub fn signed_in_user(&self) -> Result<SignedInUser, Error> {
        let cx = self.shared.common.context(self.key());
        drive(flow::signed_in_user(cx, self.entry.memory()), &self.shared.world, |_| ())
    }

    /// Asks Cotter for the user with this email address, phone number or name; `None` is nobody.
    ///
    /// # Errors
    /// `Config` if the provider is not Cotter or does not know the project; `Unavailable` if it
    /// cannot be asked now.
    pub fn find_user(&self, identifier: &str) -> Result<Option<User>, Error> {
        let cx = self.shared.common.context(self.key());
        let step = flow::find_user(&cx, identifier, self.shared.world.clock.now());
        drive(step, &self.shared.world, |_| ())
    }

    /// Makes a user; signing in makes one as well, where there is none.
    ///
    /// # Errors
    /// `Denied` if there is one of that name; else as [`find_user`](Self::find_user).
    pub fn create_user(&self, identifier: &str) -> Result<User, Error> {
        let cx = self.shared.common.context(self.key());
        let step = flow::create_user(&cx, identifier, self.shared.world.clock.now());
        drive(step, &self.shared.world, |_| ())
    }
}
