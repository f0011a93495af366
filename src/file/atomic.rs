//! Output that is there whole or not at all.
//!
//! Bytes go to a temporary file in the target's own folder, are forced to the
//! disk, and the file is then renamed to its name: whoever looks at the name
//! sees the old contents or the new, never a half. On any error the temporary
//! file is removed.
//!
//! A signal ends a program without unwinding. So every unfinished temporary
//! file stands in a list, and [`remove_partial`], called by the signal
//! handler, removes them. Creating one, and renaming one, happen under the
//! list's lock: no moment exists at which a file is on disk and in neither
//! state. Files that are of use only together ([`Together`]) stay in the list
//! under their final names until the last one is there.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What happens to a file that already has the target's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It is replaced.
    Yes,
    /// It stays, and writing fails; also if it appears in the last moment.
    Never,
}

/// Who may read the new file (on Unix).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the umask allows: mode 0666 less the umask.
    Shared,
    /// Its owner only, from its first byte on: mode 0600.
    Private,
}

impl Mode {
    /// Private if the file at `path` is: for what gives away as much as it does.
    pub fn like(path: &Path) -> Mode {
        #[cfg(unix)]
        let private = fs::metadata(path).is_ok_and(|metadata| {
            std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 == 0
        });
        #[cfg(not(unix))]
        let private = {
            let _ = path;
            false
        };
        if private { Mode::Private } else { Mode::Shared }
    }
}

/// Why a file was not written; whatever had its name is untouched.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The name is taken, and what has it must not be lost.
    #[error("exists already and is not overwritten; choose another name or move it away")]
    Exists,
    /// The name is that of a folder.
    #[error("is a folder, expected a file name")]
    Folder,
    /// The folder is missing.
    #[error("its folder does not exist; create it first")]
    NoFolder,
    /// The name ends in `/`, `..` or nothing.
    #[error("is no file name")]
    NoName,
    /// No space, no permission, no disk.
    #[error("cannot write: {0}; nothing was changed")]
    Io(#[from] io::Error),
}

/// Temporary files that are not yet renamed, and files of sets that are not
/// complete.
static PARTIAL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn partial() -> MutexGuard<'static, Vec<PathBuf>> {
    // A thread that panicked here left the list as it was: still right.
    PARTIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps every other output of this process from beginning or completing.
#[must_use = "hold it until the process has ended: otherwise new output may begin"]
pub struct Held {
    _list: MutexGuard<'static, Vec<PathBuf>>,
}

/// Removes the temporary file of every output under way. For the signal
/// handler: `let _held = remove_partial(); exit(…)`.
pub fn remove_partial() -> Held {
    let mut list = partial();
    for path in list.drain(..) {
        // Nobody is left to tell; a file that is gone is what was wanted.
        let _ = fs::remove_file(path);
    }
    Held { _list: list }
}

/// Writes `bytes` to `path`, whole or not at all. They go to the file as they
/// are, through no buffer: they may be a secret key's.
///
/// # Errors
/// See [`WriteError`]; what had the name before is then unchanged.
pub fn write_atomic(
    path: &Path,
    bytes: &[u8],
    overwrite: Overwrite,
    mode: Mode,
) -> Result<(), WriteError> {
    write_then(path, overwrite, mode, |out| out.write_all(bytes), |_, _| {})
}

/// Writes what `fill` writes to `path`, whole or not at all. If `fill` fails,
/// nothing happened.
///
/// A name that stands for something other than a file (`/dev/null`, a named
/// pipe) is written to directly: there is nothing to replace.
///
/// # Errors
/// See [`WriteError`]; what had the name before is then unchanged.
pub fn write_atomic_with(
    path: &Path,
    overwrite: Overwrite,
    mode: Mode,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let buffered = |out: &mut dyn Write| {
        let mut out = BufWriter::new(out);
        fill(&mut out)?;
        out.flush()
    };
    write_then(path, overwrite, mode, buffered, |_, _| {})
}

