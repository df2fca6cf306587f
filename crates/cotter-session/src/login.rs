//! Signing in by Cotter's hosted page, and users; asynchronously.

use cotter_core::Error;
use cotter_core::flow;
use cotter_core::login::{
    AuthorizationCode, HostedPage, PendingLogin, SignedInUser, User, UserAgent,
};

use crate::drive::drive;
use crate::session::Session;
use crate::settings::SignedIn;
use crate::world::runtime;

impl Session {
    /// Signs a person in by Cotter's hosted page: `agent` takes them there and back.
    ///
    /// Nothing is asked of anybody if the sign-in could not be stored. Until the page has come back,
    /// dropping the future gives the login up; from then on it runs to its end on the runtime. Who
    /// was signed in before stays so until the new tokens are durable, and is then replaced, whoever
    /// refreshes meanwhile.
    ///
    /// # Errors
    /// What `agent` says; `Denied` if the person or the server refused; `Unavailable` if the server
    /// cannot be reached, where an uncertain one has to begin anew; `Config` if tokens or identity
    /// are another project's or signed by another key; `Protocol` if they are missing or have ended;
    /// `Store` if they cannot be stored.
    pub async fn sign_in_with(
        &self,
        page: HostedPage,
        agent: impl UserAgent,
    ) -> Result<SignedIn, Error> {
        runtime()?;
        let login = self.shared.common.begin(&page, agent.redirect_url())?;
        let cx = self.shared.common.context(self.key());
        let ready = flow::may_sign_in(&cx, self.shared.world.clock.now());
        drive(ready, &self.shared.world, |_| ()).await?;
        let code = agent.visit(&login).await?;
        let this = self.clone();
        self.detached(async move { this.finish(login, code).await }).await
    }

    async fn finish(self, login: PendingLogin, code: AuthorizationCode) -> Result<SignedIn, Error> {
        let cx = self.shared.common.context(self.key());
        let step = flow::login(&cx, login, code, self.shared.world.clock.now());
        let brought = drive(step, &self.shared.world, |_| ()).await?;
        self.sign_in_here(brought.tokens).await?;
        Ok(SignedIn { identity: brought.identity, user: brought.user })
    }

    /// Who is signed in, as the stored tokens say: no network, and none of it verified anew.
    ///
    /// # Errors
    /// `SignInRequired` if nobody is; `Store` if the record cannot be read.
    pub async fn signed_in_user(&self) -> Result<SignedInUser, Error> {
        runtime()?;
        let cx = self.shared.common.context(self.key());
        let step = flow::signed_in_user(cx, self.entry.memory());
        drive(step, &self.shared.world, |_| ()).await
    }

    /// Asks Cotter for the user with this email address, phone number or name; `None` is nobody.
    ///
    /// # Errors
    /// `Config` if the provider is not Cotter or does not know the project; `Unavailable` if it
    /// cannot be asked now.
    pub async fn find_user(&self, identifier: &str) -> Result<Option<User>, Error> {
        runtime()?;
        let cx = self.shared.common.context(self.key());
        let step = flow::find_user(&cx, identifier, self.shared.world.clock.now());
        drive(step, &self.shared.world, |_| ()).await
    }

    /// Makes a user; signing in makes one as well, where there is none.
    ///
    /// # Errors
    /// `Denied` if there is one of that name; else as [`find_user`](Self::find_user).
    pub async fn create_user(&self, identifier: &str) -> Result<User, Error> {
        runtime()?;
        let cx = self.shared.common.context(self.key());
        let step = flow::create_user(&cx, identifier, self.shared.world.clock.now());
        drive(step, &self.shared.world, |_| ()).await
    }
}
