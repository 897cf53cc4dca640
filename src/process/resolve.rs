//! Finds a program once, so that no start has to search.
//!
//! Starting by absolute path keeps `Command` on `posix_spawn`: a bare name together with a changed `PATH` makes it fork,
//! which costs tens of milliseconds in a large process. The rules are those of `execvp`, with relative places taken from
//! the handler's working directory, not from ours.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::start_error::StartError;

/// The absolute path of a program: a name without a slash is looked up in `path`, a relative path is taken from `cwd`.
///
/// # Errors
/// [`StartError::Missing`] and [`StartError::NotExecutable`].
pub fn resolve(program: &OsStr, path: &OsStr, cwd: &Path) -> Result<PathBuf, StartError> {
    let is_relative = program.as_bytes().contains(&b'/') && !program.as_bytes().starts_with(b"/");
    let missing = |searched: Option<&OsStr>| StartError::Missing {
        program: program.to_owned(),
        searched: searched.map(ToOwned::to_owned),
        from: is_relative.then(|| cwd.to_owned()),
    };
    if program.is_empty() {
        return Err(missing(None));
    }
    if program.as_bytes().contains(&b'/') {
        let file = cwd.join(program);
        return match look(&file) {
            Found::Program => Ok(file),
            Found::NotExecutable => Err(StartError::NotExecutable { program: file }),
            Found::Nothing => Err(missing(None)),
        };
    }
    let mut not_executable = None;
    // An empty entry means the working directory, as it does for a shell.
    for folder in path.as_bytes().split(|&byte| byte == b':') {
        let file = cwd.join(OsStr::from_bytes(folder)).join(program);
        match look(&file) {
            Found::Program => return Ok(file),
            Found::NotExecutable => {
                not_executable.get_or_insert(file);
            }
            Found::Nothing => {}
        }
    }
    Err(not_executable.map_or_else(|| missing(Some(path)), |program| StartError::NotExecutable { program }))
}

enum Found {
    Program,
    NotExecutable,
    Nothing,
}

fn look(file: &Path) -> Found {
    match file.metadata() {
        Ok(meta) if meta.is_file() && access(file, Access::EXEC_OK).is_ok() => Found::Program,
        Ok(_) => Found::NotExecutable,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Found::NotExecutable,
        Err(_) => Found::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(folder: &Path, name: &str, mode: u32) -> PathBuf {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_bare_name_is_the_first_executable_of_that_name_in_path() {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "a/tool", 0o644);
        let tool = file(dir.path(), "b/tool", 0o755);
        file(dir.path(), "c/tool", 0o755);
        std::fs::create_dir_all(dir.path().join("d/tool")).unwrap();
        let path = |text: &str| text.replace('@', dir.path().to_str().unwrap());
        let find = |text: &str| resolve(OsStr::new("tool"), OsStr::new(&path(text)), dir.path());
        assert_eq!(find("@/none:@/a:@/b:@/c"), Ok(tool.clone()));
        assert_eq!(find("b"), Ok(tool), "relative entries begin at the working directory");
        assert_eq!(find("@/a"), Err(StartError::NotExecutable { program: dir.path().join("a/tool") }));
        assert_eq!(find("@/d"), Err(StartError::NotExecutable { program: dir.path().join("d/tool") }));
        let nowhere = find("/none:").unwrap_err();
        assert!(matches!(nowhere, StartError::Missing { searched: Some(_), .. }));
        assert!(nowhere.to_string().contains("/none:"), "{nowhere}");
    }

    #[test]
    fn a_path_is_taken_from_the_working_directory() {
        let dir = tempfile::tempdir().unwrap();
        let tool = file(dir.path(), "bin/tool", 0o755);
        let find = |program: &str| resolve(OsStr::new(program), OsStr::new("/bin"), dir.path());
        assert_eq!(find("bin/tool"), Ok(tool.clone()));
        assert_eq!(find(tool.to_str().unwrap()), Ok(tool));
        let missing =
            |program: &str, from| StartError::Missing { program: program.into(), searched: None, from };
        let relative = missing("./sh", Some(dir.path().to_owned()));
        assert!(relative.to_string().contains(dir.path().to_str().unwrap()), "{relative}");
        assert_eq!(find("./sh"), Err(relative));
        assert_eq!(find("/no/sh"), Err(missing("/no/sh", None)));
        assert_eq!(find(""), Err(missing("", None)));
    }
}
