mod edit;
mod get;