/// As [`write_atomic_with`], unbuffered; `then` is called with the list and the file's
/// absolute name once it has that name, under the same lock.
fn write_then(
    path: &Path,
    overwrite: Overwrite,
    mode: Mode,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    then: impl FnOnce(&mut Vec<PathBuf>, PathBuf),
) -> Result<(), WriteError> {
    check_target(path, overwrite)?;
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let mut out = OpenOptions::new().write(true).open(path)?;
        fill(&mut out)?;
        return Ok(out.flush()?);
    }
    let target = resolved(path, overwrite);
    let folder = folder_of(&target);
    let temp = Temp::create(folder, mode)?;
    fill(&mut &temp.file)?;
    temp.file.sync_all()?;
    temp.rename(&target, overwrite, then)?;
    // The name is durable once its folder is; where a folder cannot be synced
    // the file is complete all the same.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// New files of which some without the others would be of no use, or in the
/// way. Those written are removed again unless the last one gets its name: on
/// drop, and on a signal by [`remove_partial`].
#[derive(Debug, Default)]
pub struct Together {
    written: Vec<PathBuf>,
}

impl Together {
    /// A set without files so far.
    pub fn new() -> Together {
        Together::default()
    }

    /// Writes a file of the set that is not its last, never over another.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write(&mut self, path: &Path, bytes: &[u8], mode: Mode) -> Result<(), WriteError> {
        let written = &mut self.written;
        write_then(
            path,
            Overwrite::Never,
            mode,
            |out| out.write_all(bytes),
            |list, absolute| {
                list.push(absolute.clone());
                written.push(absolute);
            },
        )
    }

    /// Writes the last file, never over another. In the moment in which it has
    /// its name, the set is complete and stays.
    ///
    /// # Errors
    /// See [`WriteError`]; the files before it are then removed.
    pub fn write_last(mut self, path: &Path, bytes: &[u8], mode: Mode) -> Result<(), WriteError> {
        let written = &mut self.written;
        write_then(
            path,
            Overwrite::Never,
            mode,
            |out| out.write_all(bytes),
            |list, _| {
                list.retain(|listed| !written.contains(listed));
                written.clear();
            },
        )
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        let mut list = partial();
        for path in self.written.drain(..) {
            list.retain(|listed| *listed != path);
            // What went wrong before is the error to report.
            let _ = fs::remove_file(path);
        }
    }
}

/// What can be known to be wrong with a target before the work for it begins:
/// taken though it must not be overwritten, a folder, in a folder that does
/// not exist.
///
/// # Errors
/// What [`write_atomic`] would say.
pub fn check_target(path: &Path, overwrite: Overwrite) -> Result<(), WriteError> {
    if path.is_dir() {
        return Err(WriteError::Folder);
    }
    if path.file_name().is_none() {
        return Err(WriteError::NoName);
    }
    if overwrite == Overwrite::Never && fs::symlink_metadata(path).is_ok() {
        return Err(WriteError::Exists);
    }
    if !folder_of(path).is_dir() {
        return Err(WriteError::NoFolder);
    }
    Ok(())
}

/// As [`check_target`], and tries whether the folder takes a new file: for work
/// so long that a failure at its end costs hours.
///
/// # Errors
/// What [`write_atomic`] would say.
pub fn check_writable(path: &Path, overwrite: Overwrite) -> Result<(), WriteError> {
    check_target(path, overwrite)?;
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        OpenOptions::new().write(true).open(path)?;
        return Ok(());
    }
    // Nothing to list: it has no name, or loses it at once.
    tempfile::tempfile_in(folder_of(&resolved(path, overwrite)))?;
    Ok(())
}

