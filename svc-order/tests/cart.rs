mod edit;
mod get;
mod guest;
