//! Secrets on a laptop: a variable of the process, or a file that nobody else can read.

use std::{
    collections::HashMap,
    ffi::OsString,
    io::ErrorKind as IoError,
    os::unix::{ffi::OsStringExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use millstream_ports::{ErrorKind, PortError, PortResult, Secret, SecretName, Secrets};
use tokio::{fs::File, io::AsyncReadExt};

/// What the variables of secrets begin with; the rest is the name in capitals, with `_` for `-`.
pub(crate) const VARIABLE_PREFIX: &str = "MILLSTREAM_SECRET_";

/// The permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// [`Secrets`] from `MILLSTREAM_SECRET_NAME`, else from the file `NAME` of a folder.
///
/// A file must be its owner's alone (`chmod 600`). One newline at its end is not part of the secret: editors and `echo`
/// leave it there. Files are read at each use; variables as they were when the process started.
#[derive(Debug, Clone)]
pub struct EnvSecrets {
    variables: HashMap<String, Secret>,
    folder: PathBuf,
}

impl EnvSecrets {
    /// The secrets among these variables, and those in `folder`.
    #[must_use]
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>, folder: impl Into<PathBuf>) -> Self {
        let variables = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(VARIABLE_PREFIX))?;
            Some((name, Secret::new(value.into_vec())))
        });
        Self { variables: variables.collect(), folder: folder.into() }
    }

    /// The process's own: its variables, and the folder `secrets` of its data.
    #[must_use]
    pub fn of_process(data_dir: &Path) -> Self {
        Self::new(std::env::vars_os(), data_dir.join("secrets"))
    }

    async fn read(&self, name: &SecretName) -> PortResult<Secret> {
        let path = self.folder.join(name.as_str());
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            let (kind, message) = match error.kind() {
                IoError::NotFound => (
                    ErrorKind::NotFound,
                    format!("there is no secret {name}: set {} or write it into {shown} (mode 600)", variable_of(name)),
                ),
                IoError::PermissionDenied => (ErrorKind::Denied, format!("the secret {name} cannot be read: {shown}")),
                _ => (ErrorKind::Unavailable, format!("the secret {name} cannot be read: {shown}")),
            };
            PortError::new(kind, message).caused_by(error)
        };
        let mut file = File::open(&path).await.map_err(unreadable)?;
        // Of the file that is open, not of what its path leads to by now.
        let mode = file.metadata().await.map_err(unreadable)?.permissions().mode();
        if mode & OTHERS != 0 {
            return Err(PortError::new(
                ErrorKind::Denied,
                format!("others than its owner may use the secret {name}: run `chmod 600 {shown}`"),
            ));
        }
        let mut value = Vec::new();
        file.read_to_end(&mut value).await.map_err(unreadable)?;
        if value.last() == Some(&b'\n') {
            value.pop();
        }
        Ok(Secret::new(value))
    }
}

#[async_trait]
impl Secrets for EnvSecrets {
    async fn get(&self, name: &SecretName) -> PortResult<Secret> {
        match self.variables.get(&variable_of(name)) {
            Some(secret) => Ok(secret.clone()),
            None => self.read(name).await,
        }
    }
}

fn variable_of(name: &SecretName) -> String {
    format!("{VARIABLE_PREFIX}{}", name.as_str().to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::OpenOptionsExt};

    use millstream_ports::contracts::{self, SecretsPeer};

    use super::*;

    struct Folder {
        folder: tempfile::TempDir,
        secrets: EnvSecrets,
    }

    fn folder(variables: &[(&str, &str)]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let secrets = EnvSecrets::new(variables, folder.path());
        Folder { folder, secrets }
    }

    #[async_trait]
    impl SecretsPeer for Folder {
        fn secrets(&self) -> &dyn Secrets {
            &self.secrets
        }

        async fn put(&self, name: &SecretName, value: &[u8]) {
            let path = self.folder.path().join(name.as_str());
            let mut file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
            file.write_all(&[value, b"\n"].concat()).unwrap();
        }
    }

    #[tokio::test]
    async fn secrets_in_files_keep_the_contract() {
        contracts::secrets(&folder(&[])).await;
    }

    #[tokio::test]
    async fn a_variable_wins_over_a_file_and_is_not_printed() {
        let folder = folder(&[("MILLSTREAM_SECRET_CRM_PASSWORD", "from the variable"), ("PATH", "/bin")]);
        let name: SecretName = "crm-password".parse().unwrap();
        folder.put(&name, b"from the file").await;
        assert_eq!(folder.secrets.get(&name).await.unwrap().expose(), b"from the variable");
        let printed = format!("{:?}", folder.secrets);
        assert!(!printed.contains("from the variable") && !printed.contains("/bin"), "{printed}");
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_refused_with_the_way_to_mend_it() {
        let folder = folder(&[]);
        let name: SecretName = "crm".parse().unwrap();
        folder.put(&name, b"value").await;
        let path = folder.folder.path().join("crm");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = folder.secrets.get(&name).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied);
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(folder.secrets.get(&name).await.unwrap().expose(), b"value");
    }
}
