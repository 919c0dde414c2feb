//! The gateway's process.

fn main() -> std::process::ExitCode {
    nats::service::process(&openapi::manifest(), openapi::Gateway::start, openapi::Gateway::stop)
}
