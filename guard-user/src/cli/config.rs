use std::path::Path;

use super::exit::Failure;
use super::{Output, text};
use crate::config::Config;

/// Check or show the configuration
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Read the configuration and say whether it can be used
    Check,
    /// Show the configuration as it is put together
    Show {
        /// Show which file each setting comes from
        #[arg(long)]
        origin: bool,
    },
}

pub fn run(verb: &Verb) -> Result<Output, Failure> {
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
        Verb::Show { origin: false } => config.to_string(),
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
