//! `client URL`: fetches the URL with reqwest and prints the body; of any answer but a success it prints status and body on standard
//! error and ends with 1. Proxy and trust come from the environment alone.

use std::{env, error::Error, io::Write, process::ExitCode};

fn fetch(url: &str) -> Result<ExitCode, Box<dyn Error>> {
    let response = reqwest::blocking::get(url)?;
    let (version, status, body) = (response.version(), response.status(), response.bytes()?);
    if status.is_success() {
        std::io::stdout().write_all(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{version:?} {status} {}", String::from_utf8_lossy(&body));
    Ok(ExitCode::FAILURE)
}

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().expect("the first provider");
    let url = env::args().nth(1).expect("client URL");
    fetch(&url).unwrap_or_else(|error| {
        // What reqwest says of itself leaves out why.
        let mut cause: Option<&dyn Error> = Some(error.as_ref());
        while let Some(error) = cause {
            eprintln!("{error}");
            cause = error.source();
        }
        ExitCode::FAILURE
    })
}
