#!/usr/bin/env bash
# The Slurm templates on a real Slurm of one node, which this script starts in a temporary folder and ends again: four shards of
# phantoms, one requeued and one killed while they work, so that the merge is cancelled; then the same command again, and the
# merged folder compared with one run of everything.
#
#     deploy/preparation/slurm-test.sh [FILE]    the binary prepare-slices; needs root, and slurm-wlm and munge of Debian
set -euo pipefail
cd "$(dirname "$0")"
binary=$(realpath "${1:-../../target/debug/prepare-slices}")
for tool in slurmctld slurmd sbatch munged; do
    command -v "$tool" > /dev/null || { echo "skipped: no $tool"; exit 0; }
done
work=$(mktemp -d)
chmod 755 "$work"
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

mkdir -p "$work"/{etc,state,spool,bin,munge}
cp "$binary" "$work/bin/prepare-slices"
export PATH=$work/bin:$PATH SLURM_CONF=$work/etc/slurm.conf
head -c 1024 /dev/urandom > "$work/munge/key"
chmod 600 "$work/munge/key"
chmod 711 "$work/munge"
munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
    --log-file="$work/munge/log" --seed-file="$work/munge/seed" > "$work/munge/out" 2>&1 &
pids+=($!)
host=$(hostname -s)
cat > "$work/etc/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MpiDefault=none
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
SchedulerParameters=sched_min_interval=100000,requeue_delay=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
echo "CgroupPlugin=cgroup/v1" > "$work/etc/cgroup.conf"
slurmctld -D > "$work/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D > "$work/slurmd.out" 2>&1 &
pids+=($!)
for _ in {1..20}; do
    [[ $(sinfo --noheader --format=%T 2>/dev/null) = idle ]] && break
    sleep 0.5
done
[[ $(sinfo --noheader --format=%T) = idle ]] || { tail -n 20 "$work"/*.log "$work"/*.out; exit 1; }

prepare-slices phantom --patients 24 --layout msd --size 256 --slices 24-32 --out "$work/studies" 2>/dev/null
prepare-slices run --dataset msd-pancreas --root "$work/studies" --out "$work/whole" 2>/dev/null
export DATASET=msd-pancreas ROOT=$work/studies OUT=$work/out
submit() {
    ./slurm-submit.sh 4 --output="$work/%x-%A_%a.log" | tee "$work/submitted"
    array=$(grep -o 'shards: job [0-9]*' "$work/submitted" | grep -o '[0-9]*')
}
n_parts() { find "$OUT/shards/$1/parts" -name '*.json' 2>/dev/null | wc -l; }
n_jobs() { squeue --noheader --array | wc -l; }
finish() {
    for _ in {1..1500}; do
        [[ $(n_jobs) = 0 ]] && break
        sleep 0.2
    done
    # One line a job: number in the array, name, state, restarts, exit code and signal.
    scontrol --oneliner show job | awk '{
        line = ""
        for (i = 1; i <= NF; i++) if ($i ~ /^(ArrayTaskId|JobName|JobState|Restarts|ExitCode)=/) line = line " " $i
        print line
    }' | sort
}

submit
# As soon as they have done something, one task goes back into the queue, another is killed for good.
for task in 1 3; do
    while [[ $(n_parts $task) -lt 1 ]]; do sleep 0.005; done
done
scancel --batch --signal=KILL "${array}_3"
scontrol requeue "${array}_1"
echo "stopped with $(n_parts 1) and $(n_parts 3) of 6 volumes"
# Slurm waits for two minutes before it starts such a task again; this one need not.
for _ in {1..100}; do
    scontrol update "JobId=${array}_1" StartTime=now 2>/dev/null \
        && [[ $(squeue --noheader --job "${array}_1" --format=%T) = PENDING ]] && break
    [[ $(n_parts 1) = 6 ]] && break
    sleep 0.2
done
finish
[[ ! -e $OUT/prepared ]] || { echo "merged without a shard" >&2; exit 1; }
grep -H "^error" "$work"/prepare-slices-*.log || true
echo "again:"
submit
finish
grep -h verified "$work"/merge-slices-*.log
diff -r "$work/whole" "$OUT/prepared"
echo "slurm: passed"
