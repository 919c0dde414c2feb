mod attempts;
pub(crate) mod google;
mod login;
mod logout;
mod networks;
mod password_reset;
mod refresh;
mod register;
mod verify_email;
