mod end;
mod list;

const SESSIONS: &str = "/v1/sessions";
