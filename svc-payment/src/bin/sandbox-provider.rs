//! The process of the sandbox provider.

fn main() -> std::process::ExitCode {
    svc_payment::sandbox::main()
}
