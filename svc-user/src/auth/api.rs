//! Registering, signing in, going on, signing out; what one does with links of mails.

use nats::{
    http::{Body, CONCERNS, Created, NoContent},
    identity::User,
    problem::Problem,
    types::UserId,
};
use poem::web::Data;
use poem_openapi::{ApiResponse, OpenApi, Tags, payload::Response};

use super::{
    TokenAnswer,
    confirm_password_reset::{self, PasswordReset},
    login::{self, Credentials},
    logout,
    refresh::{self, Refresh},
    register::{self, Registration},
    request_password_reset::{self, PasswordResetRequest},
    resend_verification,
    verify_email::{self, EmailVerification},
};
use crate::{Users, session::device::Device};

#[derive(Tags)]
enum Tag {
    /// Accounts and tokens.
    Authentication,
}

/// A mail that is to be sent.
#[derive(ApiResponse)]
enum Mailed {
    /// It is on its way, if it has somewhere to go.
    #[oai(status = 202)]
    Accepted,
}

/// The endpoints of signing in.
pub struct AuthApi;

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl AuthApi {
    /// Register
    ///
    /// Makes an account and signs in. An e-mail address that is taken, in whatever case, is a `conflict` at `/email`.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        Data(users): Data<&Users>,
        device: Device,
        Body(registration): Body<Registration>,
    ) -> Result<Response<Created<TokenAnswer>>, Problem> {
        let answer = register::register(users, registration, &device).await?;
        Ok(unstored(answer.user_id(), Created::new("/v1/users/me", answer)))
    }

    /// Sign in
    ///
    /// Opens a session. It lasts 30 days, and ends after 7 days without use. After a wrong password there is a pause for
    /// that e-mail address, at the network that it came from: a second, and after each further one twice as long, up to a
    /// quarter of an hour. Many of them with one e-mail address or from one network make everyone else pause as well who has
    /// not signed in from there before. Attempts during a pause are `too_many_requests`, and do not count. Which of the two is wrong is not said: it is `bad_credentials`.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        Data(users): Data<&Users>,
        device: Device,
        Body(credentials): Body<Credentials>,
    ) -> Result<Response<Body<TokenAnswer>>, Problem> {
        let answer = login::login(users, credentials, &device).await?;
        Ok(unstored(answer.user_id(), Body(answer)))
    }

    /// Get the next tokens
    ///
    /// A refresh token works once. For ten seconds, and as long as the one that it brought was not used, it brings that one
    /// again, for clients that did not get the answer. Otherwise one that comes a second time ends its session, and is
    /// `unauthenticated`: sign in again then.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        Data(users): Data<&Users>,
        Body(refresh): Body<Refresh>,
    ) -> Result<Response<Body<TokenAnswer>>, Problem> {
        let answer = refresh::refresh(users, refresh).await?;
        Ok(unstored(answer.user_id(), Body(answer)))
    }

    /// Sign out
    ///
    /// Ends the session. Its refresh token is worthless at once, its access token within a second.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, Data(users): Data<&Users>, User(identity): User) -> Result<NoContent, Problem> {
        logout::logout(users, &identity).await?;
        Ok(NoContent)
    }

    /// Ask for a link to set a new password
    ///
    /// It is sent by mail to an address that has an account, and works once, for an hour. The answer does not tell whether
    /// there is one. Asked again too soon, nothing more is sent.
    #[oai(path = "/password-reset", method = "post", operation_id = "request_password_reset")]
    async fn request_password_reset(
        &self,
        Data(users): Data<&Users>,
        Body(request): Body<PasswordResetRequest>,
    ) -> Result<Mailed, Problem> {
        request_password_reset::request_password_reset(users, request).await?;
        Ok(Mailed::Accepted)
    }

    /// Set a new password with the link of a mail
    ///
    /// Every session ends: sign in with the new password. A link that is worthless is an `invalid_request` at `/token`.
    #[oai(path = "/password-reset/confirm", method = "post", operation_id = "confirm_password_reset")]
    async fn confirm_password_reset(
        &self,
        Data(users): Data<&Users>,
        Body(reset): Body<PasswordReset>,
    ) -> Result<Response<NoContent>, Problem> {
        let whose = confirm_password_reset::confirm_password_reset(users, reset).await?;
        Ok(Response::new(NoContent).header(CONCERNS, whose.to_string()))
    }

    /// Verify one's e-mail address with the link of a mail
    ///
    /// Whoever registers is sent one; it works once, for a day. A link that is worthless is an `invalid_request` at `/token`.
    #[oai(path = "/verify-email", method = "post", operation_id = "verify_email")]
    async fn verify_email(
        &self,
        Data(users): Data<&Users>,
        Body(verification): Body<EmailVerification>,
    ) -> Result<NoContent, Problem> {
        verify_email::verify_email(users, verification).await?;
        Ok(NoContent)
    }

    /// Ask for another link to verify one's e-mail address
    ///
    /// It ends the one before. After each there is a pause, which grows. An address that is verified is a `conflict`, a
    /// person who is gone is `not_found`.
    #[oai(path = "/verify-email/resend", method = "post", operation_id = "resend_verification")]
    async fn resend_verification(&self, Data(users): Data<&Users>, User(identity): User) -> Result<Mailed, Problem> {
        resend_verification::resend_verification(users, identity.user).await?;
        Ok(Mailed::Accepted)
    }
}

/// Tokens stay out of caches (RFC 6749, 5.1). Whose they are is for the audit trail.
pub(super) fn unstored<T>(whose: UserId, answer: T) -> Response<T> {
    Response::new(answer).header("Cache-Control", "no-store").header(CONCERNS, whose.to_string())
}