/// Through a symbolic link, the file that it names is replaced, not the link.
/// (Never: the name itself must be free.)
fn resolved(path: &Path, overwrite: Overwrite) -> PathBuf {
    match overwrite {
        Overwrite::Yes => fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()),
        Overwrite::Never => path.to_path_buf(),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A temporary file, listed for as long as it has its temporary name.
struct Temp {
    file: File,
    path: Option<tempfile::TempPath>,
}

impl Temp {
    fn create(folder: &Path, mode: Mode) -> io::Result<Temp> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".pdnn-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(match mode {
                Mode::Shared => 0o666,
                Mode::Private => 0o600,
            }));
        }
        #[cfg(not(unix))]
        let _ = mode;
        // An absolute path: the list must hold even if the working directory
        // changes.
        let folder = fs::canonicalize(folder)?;
        let mut list = partial();
        let (file, path) = builder.tempfile_in(folder)?.into_parts();
        list.push(path.to_path_buf());
        Ok(Temp {
            file,
            path: Some(path),
        })
    }

    /// Gives the file its final name.
    fn rename(
        mut self,
        target: &Path,
        overwrite: Overwrite,
        then: impl FnOnce(&mut Vec<PathBuf>, PathBuf),
    ) -> Result<(), WriteError> {
        let Some(path) = self.path.take() else {
            return Ok(());
        };
        // The temporary file has an absolute path, in the target's folder.
        let absolute = path.with_file_name(target.file_name().ok_or(WriteError::NoName)?);
        let mut list = partial();
        list.retain(|listed| *listed != *path);
        let renamed = match overwrite {
            Overwrite::Yes => path.persist(target),
            Overwrite::Never => path.persist_noclobber(target),
        };
        // On failure the error holds the path, whose drop removes the file.
        renamed.map_err(|failed| match failed.error.kind() {
            ErrorKind::AlreadyExists => WriteError::Exists,
            _ => WriteError::Io(failed.error),
        })?;
        then(&mut list, absolute);
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let mut list = partial();
            list.retain(|listed| *listed != *path);
            // Removes the file; still under the lock.
            drop(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"the old contents";

    /// A folder with a file `target` in it.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("target");
        fs::write(&target, OLD).expect("writable");
        (folder, target)
    }

    /// Names in a folder.
    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A disk with room for `left` more bytes.
    struct Full<'a> {
        out: &'a mut dyn Write,
        left: usize,
    }

    impl Write for Full<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            let count = self.out.write(&bytes[..bytes.len().min(self.left)])?;
            self.left -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.out.flush()
        }
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let (folder, target) = folder();
        write_atomic(&target, b"new", Overwrite::Yes, Mode::Shared).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(&folder), ["target"]);
    }

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let (folder, target) = folder();
        let error = write_atomic(&target, b"new", Overwrite::Never, Mode::Private);
        assert!(matches!(error, Err(WriteError::Exists)));
        assert_eq!(fs::read(&target).unwrap(), OLD);
        assert_eq!(names(&folder), ["target"]);
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_not_overwritten() {
        let (folder, _) = folder();
        let late = folder.path().join("late");
        let error = write_atomic_with(&late, Overwrite::Never, Mode::Private, |out| {
            fs::write(&late, OLD)?;
            out.write_all(b"new")
        });
        assert!(matches!(error, Err(WriteError::Exists)));
        assert_eq!(fs::read(&late).unwrap(), OLD);
        assert_eq!(names(&folder), ["late", "target"]);
    }

    #[test]
    fn of_many_that_race_one_wins() {
        let (folder, _) = folder();
        let path = folder.path().join("key");
        let wins = std::thread::scope(|scope| {
            let path = &path;
            let threads: Vec<_> = (0..8)
                .map(|i| {
                    scope.spawn(move || write_atomic(path, &[i], Overwrite::Never, Mode::Private))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .filter(Result::is_ok)
                .count()
        });
        assert_eq!(wins, 1);
        assert_eq!(names(&folder), ["key", "target"]);
    }

    #[test]
    fn a_full_disk_leaves_the_old_file() {
        for room in [0, 1, 10_000, 99_999] {
            let (folder, target) = folder();
            let error = write_atomic_with(&target, Overwrite::Yes, Mode::Shared, |out| {
                Full { out, left: room }.write_all(&[7; 100_000])
            });
            let Err(WriteError::Io(cause)) = error else {
                panic!("room for {room}: {error:?}");
            };
            assert_eq!(cause.kind(), ErrorKind::StorageFull);
            assert_eq!(fs::read(&target).unwrap(), OLD);
            assert_eq!(names(&folder), ["target"]);
        }
    }

    #[test]
    fn a_panic_leaves_the_old_file() {
        let (folder, target) = folder();
        let result = std::panic::catch_unwind(|| {
            write_atomic_with(&target, Overwrite::Yes, Mode::Shared, |out| {
                out.write_all(b"half")?;
                panic!("half way");
            })
        });
        assert!(result.is_err());
        assert_eq!(fs::read(&target).unwrap(), OLD);
        assert_eq!(names(&folder), ["target"]);
    }

    #[test]
    fn a_folder_or_a_missing_folder_as_the_target() {
        let (folder, target) = folder();
        let write = |path: &Path| write_atomic(path, b"new", Overwrite::Yes, Mode::Shared);
        assert!(matches!(write(folder.path()), Err(WriteError::Folder)));
        assert!(matches!(
            write(&folder.path().join("missing/file")),
            Err(WriteError::NoFolder)
        ));
        assert!(matches!(
            write(&target.join("file")),
            Err(WriteError::NoFolder)
        ));
        assert!(matches!(write(Path::new("")), Err(WriteError::NoName)));
        assert_eq!(names(&folder), ["target"]);
    }

    #[test]
    fn a_writable_target_is_left_as_it_is() {
        let (folder, target) = folder();
        check_writable(&target, Overwrite::Yes).unwrap();
        check_writable(&folder.path().join("new"), Overwrite::Never).unwrap();
        assert_eq!(fs::read(&target).unwrap(), OLD);
        assert_eq!(names(&folder), ["target"]);
        let missing = check_writable(&folder.path().join("missing/file"), Overwrite::Yes);
        assert!(matches!(missing, Err(WriteError::NoFolder)), "{missing:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_file_is_known_before_writing() {
        // Not even the superuser can make a file there.
        let refused = check_writable(Path::new("/proc/new"), Overwrite::Never);
        assert!(matches!(refused, Err(WriteError::Io(_))), "{refused:?}");
        check_writable(Path::new("/dev/null"), Overwrite::Yes).unwrap();
    }

    #[test]
    fn files_that_belong_together_stay_once_all_are_there() {
        let (folder, target) = folder();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let mut set = Together::new();
        set.write(&a, b"1", Mode::Private).unwrap();
        // The last one is refused: the first goes, what was there stays.
        let error = set.write_last(&target, b"2", Mode::Shared);
        assert!(matches!(error, Err(WriteError::Exists)));
        assert_eq!(names(&folder), ["target"]);
        let mut set = Together::new();
        set.write(&a, b"1", Mode::Private).unwrap();
        assert!(matches!(
            set.write(&target, b"2", Mode::Shared),
            Err(WriteError::Exists)
        ));
        drop(set);
        assert_eq!(names(&folder), ["target"]);
        let mut set = Together::new();
        set.write(&a, b"1", Mode::Private).unwrap();
        set.write_last(&b, b"2", Mode::Shared).unwrap();
        assert_eq!(names(&folder), ["a", "b", "target"]);
        let listed = partial();
        assert!(
            !listed
                .iter()
                .any(|path| path.ends_with("a") || path.ends_with("b"))
        );
        drop(listed);
        assert_eq!(fs::read(&target).unwrap(), OLD);
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, _) = folder();
        let key = folder.path().join("key");
        write_atomic(&key, b"secret", Overwrite::Never, Mode::Private).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&key), 0o600);
        let open = folder.path().join("open");
        write_atomic(&open, b"public", Overwrite::Never, Mode::Shared).unwrap();
        fs::write(folder.path().join("plain"), b"").unwrap();
        assert_eq!(mode(&open), mode(&folder.path().join("plain")));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_file_is_replaced() {
        let (folder, target) = folder();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("target", &link).unwrap();
        write_atomic(&link, b"new", Overwrite::Yes, Mode::Shared).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        let error = write_atomic(&link, b"newer", Overwrite::Never, Mode::Shared);
        assert!(matches!(error, Err(WriteError::Exists)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_stays() {
        use std::os::unix::fs::FileTypeExt;
        let null = Path::new("/dev/null");
        write_atomic(null, b"new", Overwrite::Yes, Mode::Shared).unwrap();
        assert!(fs::metadata(null).unwrap().file_type().is_char_device());
        let full = write_atomic(Path::new("/dev/full"), b"new", Overwrite::Yes, Mode::Shared);
        assert!(matches!(full, Err(WriteError::Io(_))), "{full:?}");
    }
}
