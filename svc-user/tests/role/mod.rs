//! Roles: what they let do is data, and nobody gives or takes what they do not hold themselves.

mod assign;
mod create;
mod delete;
mod list;
mod rights;
mod update;

use nats::{contracts::user::GrantRole, identity::Role};
use serde_json::{Value, json};
use stack::{Bed, bed::Client};

use crate::{PASSWORD, login, register, signed_in};

const ROLES: &str = "/v1/roles";

/// Somebody who registers, is given this role by the operator, and signs in.
async fn somebody_with(bed: &Bed, email: &str, role: Role) -> Client {
    register(bed, email).await;
    bed.call(&GrantRole { email: email.parse().unwrap(), role }).await.expect("granted");
    signed_in(bed, &login(bed, email, PASSWORD).await).await
}

async fn admin(bed: &Bed) -> Client {
    somebody_with(bed, "root@example.com", Role::ADMIN).await
}

fn new_role(name: &str, permissions: &[&str]) -> Value {
    json!({"name": name, "description": "For this test.", "permissions": permissions})
}

/// Makes a role.
async fn role(by: &Client, name: &str, permissions: &[&str]) -> Role {
    let made = by.post(ROLES, &new_role(name, permissions)).send().await;
    assert_eq!(made.status, 201, "{made}");
    name.parse().unwrap()
}

/// Somebody who runs the desk where roles are given: they may do that, and what the returns desk does.
async fn clerk(bed: &Bed, admin: &Client) -> Client {
    let desk = role(admin, "desk", &["roles:read", "roles:write", "orders:read", "orders:refund"]).await;
    somebody_with(bed, "clerk@example.com", desk).await
}
