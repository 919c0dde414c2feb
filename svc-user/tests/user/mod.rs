mod details;
mod grant_role;
mod list;
mod me;
