"""The template deploy/training/mpijob.yaml: pods as Kubernetes knows them, the rest as the MPI operator does, and the command
line as the binary takes it.

    pip install --requirement tests/serving/requirements.txt
    python3 tests/mpi/templates.py [target/debug/detect-pancreas]

Fields of an MPIJob stand here as in the operator's CRD v2beta1; nothing was run on a cluster. Exit codes: 0 all is well, 1 not.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Field and type, or the fields below. https://github.com/kubeflow/mpi-operator, manifests/base/kubeflow.org_mpijobs.yaml
REPLICA = {"replicas": int, "restartPolicy": {"Always", "OnFailure", "Never", "ExitCode"}, "template": dict}
JOB = {
    "apiVersion": {"kubeflow.org/v2beta1"},
    "kind": {"MPIJob"},
    "metadata": {"name": str},
    "spec": {
        "launcherCreationPolicy": {"AtStartup", "WaitForWorkersReady"},
        "mpiImplementation": {"OpenMPI", "Intel", "MPICH"},
        "mpiReplicaSpecs": {"Launcher": REPLICA, "Worker": REPLICA},
        "runLauncherAsWorker": bool,
        "runPolicy": {
            "activeDeadlineSeconds": int,
            "backoffLimit": int,
            "cleanPodPolicy": {"None", "Running", "All"},
            "schedulingPolicy": dict,
            "suspend": bool,
            "ttlSecondsAfterFinished": int,
        },
        "slotsPerWorker": int,
        "sshAuthMountPath": str,
    },
}


def check(value, form, where):
    if isinstance(form, dict):
        assert isinstance(value, dict), f"{where}: expected fields"
        for name, below in value.items():
            assert name in form, f"{where}: no field {name}"
            check(below, form[name], f"{where}.{name}")
    elif isinstance(form, set):
        assert value in form, f"{where}: {value}, expected one of {sorted(form)}"
    else:
        assert type(value) is form, f"{where}: {value!r} is no {form.__name__}"


def check_pods(job):
    for role, replica in job["spec"]["mpiReplicaSpecs"].items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": role.lower()}, "spec": replica["template"]["spec"]}
        kubernetes_validate.validate(pod, "1.37", strict=True)


def check_shell(job, binary):
    launcher = job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]
    [script] = launcher["args"]
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write("#!/bin/bash\nset -eu\n" + script)
        file.flush()
        subprocess.run(["shellcheck", file.name], check=True)
    ranks = int(re.search(r"mpirun -n (\d+)", script)[1])
    spec = job["spec"]
    assert ranks == spec["slotsPerWorker"] * spec["mpiReplicaSpecs"]["Worker"]["replicas"], "a rank a slot"
    keepalive = sum(int(a) * int(b) for a, b in [
        (re.search(r"keepalive_time (\d+)", script)[1], 1),
        (re.search(r"keepalive_intvl (\d+)", script)[1], re.search(r"keepalive_probes (\d+)", script)[1]),
    ])
    assert keepalive < 20, "mpirun misses a machine before the ranks do"
    if binary:
        flat = script.replace("\\\n", " ").replace('"${resume[@]}"', "--resume")
        arguments = re.search(r"detect-pancreas (.*)", flat)[1].split()
        said = subprocess.run([binary, *arguments], capture_output=True, text=True)
        # It understands the line, and has no such configuration.
        assert said.returncode == 1 and "recommended.toml" in said.stderr, said.stderr


def main():
    job = yaml.safe_load((ROOT / "deploy/training/mpijob.yaml").read_text())
    check(job, JOB, "MPIJob")
    check_pods(job)
    check_shell(job, sys.argv[1] if len(sys.argv) > 1 else None)
    # The checks can fail.
    for broken in ["slotsPerWorker: 8.5", "slotsPerWorkers: 8"]:
        text = (ROOT / "deploy/training/mpijob.yaml").read_text().replace("slotsPerWorker: 8", broken)
        try:
            check(yaml.safe_load(text), JOB, "MPIJob")
        except AssertionError:
            continue
        raise AssertionError(f"{broken} was not noticed")
    print("deploy/training/mpijob.yaml: well-formed")


if __name__ == "__main__":
    main()
