mod change_password;
mod details;
mod grant_role;
mod list;
mod me;
