//! Whether an MPI launcher started this process.

/// Set for each process by Open MPI's `mpirun`, by PMIx (`srun --mpi=pmix`), and by PMI (MPICH's and
/// Intel's `mpiexec`, `srun --mpi=pmi2`).
const VARIABLES: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD"];

/// Whether `mpirun`, `mpiexec` or `srun` started this process as a rank.
///
/// Without a launcher Open MPI would start a daemon of its own for the one process.
#[must_use]
pub fn is_launched() -> bool {
    is_launched_by(|name| std::env::var_os(name).is_some())
}

fn is_launched_by(is_set: impl Fn(&str) -> bool) -> bool {
    VARIABLES.iter().any(|name| is_set(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_told_by_their_variables() {
        for (name, expected) in [
            ("OMPI_COMM_WORLD_SIZE", true),
            ("PMIX_RANK", true),
            ("PMI_RANK", true),
            // a job of Slurm that was not started by `srun` as MPI
            ("SLURM_NTASKS", false),
        ] {
            assert_eq!(is_launched_by(|other| other == name), expected, "{name}");
        }
    }
}
