//! Registering, signing in, going on, signing out.

use nats::{
    http::{Body, Created, NoContent},
    identity::User,
    problem::Problem,
};
use poem::web::Data;
use poem_openapi::{OpenApi, Tags, payload::Response};

use super::{
    TokenAnswer,
    login::{self, Credentials},
    logout,
    refresh::{self, Refresh},
    register::{self, Registration},
};
use crate::Users;

#[derive(Tags)]
enum Tag {
    /// Accounts and tokens.
    Authentication,
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
        Body(registration): Body<Registration>,
    ) -> Result<Response<Created<TokenAnswer>>, Problem> {
        let answer = register::register(users, registration).await?;
        Ok(unstored(Created::new("/v1/users/me", answer)))
    }

    /// Sign in
    ///
    /// Opens a session. It lasts 30 days, and ends after 7 days without use.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        Data(users): Data<&Users>,
        Body(credentials): Body<Credentials>,
    ) -> Result<Response<Body<TokenAnswer>>, Problem> {
        Ok(unstored(Body(login::login(users, credentials).await?)))
    }

    /// Get the next tokens
    ///
    /// A refresh token works once. One that comes a second time ends its session: sign in again then.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        Data(users): Data<&Users>,
        Body(refresh): Body<Refresh>,
    ) -> Result<Response<Body<TokenAnswer>>, Problem> {
        Ok(unstored(Body(refresh::refresh(users, refresh).await?)))
    }

    /// Sign out
    ///
    /// Ends the session. Its refresh token is worthless at once, its access token when it expires.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, Data(users): Data<&Users>, User(identity): User) -> Result<NoContent, Problem> {
        logout::logout(users, &identity).await?;
        Ok(NoContent)
    }
}

/// Tokens stay out of caches (RFC 6749, 5.1).
fn unstored<T>(answer: T) -> Response<T> {
    Response::new(answer).header("Cache-Control", "no-store")
}
