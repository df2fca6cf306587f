//! Trusted devices; asynchronously.

use core::time::Duration;
use std::sync::Arc;

use cotter_core::device::{Device, DeviceEvent, Ed25519, Forgotten, Standing};
use cotter_core::{Error, Now, Step, flow};

use crate::drive::drive;
use crate::session::Session;
use crate::world::runtime;

/// This machine as a trusted device of the session's user: it signs in without asking them, and answers
/// for their other machines.
///
/// Its key rests in the session's store, sealed as the tokens are, and survives a sign-out.
#[derive(Clone, Debug)]
pub struct TrustedDevice {
    session: Session,
    by: Arc<dyn Ed25519>,
}

impl Session {
    /// This machine as a trusted device; `cotter-device` has a signer.
    #[must_use]
    pub fn trusted_device(&self, by: impl Ed25519 + 'static) -> TrustedDevice {
        TrustedDevice { session: self.clone(), by: Arc::new(by) }
    }

    /// Asks the user's trusted devices to sign this machine in, and waits for their answer.
    ///
    /// The user's id is that of [`find_user`](Self::find_user).
    ///
    /// # Errors
    /// `Denied` if a device says no; `Unavailable` if none has answered when `patience` has passed; else
    /// as a sign-in with tokens.
    pub async fn request_approval(&self, user_id: &str, patience: Duration) -> Result<(), Error> {
        runtime()?;
        let cx = self.shared.common.context(self.key());
        let now = self.shared.world.clock.now();
        let step = flow::request_approval(&cx, user_id.to_owned(), patience, now);
        let tokens = drive(step, &self.shared.world, |_| ()).await?;
        self.sign_in(tokens).await
    }
}

impl TrustedDevice {
    /// Makes this machine a trusted device of whoever is signed in; `name` is what they will know it by.
    ///
    /// The key is stored before the server hears of it. If this is cut off or its answer lost, call it
    /// again: it goes on with the same key.
    ///
    /// # Errors
    /// `SignInRequired` if nobody is signed in; `Config` if the key that is kept is another user's;
    /// `Store` if a key cannot be kept; `Denied` and `Unavailable` as the server answers.
    pub async fn enroll(&self, name: &str) -> Result<Device, Error> {
        let user = self.session.signed_in_user().await?;
        let user = user.id.ok_or_else(|| Error::config("the stored tokens name no user"))?;
        let enrolment = self.session.shared.common.enrolment(user, name)?;
        self.run(move |cx, by, now| flow::enroll_device(cx, by, enrolment, now)).await
    }

    /// The device as it is kept here, without the network; `None` where this machine has no key.
    ///
    /// # Errors
    /// `Store` if the store cannot say.
    pub async fn find(&self) -> Result<Option<Device>, Error> {
        self.run(flow::device).await
    }

    /// Asks the server what it knows of this machine's key.
    ///
    /// # Errors
    /// `Store` if the store cannot say; `Unavailable` if the server cannot be asked.
    pub async fn standing(&self) -> Result<Standing, Error> {
        self.run(flow::device_standing).await
    }

    /// Signs the device's user in, by the key alone.
    ///
    /// # Errors
    /// `Config` if this machine is no enrolled device; `Denied` if the server does not take its key any
    /// more; else as a sign-in with tokens.
    pub async fn sign_in(&self) -> Result<(), Error> {
        let this = self.clone();
        // Tokens that were granted are stored, also when nobody waits any more.
        self.session
            .detached(async move {
                let tokens = this.run(flow::sign_in_by_device).await?;
                this.session.sign_in(tokens).await
            })
            .await
    }

    /// What waits for the answer of one of the user's devices.
    ///
    /// # Errors
    /// `Config` if this machine has no key; `Unavailable` if the server cannot be asked.
    pub async fn pending(&self) -> Result<Option<DeviceEvent>, Error> {
        let device = self.find().await?;
        let device = device.ok_or_else(|| Error::config("this machine is no trusted device"))?;
        self.run(move |cx, _, now| flow::pending_approval(cx, &device.user_id, now)).await
    }

    /// Lets in who is [waiting](Self::pending): show the event to the user before.
    ///
    /// # Errors
    /// `Config` if this machine is no enrolled device of the event's user; `Denied` if the server does not
    /// take the answer.
    pub async fn approve(&self, event: DeviceEvent) -> Result<(), Error> {
        self.run(move |cx, by, now| flow::approve(cx, by, event, now)).await
    }

    /// Turns away who is [waiting](Self::pending).
    ///
    /// # Errors
    /// As [`approve`](Self::approve).
    pub async fn refuse(&self, event: DeviceEvent) -> Result<(), Error> {
        self.run(move |cx, by, now| flow::refuse(cx, by, event, now)).await
    }

    /// Forgets the key: at the server if it can be reached, here in any case.
    ///
    /// # Errors
    /// `Store` if the key cannot be removed.
    pub async fn forget(&self) -> Result<Forgotten, Error> {
        self.run(flow::forget_device).await
    }

    async fn run<T: 'static>(
        &self,
        flow: impl FnOnce(&flow::Context, Arc<dyn Ed25519>, Now) -> Step<Result<T, Error>>,
    ) -> Result<T, Error> {
        runtime()?;
        let shared = &self.session.shared;
        let cx = shared.common.context(self.session.key());
        let step = flow(&cx, Arc::clone(&self.by), shared.world.clock.now());
        drive(step, &shared.world, |_| ()).await
    }
}
