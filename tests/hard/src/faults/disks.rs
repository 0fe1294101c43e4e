//! Disks that are full indeed: small file systems in memory.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::shim::Fault;
use super::trial::{Bench, Ended};
use crate::table::Row;

/// Room enough for every job, in KiB.
const ROOM_KIB: u64 = 65_536;

/// A mounted file system; let go when dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).output();
    }
}

/// Runs a job on file systems of growing size and number of files, gives each room after it failed, and runs it again.
pub(super) fn full_disks(bench: &Bench<'_>, most: Option<usize>) -> Result<Row> {
    let name = bench.job.name;
    let mut row = Row { what: format!("{name}: small disks"), bad_is: "half files".into(), ..Row::default() };
    // Every power of two, or three of them.
    let powers: Vec<u32> = if most.is_some() { vec![1, 4, 7] } else { (0..=10).collect() };
    let mut options: Vec<String> = powers.iter().map(|n| format!("size={}k", 8 << n)).collect();
    options.extend(powers.iter().map(|n| format!("size={ROOM_KIB}k,nr_inodes={}", 3 + (1 << n))));
    let mut n_refused = 0;
    for option in options {
        bench.clear()?;
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(&bench.place).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            row.notes.push("skipped: file systems can be mounted by root alone".into());
            return Ok(row);
        }
        let _mounted = Mounted(&bench.place);
        // A checkpoint that a program unpacks needs room there too.
        let _ = fs_err::create_dir(bench.place.join("tmp"));
        let ended: Ended = bench.faulty(Fault::NONE, false, None).output()?.into();
        row.tried += 1;
        n_refused += u64::from(ended.code == Some(1));
        let mut wrong = bench.half_files()?;
        if ended.is_rough() {
            wrong.push(format!("ends with {:?}: {}", ended.code, ended.last_line()));
        }
        let room = format!("remount,size={ROOM_KIB}k,nr_inodes=100000");
        Command::new("mount").args(["-o", &room]).arg(&bench.place).output()?;
        fs_err::create_dir_all(bench.place.join("tmp"))?;
        wrong.extend(bench.complete()?);
        if !wrong.is_empty() {
            row.bad += 1;
            row.notes.push(format!("{option}: {}", wrong.join(", ")));
        }
    }
    row.notes.push(format!("{n_refused} were too small"));
    Ok(row)
}
