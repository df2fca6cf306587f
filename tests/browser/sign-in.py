"""Sign-ins as a person does them, in a real browser; run by sign-in.sh."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PROGRAM, EMULATOR = os.environ["PROGRAM"], os.environ["EMULATOR"]
SHOTS, WORK = os.environ["SHOTS"], os.environ["WORK"]
WAIT = 30
passed = failed = 0


def check(name, ok, detail=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(("ok   " if ok else "FAIL ") + name + ("" if ok else f": {detail}"), flush=True)


def emulator(*flags):
    process = subprocess.Popen([EMULATOR, "--quiet", "--exit-on-eof", *flags], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


def control(ready, path):
    with urllib.request.urlopen(ready["control_url"] + path, timeout=10) as answer:
        return json.load(answer)


def browser():
    options = webdriver.ChromeOptions()
    for flag in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--window-size=900,640", f"--user-data-dir={WORK}/profile-{time.monotonic_ns()}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


class Login:
    """One run of `cotter login`, and the link that it prints."""

    def __init__(self, ready, home, *args, env=None, link=True):
        self.ready, self.home = ready, home
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_CONFIG_HOME": f"{home}/config",
                    "XDG_DATA_HOME": f"{home}/data", "XDG_RUNTIME_DIR": home,
                    "COTTER_BASE_URL": ready["base_url"], "COTTER_LOGIN_URL": ready["login_url"],
                    "COTTER_API_KEY_ID": ready["api_key_id"], "COTTER_IDENTITY_KEY": ready["identity_key"],
                    "COTTER_STORE": "file", **(env or {})}
        self.process = subprocess.Popen([PROGRAM, "login", *args], env=self.env, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.said, self.link = "", None
        while link and self.link is None:
            line = self.process.stderr.readline()
            if not line:
                break
            self.said += line
            found = re.search(r"https?://\S+/app\?\S+", line)
            self.link = found and found.group(0)

    def end(self):
        out, err = self.process.communicate(timeout=WAIT)
        self.said += err
        return self.process.returncode, out

    def cotter(self, *args):
        done = subprocess.run([PROGRAM, *args], env=self.env, capture_output=True, text=True, timeout=WAIT,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.link).query))


def element(page, by_id):
    return WebDriverWait(page, WAIT).until(lambda page: page.find_element(By.ID, by_id))


def landed(page, login):
    back = login.query()["redirect_url"]
    WebDriverWait(page, WAIT).until(lambda page: page.current_url.startswith(back))
    return page.find_element(By.TAG_NAME, "body").text


def shot(page, name):
    path = f"{SHOTS}/{name}.png"
    page.save_screenshot(path)
    return os.path.getsize(path)


def enter_code(page, ready, identifier):
    field = element(page, "code")
    sent = control(ready, "/codes?identifier=" + urllib.parse.quote(identifier))
    field.send_keys(sent["code"])
    element(page, "verify").click()


def clean_page(name, page, login):
    """The page that the program serves: nothing secret in it, nothing from elsewhere."""
    source = page.page_source
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(page.current_url).query)
    secrets = [value for values in asked.values() for value in values if len(value) > 5]
    check(f"{name}: neither code nor state in the page", not any(s in source for s in secrets))
    external = page.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)"
        ".filter(u => !u.startsWith(location.origin))")
    check(f"{name}: nothing from elsewhere", external == [], external)
    errors = [line for line in page.get_log("browser") if "favicon" not in line["message"]]
    check(f"{name}: the browser has nothing to complain about", errors == [], errors)


def person_signs_in(ready, kind, identifier):
    login = Login(ready, f"{WORK}/{kind}", f"--{kind}", "--no-browser")
    check(f"{kind}: the link is printed", login.link, login.said)
    page = browser()
    try:
        page.get(login.link)
        element(page, "input").send_keys(identifier)
        shot(page, f"{kind}-1-hosted-page")
        element(page, "send").click()
        enter_code(page, ready, identifier)
        text = landed(page, login)
        check(f"{kind}: the success page says so", "close this window" in text.lower(), text)
        check(f"{kind}: a screenshot is kept", shot(page, f"{kind}-2-success") > 2000)
        clean_page(kind, page, login)
        code, _ = login.end()
        check(f"{kind}: the program ends well", code == 0, login.said)
        check(f"{kind}: who was signed in is said", identifier in login.said + _, login.said)
        code, out, err = login.cotter("token")
        check(f"{kind}: a token is there", code == 0 and out.count(".") == 2, err)
        check(f"{kind}: no token in what the login said", out.strip() not in login.said)
        code, out, err = login.cotter("whoami")
        check(f"{kind}: whoami", code == 0 and identifier in out, out + err)
        code, out, err = login.cotter("--format", "json", "status")
        check(f"{kind}: status", code == 0 and json.loads(out)["signed_in"], out + err)
        code, _, err = login.cotter("token", "--force-refresh")
        check(f"{kind}: it can be refreshed", code == 0, err)
    finally:
        page.quit()


def magic_link(ready):
    login = Login(ready, f"{WORK}/magic", "--email", "grace@example.test", "--magic-link", "--no-browser")
    page = browser()
    try:
        page.get(login.link)
        WebDriverWait(page, WAIT).until(lambda page: "link" in page.page_source)
        page.get(control(ready, "/links?identifier=grace%40example.test")["link"])
        text = landed(page, login)
        check("magic link: the success page says so", "close this window" in text.lower(), text)
        check("magic link: the program ends well", login.end()[0] == 0, login.said)
    finally:
        page.quit()


def refusal(ready):
    login = Login(ready, f"{WORK}/email", "--email", "--no-browser")
    page = browser()
    try:
        page.get(login.link)
        element(page, "cancel").click()
        text = landed(page, login)
        check("refusal: the page says so", "not" in text.lower(), text)
        shot(page, "refusal")
        clean_page("refusal", page, login)
        code, _ = login.end()
        check("refusal: exit code 3", code == 3, login.said)
        code, _, err = login.cotter("token")
        check("refusal: who was signed in before still is", code == 0, err)
    finally:
        page.quit()


def time_out(ready):
    begun = time.monotonic()
    login = Login(ready, f"{WORK}/late", "--email", "--no-browser", "--timeout", "2s")
    code, _ = login.end()
    check("time-out: exit code 4", code == 4, f"{code} {login.said}")
    check("time-out: in time", time.monotonic() - begun < 20)
    page = browser()
    try:
        page.get(login.link)
        element(page, "input").send_keys("late@example.test")
        element(page, "send").click()
        try:
            enter_code(page, ready, "late@example.test")
            WebDriverWait(page, WAIT).until(lambda page: "127.0.0.1" in page.current_url)
        except Exception:  # chromedriver reports the refused connection as an error of its own
            pass
        check("time-out: the browser finds nobody there", "close this window" not in page.page_source.lower())
        check("time-out: nobody is signed in", login.cotter("token")[0] == 3)
    finally:
        page.quit()


def other_tabs_and_strangers(ready):
    """Login CSRF, a favicon and a stray tab come first; the person's own tab still gets through."""
    login = Login(ready, f"{WORK}/tabs", "--email", "ada@example.test", "--no-browser")
    back = login.query()["redirect_url"]
    page = browser()
    try:
        page.get(f"{back}?code=stolen&state=foreign&challenge_id=1")
        check("a foreign state is refused", "close this window" not in page.page_source.lower())
        shot(page, "foreign-state")
        page.switch_to.new_window("tab")
        page.get(login.link)
        enter_code(page, ready, "ada@example.test")
        text = landed(page, login)
        check("the person's own tab gets through", "close this window" in text.lower(), text)
        check("and the program ends well", login.end()[0] == 0, login.said)
    finally:
        page.quit()


