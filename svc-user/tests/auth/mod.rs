mod attempts;
mod login;
mod logout;
mod password_reset;
mod refresh;
mod register;
mod verify_email;
