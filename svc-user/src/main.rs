//! The process of svc-user.

fn main() -> std::process::ExitCode {
    nats::service::main(svc_user::service())
}