def interrupted(ready):
    login = Login(ready, f"{WORK}/email", "--email", "--no-browser")
    login.process.send_signal(signal.SIGINT)
    code, _ = login.end()
    check("Ctrl-C: the program ends", code != 0)
    code, _, err = login.cotter("token")
    check("Ctrl-C: nothing that was stored is lost", code == 0, err)


def browser_is_opened(ready):
    """What the system calls its browser gets the link, as one argument and without a shell."""
    script, told = f"{WORK}/open-browser", f"{WORK}/opened"
    with open(script, "w") as file:
        file.write(f'#!/bin/sh\nprintf "%s\\n" "$#" "$@" > {told}.part\nmv {told}.part {told}\n')
    os.chmod(script, 0o755)
    login = Login(ready, f"{WORK}/opened-home", "--email", "--timeout", "20s",
                  env={"BROWSER": script, "DISPLAY": ":99"})
    for _ in range(100):
        if os.path.exists(told):
            break
        time.sleep(0.1)
    opened = open(told).read().split() if os.path.exists(told) else []
    check("the browser is opened with the link", opened == ["1", login.link], f"{opened} {login.said}")
    login.process.kill()
    login.end()


def python_client(ready):
    """Cotter's published Python client signs in by the same page; its browser step is ours."""
    import cotter
    import cotter.constants
    import webbrowser

    cotter.constants.CotterBackendURL = ready["base_url"]
    cotter.constants.CotterJSURL = ready["login_url"]
    # It serves this file from the folder of the script that runs.
    sys.path[0] = WORK
    with open(f"{WORK}/cotter_login_success.html", "w") as file:
        file.write("<p>Signed in.</p>")
    page, trouble = browser(), []

    def person(link):
        try:
            page.get(link)
            element(page, "input").send_keys("py@example.test")
            element(page, "send").click()
            enter_code(page, ready, "py@example.test")
        except Exception as error:
            trouble.append(error)

    opened = []

    def open_page(link):
        opened.append(threading.Thread(target=person, args=(link,)))
        opened[0].start()

    webbrowser.open = open_page
    try:
        tokens = cotter.login_with_email_otp(ready["api_key_id"], 8395)["oauth_token"]
        opened[0].join(WAIT)
        check("the Python client signs in by the same page", tokens["access_token"].count(".") == 2, trouble)
    finally:
        page.quit()


def main():
    process, ready = emulator()
    try:
        person_signs_in(ready, "email", "ada@example.test")
        person_signs_in(ready, "phone", "+15550100123")
        magic_link(ready)
        refusal(ready)
        time_out(ready)
        other_tabs_and_strangers(ready)
        interrupted(ready)
        browser_is_opened(ready)
        python_client(ready)
    finally:
        process.stdin.close()
        process.wait(10)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
