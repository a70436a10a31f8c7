"""What the checks share that run a local shop: demands, its process, somebody who sends requests, and the figures of docs/proof.md."""
import http.client
import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCAL = ROOT / "target/debug/local"
PASSWORD = "keep-this-one-local"
passed = 0


def demand(holds, what, found=""):
    """Ends everything if something does not hold."""
    if not holds:
        sys.exit(f"failed: {what}: {str(found)[:2000]}\n{passed} passed, 1 failed")


def check(holds, what, found=""):
    """Demands something, and counts it."""
    global passed
    demand(holds, what, found)
    passed += 1
    print(f"ok: {what}", flush=True)


def tell():
    """The last line."""
    print(f"\n{passed} passed, 0 failed")


class Shop:
    """A running `local` with a port of its own, which adds what it says to a file."""

    def __init__(self, log, *options):
        self.options = [str(option) for option in options]
        started = time.monotonic()
        with open(log, "ab") as output:
            begin = output.tell()
            command = [LOCAL, "--port", "0", "--quiet", *self.options]
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        while True:
            with open(log, "rb") as said:
                said.seek(begin)
                lines = said.read().decode(errors="replace").splitlines()
            ready = [line.split()[1] for line in lines if line.startswith("ready ")]
            if ready:
                break
            if self.process.poll() is not None:
                sys.exit("failed: the shop does not start:\n" + "\n".join(lines[-5:]))
            time.sleep(0.02)
        self.url = ready[0]
        self.address = urllib.parse.urlsplit(self.url).netloc
        self.started = time.monotonic() - started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end(signal.SIGTERM)

    def functions(self):
        """The processes of functions that are alive."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == self.process.pid and state != "Z":
                found.append(int(stat.parent.name))
        return found

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers = status, headers
        try:
            self.json = json.loads(body) if body else {}
        except ValueError:
            self.json = {}

    def __repr__(self):
        return f"{self.status} {json.dumps(self.json)[:400]}"

    @property
    def is_no_answer(self):
        """Nothing came back, or nothing that says whether it has happened."""
        return self.status == 0 or self.status >= 500


class Client:
    """Somebody with a connection, who is answered with 0 when it ends before the answer."""

    def __init__(self, address, token=None):
        self.address, self.token, self.connection = address, token, None

    def call(self, method, path, body=None, key=None):
        headers = {"content-type": "application/json"} if body is not None else {}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if key:
            headers["idempotency-key"] = key
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address, timeout=20)
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException):
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return Answer(0, {}, b"")


def login(address, email):
    """An access token."""
    for _ in range(20):
        answer = Client(address).call("POST", "/auth/login", {"email": email, "password": PASSWORD})
        if answer.status == 200:
            return answer.json["access_token"]
        # Functions may be killed at this very moment.
        time.sleep(0.2)
    sys.exit(f"failed: {email} cannot log in: {answer}")


def audit(data):
    """How the audit of a file ends, and what it says."""
    done = subprocess.run([LOCAL, "audit", "--data", data], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


def write_figures(instrument, figures):
    """Leaves what an instrument has found where `cargo xtask proof` looks for it."""
    folder = ROOT / "target/proof"
    folder.mkdir(parents=True, exist_ok=True)
    written = {"instrument": instrument, "date": time.strftime("%Y-%m-%d"), "figures": figures}
    (folder / f"{instrument}.json").write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")
