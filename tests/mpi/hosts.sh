#!/usr/bin/env bash
# Two network namespaces as two hosts: ranks that reach each other over TCP on a link of their own, and a link that
# is cut. Needs root, iproute2 and Open MPI; says why it skips where the system does not allow namespaces.
#
#   tests/mpi/hosts.sh target/debug/detect-pancreas
set -euo pipefail
binary=$(realpath "${1:?the binary detect-pancreas, built with the feature mpi}")
names=("ranks-a-$$" "ranks-b-$$")
addresses=(10.77.0.1 10.77.0.2)

skip() { echo "tests/mpi/hosts.sh: skipped: $*"; exit 0; }
command -v ip > /dev/null || skip "no ip (Debian: iproute2)"
mpirun --version 2> /dev/null | grep -q "Open MPI" || skip "mpirun is not Open MPI's"
ip netns add "${names[0]}" 2> /dev/null || skip "network namespaces are not permitted here"
work=$(mktemp -d)
end() {
    # What a cut link left behind.
    for name in "${names[@]}"; do
        ip netns pids "$name" 2> /dev/null | xargs --no-run-if-empty kill -9
    done
    ip netns del "${names[0]}" 2> /dev/null || true
    ip netns del "${names[1]}" 2> /dev/null || true
    rm -rf "$work"
}
trap end EXIT
ip netns add "${names[1]}"
ip link add "va$$" netns "${names[0]}" type veth peer name "vb$$" netns "${names[1]}" 2> /dev/null ||
    skip "no pair of virtual links"
for place in 0 1; do
    link=$([[ $place = 0 ]] && echo "va$$" || echo "vb$$")
    ip -n "${names[place]}" address add "${addresses[place]}/24" dev "$link"
    ip -n "${names[place]}" link set "$link" up
    ip -n "${names[place]}" link set lo up
done
# In the place of ssh: the address, then a command line for a shell.
cat > "$work/agent" << AGENT
#!/bin/sh
case \$1 in
${addresses[0]}) name=${names[0]} ;;
*) name=${names[1]} ;;
esac
shift
exec ip netns exec "\$name" unshare --uts sh -c "hostname \$name; \$*"
AGENT
chmod +x "$work/agent"

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
job() {
    timeout --kill-after 5 120 ip netns exec "${names[0]}" unshare --uts sh -c "hostname ${names[0]}; exec \"\$@\"" sh \
        mpirun --host "${addresses[0]},${addresses[1]}" -n 2 --map-by node --mca plm_rsh_agent "$work/agent" \
        --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
        --mca oob_tcp_keepalive_time 4 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 3 \
        "$binary" train --config "$work/$1.toml" --data "$work/alone/data/1-msd" --out "$work/$2" \
        --device cpu --threads 1 "${@:3}"
}
configure() {
    cat > "$work/$1.toml" << CONFIG
name = "$1"
seed = 7
[model]
base = "scratch"
seed = 3
sizes = { vision = { image_size = 32, patch_size = 8, width = 16, depth = 1, n_heads = 2, mlp_hidden = 32, norm_eps = 1e-6, ln_vision_eps = 1e-5 }, merge = 4, llama = { vocab_size = 1024, hidden_size = 16, intermediate_size = 32, n_layers = 1, n_heads = 2, n_kv_heads = 2, head_dim = 8, rms_norm_eps = 1e-5, rope_theta = 10000.0, max_positions = 256, tied_head = true, bos_token = 1, eos_token = 2 }, lora = { rank = 2, alpha = 4.0, dropout = 0.0, targets = ["q_proj", "v_proj"] } }
[[data.phantoms]]
layout = "msd"
patients = 10
matrix = 48
slices = [24, 24]
seed = 5
[stages.pancreas_box]
[evaluation]
bootstrap_draws = 20
control_samples = 0
validation_samples = 4
probe_trees = 5
examples = 2
[training]
batch_size = 8
learning_rate = 1e-3
steps = $2
validate_every = $2
checkpoint_every = $3
CONFIG
}
sent() { ip netns exec "${names[0]}" cat "/sys/class/net/va$$/statistics/tx_bytes"; }

configure twenty 20 20
"$binary" train --config "$work/twenty.toml" --out "$work/alone" --device cpu --threads 1 2> "$work/log" ||
    { cat "$work/log"; exit 1; }
before=$(sent)
job twenty together 2> "$work/log" || { cat "$work/log"; exit 1; }
echo "two hosts: 20 steps, $(($(sent) - before)) bytes sent by the first, start and end included"
# The losses of all steps, as close as ranks of one host are.
python3 - "$work" << 'COMPARE'
import json, sys
lines = [[json.loads(line) for line in open(f"{sys.argv[1]}/{run}/pancreas_box/training/metrics.jsonl")]
         for run in ("alone", "together")]
assert len(lines[0]) == len(lines[1]) == 21
far = max(abs(one.get("loss", 0) - other.get("loss", 0)) for one, other in zip(*lines))
print(f"two hosts: losses within {far:.1e} of one process")
assert far <= 2e-6
COMPARE

# The link is cut while they train: both ends live and hear nothing. With these keepalives mpirun misses the other
# host before the ranks miss each other; without them it would wait for TCP long after the ranks have ended.
configure endless 10000000 200
job endless cut 2> "$work/log" &
running=$!
for _ in {1..600}; do
    [[ -d $work/cut/pancreas_box/training/checkpoints/step-0000000200 ]] && break
    sleep 0.1
done
ip -n "${names[0]}" link set "va$$" down
started=$SECONDS
code=0
wait "$running" || code=$?
echo "two hosts: the link cut, the job ended with code $code after $((SECONDS - started)) s"
grep -Eq "is lost|lost communication" "$work/log" || { cat "$work/log"; exit 1; }
((code != 0 && code != 124 && SECONDS - started < 30)) || { cat "$work/log"; exit 1; }
