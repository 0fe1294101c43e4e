"""The templates in deploy/serving: their forms, and that the server takes the command lines in them and is ready with them.

    pip install --requirement tests/serving/requirements.txt
    python3 tests/serving/templates.py

Where they are installed, HAProxy, nginx and Docker's compose look at their files too; `--all` fails where one is missing. Needs
target/debug/chat-server. Exit codes: 0 all is well, 1 not.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import kubernetes_validate
import yaml

root = pathlib.Path(__file__).resolve().parents[2]
folder = root / "deploy/serving"
server = root / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/chat-server"
# Between SIGTERM and SIGKILL, beyond what the server may take.
SPARE_S = 5


def number(arguments, name):
    return int(next(argument for argument in arguments if argument.startswith(f"--{name}=")).split("=")[1])


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def check_times(where, arguments, grace_s, seen_s):
    delay, drain = number(arguments, "drain-delay-s"), number(arguments, "drain-timeout-s")
    assert delay > seen_s, f"{where}: seen as not ready after {seen_s} s, and the door is open for {delay}"
    assert grace_s >= delay + drain + SPARE_S, f"{where}: killed after {grace_s} s"
    # The default of --answer-timeout-s.
    assert drain >= 300 + 10, f"{where}: an answer may take longer than {drain} s"


def check_starts(where, arguments, temporary):
    """The server starts with the template's own arguments, at another port and with a token that is there."""
    token = temporary / "token"
    token.write_text("0123456789abcdef\n")
    own = [a for a in arguments if not a.startswith(("--port=", "--host=", "--token-file=", "--drain-delay-s="))]
    own = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", argument) for argument in own]
    own += ["--port=0", f"--token-file={token}", "--drain-delay-s=0", "--log=warn"]
    process = subprocess.Popen([server, *own], stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), f"{where}: the server did not start"
        for path, headers, expected in [
            ("/readyz", {}, 200), ("/v1/models", {}, 401), ("/v1/models", {"authorization": "Bearer 0123456789abcdef"}, 200),
        ]:
            try:
                status = urllib.request.urlopen(urllib.request.Request(address + path, headers=headers)).status
            except urllib.error.HTTPError as error:
                status = error.code
            assert status == expected, f"{where}: {path} says {status}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, f"{where}: ended with {process.returncode}"
    finally:
        process.kill()


def proxy_times():
    """After how many seconds HAProxy sees a replica as not ready at the latest, as haproxy.cfg has it."""
    text = (folder / "haproxy.cfg").read_text()
    ms = lambda pattern: sum(int(n) * {"s": 1000, "ms": 1}[unit] for n, unit in re.findall(pattern, text))
    one, next_, wait = (ms(rf"\b{name} (\d+)(ms|s)\b") for name in (r"check inter", "fastinter", "timeout check"))
    assert one and next_ and wait
    return (one + next_ + wait) / 1000


def compose(temporary):
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    for name in ["chat-a", "chat-b"]:
        service = services[name]
        check_times(f"compose.yaml, {name}", service["command"], seconds(service["stop_grace_period"]), proxy_times())
        assert f"--replica-name={name[-1]}" in service["command"] and service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["networks"] == ["inside"], "a way out"
    check_starts("compose.yaml", services["chat-b"]["command"], temporary)


def kubernetes(temporary):
    documents = list(yaml.safe_load_all((folder / "kubernetes.yaml").read_text()))
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    kinds = {document["kind"]: document for document in documents}
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    probe = container["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz" and container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    seen_s = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    check_times("kubernetes.yaml", container["args"], pod["terminationGracePeriodSeconds"], seen_s)
    assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    policy = kinds["NetworkPolicy"]["spec"]
    assert "Egress" in policy["policyTypes"] and policy["egress"] == []
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind, selector in [("Service", "selector"), ("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")]:
        chosen = kinds[kind]["spec"][selector]
        assert chosen.get("matchLabels", chosen) == labels, kind
    check_starts("kubernetes.yaml", container["args"], temporary)


def works(command):
    return shutil.which(command[0]) and subprocess.run(command, capture_output=True).returncode == 0


def others(must_all, temporary):
    addresses = {"CHAT_A": "127.0.0.1:1", "CHAT_B": "127.0.0.1:2"}
    compose_config = ["-f", folder / "compose.yaml", "config", "-q"]
    places = "".join(f"{kind}_temp_path {temporary}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    servers = (folder / "nginx.conf.template").read_text().replace("${CHAT_BIND}", "8080")
    servers = servers.replace("${CHAT_A}", addresses["CHAT_A"]).replace("${CHAT_B}", addresses["CHAT_B"])
    nginx = temporary / "nginx.conf"
    nginx.write_text(f"pid {temporary}/pid; events {{}} http {{ {places}\n{servers} }}")
    ways = {
        "nginx": [(["nginx", "-v"], ["nginx", "-t", "-q", "-e", "stderr", "-c", nginx])],
        "haproxy": [(["haproxy", "-v"], ["haproxy", "-c", "-q", "-f", folder / "haproxy.cfg"])],
        "compose": [
            (["docker", "compose", "version"], ["docker", "compose", *compose_config]),
            (["docker-compose", "version"], ["docker-compose", *compose_config]),
        ],
    }
    for name, commands in ways.items():
        command = next((command for there, command in commands if works(there)), None)
        if command:
            subprocess.run(command, env=os.environ | addresses, check=True)
            print(f"ok {name}")
        else:
            assert not must_all, f"{name} is not installed"
            print(f"skipped: {name} is not installed")


with tempfile.TemporaryDirectory() as temporary:
    compose(pathlib.Path(temporary))
    print("ok compose.yaml: times, and the server starts with its arguments")
    kubernetes(pathlib.Path(temporary))
    print("ok kubernetes.yaml: schema, times, labels, and the server starts with its arguments")
    others("--all" in sys.argv[1:], pathlib.Path(temporary))
