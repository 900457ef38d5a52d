use std::path::Path;

use super::exit::{Failure, unexpected};
use super::{Output, text};
use crate::config::Config;
use crate::control::{Answer, Request, ask};

/// Check or show the configuration
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Read the configuration and say whether it can be used
    Check,
    /// Have the controller read it again, and accept it also where it guards less
    ///
    /// On a host that is armed or held, `systemctl reload dbguard` accepts what guards at least as
    /// much as before; anything else needs this, by hand. Recorded with who asked.
    Apply {
        /// Name of this host, as `uname -n` prints it
        #[arg(long, value_name = "NAME")]
        confirm_host: String,
    },
    /// Show the configuration as it is put together
    Show {
        /// Show which file each setting comes from
        #[arg(long)]
        origin: bool,
    },
}

pub fn run(verb: &Verb) -> Result<Output, Failure> {
    if let Verb::Apply { confirm_host } = verb {
        let confirm_host = confirm_host.clone();
        return match ask(&Request::ApplyConfig { confirm_host })? {
            Answer::Done(text) => Ok(Output::ok(text + "\n")),
            other => Err(unexpected(other)),
        };
    }
    let config = Config::read(Path::new("/"))?;
    Ok(Output::ok(match verb {
        Verb::Check => {
            let files = config.files();
            if files.is_empty() {
                format!(
                    "no settings; built-in defaults hold: mode {}\n",
                    config.modes()
                )
            } else {
                let files: Vec<_> = files
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect();
                format!("good: mode {}, from {}\n", config.modes(), files.join(", "))
            }
        }
        // Answered above.
        Verb::Apply { .. } | Verb::Show { origin: false } => config.to_string(),
        Verb::Show { origin: true } => {
            let rows: Vec<Vec<String>> = config
                .origins
                .iter()
                .map(|origin| {
                    vec![
                        format!("{} = {}", origin.key, origin.value),
                        format!("# {}", origin.file.display()),
                    ]
                })
                .collect();
            text::columns(&rows, "")
        }
    }))
}
