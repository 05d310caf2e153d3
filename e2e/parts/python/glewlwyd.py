"""A second OpenID provider, of another make: Debian's glewlwyd, fresh in a folder, on loopback.

    glewlwyd.py serve DIR PORT      sets it up, prints {"issuer": ...} when ready, ends with its input
    glewlwyd.py token ISSUER USER   prints the token response of a code flow with PKCE
    glewlwyd.py client ISSUER URI   registers the public client `cli`, which comes back to URI
    glewlwyd.py browse ISSUER USER URL
                                    logs the person in, opens the page at URL and follows where it leads

What makes it worth a test of its own: its access token holds the groups as one comma-joined string,
its audience is the list of scopes, and its subject is not the login name. Standard library only.
"""

import base64
import hashlib
import http.cookiejar
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

SCHEMA = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
MODULES = "/usr/lib/glewlwyd"
CLIENT, CLIENT_SECRET = "gateway-tests", "only-for-tests"
RETURN_TO = "http://127.0.0.1:9/callback"
PEOPLE = {"alice": ["ml-engineers", "admins"], "bob": ["analysts"]}
LIFETIME = 300

SETTINGS = """
bind_address="127.0.0.1"
port={port}
external_url="http://127.0.0.1:{port}"
api_prefix="api"
login_url="login.html"
allow_origin="*"
log_mode="console"
log_level="ERROR"
cookie_secure=0
cookie_same_site="empty"
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
allow_multiple_user_per_session=true
login_api_enabled=true
max_post_size=1048576
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
hash_algorithm="SHA512"
database={{ type="sqlite3"; path="{folder}/glewlwyd.db"; }};
"""


class Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are read, not followed."""

    def redirect_request(self, *_):
        return None


class Browser:
    """Keeps cookies and speaks JSON."""

    def __init__(self, base):
        self.base = base
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies, Stay)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        try:
            with self.opener.open(request, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()[:500]}")
        return json.loads(text) if text else None

    def redirect(self, path):
        try:
            with self.opener.open(self.base + path, timeout=20) as answer:
                raise SystemExit(f"no redirect from {path}: {answer.status}")
        except urllib.error.HTTPError as error:
            return error.headers.get("location", "")


def serve(folder, port):
    os.makedirs(folder, exist_ok=True)
    with open(SCHEMA) as schema, sqlite3.connect(f"{folder}/glewlwyd.db") as database:
        database.executescript(schema.read())
    settings = f"{folder}/glewlwyd.conf"
    with open(settings, "w") as file:
        file.write(SETTINGS.format(port=port, folder=folder, modules=MODULES))
    daemon = subprocess.Popen(["glewlwyd", f"--config-file={settings}"], stdout=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        base = f"http://127.0.0.1:{port}/api"
        wait(base, daemon)
        configure(Browser(base))
        print(json.dumps({"issuer": f"{base}/oidc"}), flush=True)
        sys.stdin.buffer.read()
    finally:
        daemon.kill()


def wait(base, daemon):
    for _ in range(300):
        if daemon.poll() is not None:
            raise SystemExit(f"glewlwyd ended at once, with status {daemon.returncode}")
        try:
            urllib.request.urlopen(base.removesuffix("/api") + "/config", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("glewlwyd did not come up within 30 s")


def configure(admin):
    admin.ask("POST", "/auth/", {"username": "admin", "password": "password"})
    lists = {"multiple": True, "read": True, "write": True}
    allow_fields(admin, "user", {"groups": {**lists, "profile-read": True}})
    allow_fields(admin, "client", {field: lists for field in ("redirect_uri", "authorization_type", "token_endpoint_auth_method")})
    known = {scope["name"] for scope in admin.ask("GET", "/scope/?limit=100")}
    for name in {"openid", "groups", "api"} - known:
        admin.ask("POST", "/scope/", {"name": name, "display_name": name, "password_required": True, "scheme": {}})
    for name, groups in PEOPLE.items():
        admin.ask("POST", "/user/", {
            "username": name, "name": name.title(), "email": f"{name}@example.test", "enabled": True,
            "password": password(name), "scope": ["g_profile", "openid", "groups", "api"], "groups": groups,
        })
    admin.ask("POST", "/mod/plugin/", {
        "module": "oidc", "name": "oidc", "display_name": "oidc", "order_rank": 0, "parameters": plugin(admin.base),
    })
    admin.ask("POST", "/client/", {
        "client_id": CLIENT, "name": CLIENT, "enabled": True, "confidential": True, "password": CLIENT_SECRET,
        "client_secret": CLIENT_SECRET, "redirect_uri": [RETURN_TO], "scope": ["openid", "groups", "api"],
        "authorization_type": ["code"], "token_endpoint_auth_method": ["client_secret_basic"],
    })


def client(issuer, redirect_uri):
    admin = Browser(issuer.removesuffix("/oidc"))
    admin.ask("POST", "/auth/", {"username": "admin", "password": "password"})
    admin.ask("POST", "/client/", {
        "client_id": "cli", "name": "cli", "enabled": True, "confidential": False, "redirect_uri": [redirect_uri],
        "scope": ["openid", "groups", "api"], "authorization_type": ["code", "refresh_token"],
        "token_endpoint_auth_method": ["none"],
    })


def browse(issuer, user, url):
    base = issuer.removesuffix("/oidc")
    browser = Browser(base)
    browser.ask("POST", "/auth/", {"username": user, "password": password(user)})
    browser.ask("PUT", "/auth/grant/cli", {"scope": "openid groups api"})
    location = browser.redirect(f"{url.removeprefix(base)}&g_continue")
    with urllib.request.urlopen(location, timeout=20) as answer:
        print(json.dumps({"status": answer.status, "url": location}))


def allow_fields(admin, kind, fields):
    """Lets the built-in store of users or clients hold further fields."""
    module = admin.ask("GET", f"/mod/{kind}/")[0]
    module["parameters"] = {**(module.get("parameters") or {}), "use-glewlwyd-connection": True, "data-format": fields}
    admin.ask("PUT", f"/mod/{kind}/{module['name']}", module)
    admin.ask("PUT", f"/mod/{kind}/{module['name']}/reset")


def plugin(base):
    """The OpenID plugin's settings, with a signing key made for this run."""
    key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    return {
        "iss": f"{base}/oidc", "jwt-type": "ecdsa", "jwt-key-size": "256",
        "key": key, "cert": openssl("pkey", "-pubout", given=key), "jwks-show": True,
        "access-token-duration": LIFETIME, "refresh-token-duration": LIFETIME, "code-duration": 60,
        "allow-non-oidc": True, "subject-type": "public",
        "auth-type-code-enabled": True, "auth-type-id-token-enabled": True, "auth-type-token-enabled": False,
        "auth-type-none-enabled": False, "auth-type-password-enabled": False, "auth-type-client-enabled": False,
        "auth-type-device-enabled": False, "auth-type-refresh-enabled": True, "refresh-token-one-use": "always",
        "pkce-allowed": True, "pkce-method-plain-allowed": False,
        "allowed-scope": ["openid", "groups", "api"], "scope": [],
        "name-claim": "mandatory", "email-claim": "mandatory", "scope-claim": "mandatory", "address-claim": {"type": "no"},
        "claims": [{"name": "groups", "user-property": "groups", "type": "string", "mandatory": True, "on-demand": True, "scope": []}],
        "additional-parameters": [{"user-parameter": "groups", "token-parameter": "groups", "token-changed": False}],
        "introspection-revocation-allowed": True, "introspection-revocation-auth-scope": [],
        "introspection-revocation-allow-target-client": True, "session-management-allowed": False,
    }


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=True).stdout


def password(name):
    return f"{name}-password"


def token(issuer, user):
    base = issuer.removesuffix("/oidc")
    browser = Browser(base)
    browser.ask("POST", "/auth/", {"username": user, "password": password(user)})
    browser.ask("PUT", f"/auth/grant/{CLIENT}", {"scope": "openid groups api"})
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = urllib.parse.urlencode({
        "response_type": "code", "client_id": CLIENT, "redirect_uri": RETURN_TO, "scope": "openid groups api",
        "state": "s", "nonce": "n", "code_challenge": challenge, "code_challenge_method": "S256",
    })
    location = browser.redirect(f"/oidc/auth?{query}&g_continue")
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query).get("code")
    if not code:
        raise SystemExit(f"no code came back: {location}")
    form = {"grant_type": "authorization_code", "code": code[0], "redirect_uri": RETURN_TO, "code_verifier": verifier}
    basic = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
    request = urllib.request.Request(f"{base}/oidc/token", urllib.parse.urlencode(form).encode(), {"authorization": f"Basic {basic}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(answer.read().decode())


if __name__ == "__main__":
    {"serve": serve, "token": token, "client": client, "browse": browse}[sys.argv[1]](*sys.argv[2:])
