#!/usr/bin/env bash
# Preparation through object storage, against a local S3-compatible server, compared byte for byte with a local run; then
# what goes wrong: no bucket, wrong credentials, a server that is away for a while or for good, a damaged transfer.
#
#     tests/object-store/run.sh            everything on 127.0.0.1; needs python3 with venv, and the package registry once
#     PREPARE_SLICES=FILE, MOTO_PYTHON=FILE  use this binary (built with the feature object-store), this Python with moto
set -euo pipefail
binary=${PREPARE_SLICES:+$(realpath "$PREPARE_SLICES")}
python=${MOTO_PYTHON:-}
cd "$(dirname "$0")"
here=$PWD
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT
say() { printf -- '-- %s\n' "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

if [[ -z $binary ]]; then
    (cd ../.. && cargo build --quiet --locked -p prepare-slices --features object-store)
    binary=${CARGO_TARGET_DIR:-../../target}/debug/prepare-slices
fi
# A copy: another build of the binary may come meanwhile.
cp "$binary" "$work/prepare-slices"
prepare() { "$work/prepare-slices" "$@"; }
if [[ -z $python ]]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    python=$work/venv/bin/python
fi

# No settings of the user's own, and never the metadata service of a cloud.
for name in $(compgen -e AWS_ || true); do unset "$name"; done
export AWS_REGION=us-east-1 AWS_ALLOW_HTTP=true
wait_for() { for _ in {1..300}; do [[ -s $1 ]] && return; sleep 0.1; done; fail "no $1"; }
server() { # FILE ARGUMENTS…
    "$python" "$here/server.py" "$@" > "$work/server.log" 2>&1 &
    pids+=($!)
    disown
    wait_for "$1"
}
proxy() { # FILE PORT ARGUMENTS…
    rm -f "$1"
    "$python" "$here/proxy.py" "$@" 2> "$1.log" &
    proxy_pid=$!
    pids+=("$proxy_pid")
    disown
    wait_for "$1"
}
# Fails with the exit code and says these words.
refused() { # CODE WORD COMMAND…
    local code=$1 word=$2 got=0
    shift 2
    "$@" > "$work/out" 2> "$work/err" || got=$?
    [[ $got = "$code" ]] || fail "exit code $got, not $code: $* ($(cat "$work/err"))"
    grep -q "$word" "$work/err" || fail "no '$word' of $*: $(cat "$work/err")"
}
field() { "$python" -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

say "studies, and one run of all of them here"
prepare phantom --patients 9 --layout msd --size 224 --slices 24-30 --out "$work/studies" 2>/dev/null
(cd "$work" && prepare run --dataset msd-pancreas --root studies --out whole --balanced 2>/dev/null)

server "$work/settings"
# shellcheck source=/dev/null
source "$work/settings"
direct=$AWS_ENDPOINT
say "push, twice"
prepare push "$work/studies" s3://studies/Task07 --json 2>/dev/null > "$work/push"
[[ $(field files_kept < "$work/push") = 0 ]]
prepare push "$work/studies" s3://studies/Task07 --json 2>/dev/null > "$work/push"
[[ $(field files_kept < "$work/push") = $(field files < "$work/push") ]] || fail "pushed twice"

say "two shards: fetch a share, run, push"
for n in 1 2; do
    prepare fetch s3://studies/Task07 "$work/share-$n" --dataset msd-pancreas --shard "$n/2" --json 2>/dev/null > "$work/fetch"
    [[ $(field files < "$work/fetch") -lt 12 ]] || fail "a share is not all"
    [[ $(field files_hashed < "$work/fetch") = $(field files < "$work/fetch") ]] || fail "not hashed"
    prepare run --dataset msd-pancreas --root "$work/share-$n" --shard "$n/2" --out "$work/shard-$n" --balanced 2>/dev/null
    prepare push "$work/shard-$n" "s3://studies/prepared/shard-$n" 2>/dev/null
done
say "fetch both, merge, compare; push and fetch the result, compare"
for n in 1 2; do
    prepare fetch "s3://studies/prepared/shard-$n" "$work/back-$n" 2>/dev/null
    diff -r "$work/shard-$n" "$work/back-$n"
done
prepare merge "$work/back-1" "$work/back-2" --out "$work/merged" 2>/dev/null
diff -r "$work/whole" "$work/merged"
prepare push "$work/merged" s3://studies/prepared/merged 2>/dev/null
prepare fetch s3://studies/prepared/merged "$work/merged-back" 2>/dev/null
diff -r "$work/whole" "$work/merged-back"

say "no bucket, nothing there, something else there"
refused 1 "absent" prepare fetch s3://absent/a "$work/none" --retry-seconds 1
refused 1 "holds no files" prepare fetch s3://studies/nothing "$work/none"
refused 1 "something else" prepare push "$work/shard-1" s3://studies/prepared/shard-2
[[ ! -e $work/none ]] || fail "an empty fetch made its folder"

say "a file of several parts"
mkdir "$work/large"
head -c 30000001 /dev/urandom > "$work/large/file"
prepare push "$work/large" s3://studies/large 2>/dev/null
prepare fetch s3://studies/large "$work/large-back" 2>/dev/null
cmp "$work/large/file" "$work/large-back/file"

say "a server that is away for two seconds: the command goes on by itself"
proxy "$work/port" "$PORT" --cut-after 3000000 --for 2
AWS_ENDPOINT=http://127.0.0.1:$(< "$work/port") prepare fetch s3://studies/Task07 "$work/cut" --parallel 3 2>/dev/null
grep -q cut "$work/port.log" || fail "the connection was not cut"
diff -r "$work/studies" "$work/cut"

say "a damaged transfer: fetched again"
proxy "$work/port" "$PORT" --flip-after 2000000
AWS_ENDPOINT=http://127.0.0.1:$(< "$work/port") prepare fetch s3://studies/Task07 "$work/flipped" --parallel 3 2>/dev/null
grep -q flipped "$work/port.log" || fail "nothing was damaged"
diff -r "$work/studies" "$work/flipped"

say "a server that stays away: an error, nothing half, and the same command goes on later"
proxy "$work/port" "$PORT" --cut-after 6000000 --for 100000
AWS_ENDPOINT=http://127.0.0.1:$(< "$work/port") \
    refused 1 "not all of" prepare fetch s3://studies/Task07 "$work/killed" --parallel 1 --retry-seconds 1
kill -9 "$proxy_pid"
(cd "$work/killed" && find . -type f -print0 | while IFS= read -r -d '' file; do cmp "$file" "$work/studies/$file"; done)
prepare fetch s3://studies/Task07 "$work/killed" --json 2>/dev/null > "$work/fetch"
[[ $(field files_kept < "$work/fetch") -gt 0 ]] || fail "nothing was kept"
say "   kept $(field files_kept < "$work/fetch") of $(field files < "$work/fetch") files"
diff -r "$work/studies" "$work/killed"

say "the process killed half-way, fetching and pushing"
for n in 1 2 3; do
    "$work/prepare-slices" fetch s3://studies/Task07 "$work/sigkill" --parallel 1 2>/dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null && [[ $(find "$work/sigkill" -name '*.nii.gz' 2>/dev/null | wc -l) -lt $((n * 4)) ]]; do sleep 0.002; done
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    (cd "$work/sigkill" && find . -name '*.nii.gz' -print0 | while IFS= read -r -d '' file; do cmp "$file" "$work/studies/$file"; done)
done
prepare fetch s3://studies/Task07 "$work/sigkill" 2>/dev/null
diff -r "$work/studies" "$work/sigkill"
"$work/prepare-slices" push "$work/merged" s3://studies/again --parallel 1 2>/dev/null &
pid=$!
sleep 0.3
kill -9 "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
prepare push "$work/merged" s3://studies/again --json 2>/dev/null > "$work/push"
say "   kept $(field files_kept < "$work/push") of $(field files < "$work/push") files"
prepare fetch s3://studies/again "$work/again" 2>/dev/null
diff -r "$work/merged" "$work/again"

say "TLS: with a certificate that the system trusts, and with one that it does not"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=a test" -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout "$work/tls.key" -out "$work/tls.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' > "$work/tls.ext"
openssl x509 -req -days 2 -in "$work/tls.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
    -extfile "$work/tls.ext" -out "$work/tls.pem" 2>/dev/null
proxy "$work/port" "$PORT" --tls "$work/tls.pem" "$work/tls.key"
tls() { env -u SSL_CERT_DIR AWS_ALLOW_HTTP=false AWS_ENDPOINT="https://127.0.0.1:$(< "$work/port")" "$@"; }
tls SSL_CERT_FILE="$work/ca.pem" "$work/prepare-slices" fetch s3://studies/Task07 "$work/tls" 2>/dev/null
diff -r "$work/studies" "$work/tls"
refused 1 "certificate" tls "$work/prepare-slices" fetch s3://studies/Task07 "$work/untrusted" --retry-seconds 1
refused 1 "not all of" env AWS_ALLOW_HTTP=false "$work/prepare-slices" fetch s3://studies/Task07 "$work/plain" --retry-seconds 1

say "wrong credentials, and right ones"
server "$work/auth" --auth
# shellcheck source=/dev/null
source "$work/auth"
prepare push "$work/large" s3://studies/large 2>/dev/null
AWS_SECRET_ACCESS_KEY=wrong refused 1 "403 Forbidden" prepare fetch s3://studies/large "$work/forbidden"
! grep -q "$AWS_SECRET_ACCESS_KEY" "$work/err" || fail "a secret was shown"
[[ ! -e $work/forbidden ]] || fail "a refused fetch made its folder"

say "rates on this machine, through the first server"
export AWS_ENDPOINT=$direct AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
mkdir "$work/rate"
for n in {1..8}; do head -c 40000000 /dev/urandom > "$work/rate/$n"; done
prepare push "$work/rate" s3://studies/rate
prepare fetch s3://studies/rate "$work/rate-back"
prepare push "$work/rate" "file://$work/bucket/rate"
prepare fetch "file://$work/bucket/rate" "$work/rate-file"
diff -r "$work/rate" "$work/rate-file"
echo "object storage: passed"
