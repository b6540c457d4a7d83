"""The console in a real browser: a person's path, and what hostile calls cannot do to it."""

import json
import shutil
import sys
from pathlib import Path

from console.tab import Tab
from console.world import Enforcer
from report.browser import Browser, find
from report.check import Tally, contrast

ATTACK = "<img src=https://evil.example/x onerror=alert(1)><script>alert(2)</script>\u202e"
WIDE = "document.documentElement.scrollWidth <= innerWidth"
CARDS = "document.querySelectorAll('#holds > article:not(.gone)').length"


def check(thoth: Path, folder: Path) -> tuple[int, list[str]]:
    """Returns how much held and what did not."""
    program = find()
    if program is None:
        sys.exit("peers: no Chromium found; see tests/peers/README.md, 'The report in a browser'")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tally = Tally()
    enforcer = Enforcer(thoth, folder)
    try:
        browser = Browser(program, folder / "profile")
        try:
            walk(tally, enforcer, browser, folder)
        finally:
            browser.close()
    finally:
        enforcer.close()
    return tally.passed, [failure.replace("report (", "console (", 1) for failure in tally.failures]


def walk(tally: Tally, enforcer: Enforcer, browser: Browser, folder: Path) -> None:
    """The whole path, in one login: the link works once."""
    tab = Tab(browser)
    tally.at = "login"
    log_in(tally, tab, enforcer, folder)
    tally.at = "live"
    live(tally, tab, enforcer, folder)
    tally.at = "answers"
    answers(tally, tab, enforcer)
    tally.at = "keyboard"
    keyboard(tally, tab, enforcer)
    tally.at = "a call that waits"
    waiting(tally, tab, enforcer)
    tally.at = "hostile"
    hostile(tally, tab, enforcer, folder)
    tally.at = "looks"
    looks(tally, tab, enforcer, folder)
    tally.at = "from another site"
    elsewhere(tally, tab, enforcer)
    tally.at = "in all"
    tally.hold("no breach of the policy, exception, error or dialog", not tab.breaches(), tab.breaches())
    foreign = tab.foreign(enforcer.url)
    tally.hold("no request leaves the origin", not [url for url in foreign if not url.startswith("data:")], foreign)
    tally.at = "logout"
    tab.go(enforcer.url + "/console")
    tab.click("form[action='/console/logout'] button")
    tab.until("location.pathname === '/console/login'")
    tab.go(enforcer.url + "/console")
    tally.hold("nobody is logged in any more", tab.run("location.pathname === '/console/login'"))
    tab.close()


def log_in(tally: Tally, tab: Tab, enforcer: Enforcer, folder: Path) -> None:
    """By the link that was printed."""
    link = enforcer.told["console"]
    bare = Tab(tab.browser, script=False)
    bare.call("Page.navigate", url=enforcer.url + "/console")
    bare.until("document.querySelector('#code') !== null")
    bare.picture(folder / "login-without-script.png")
    tally.hold("without scripts there is a field for the code", bare.run("document.querySelector('#code').offsetWidth > 0"))
    bare.close()
    tab.go(link)
    tally.hold("the code does not stay in the address", tab.run("location.hash === ''"))
    tally.hold("the code is in the form", tab.run("document.querySelector('#code').value.length === 43"))
    tab.picture(folder / "login.png")
    tally.hold("looking logs nobody in", tab.run("location.pathname === '/console/login'"))
    tab.press("Enter")  # the button has the focus
    tab.until("location.pathname === '/console' && document.readyState === 'complete'")
    tally.hold("scripts cannot read the cookie", tab.run("document.cookie === ''"))
    again = Tab(tab.browser)
    again.go(link)
    again.press("Enter")
    again.until("!!document.querySelector('.wrong')")
    tally.hold("the link works once", again.run("location.pathname === '/console/login'"))
    again.close()


def live(tally: Tally, tab: Tab, enforcer: Enforcer, folder: Path) -> None:
    """What is held appears by itself, and disturbs nobody."""
    tab.until("document.querySelector('#live').dataset.state === 'on'")
    tally.hold("nothing waits at first", tab.run("document.querySelector('#none').innerText.includes('All quiet')"))
    tab.picture(folder / "empty.png")
    tab.run("window.__same = 1")
    enforcer.ask("write_file", {"path": "/srv/releases/1.4.0/notes.md", "text": "# 1.4.0\n\nHolds can be answered.", "token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a"})
    tab.until(f"{CARDS} === 1")
    tally.hold("a held call appears without the page being loaded anew", tab.run("window.__same === 1"))
    tally.hold("the count is told", tab.run("document.querySelector('#waiting').innerText === '1 call waits for a person.'"))
    tally.hold("nothing waits is not said any more", tab.run("document.querySelector('#none').innerText.trim() === ''"))
    tally.hold("no secret is shown", tab.run("!document.body.innerText.includes('ghp_')"))
    tab.click("#holds textarea")
    tab.type("half a sen")
    enforcer.ask("pay", {"to": "ACME Supplies", "amount": 1250.50, "currency": "EUR"})
    tab.until(f"{CARDS} === 2")
    tab.type("tence")
    tally.hold("what is being typed stays", tab.run("document.activeElement.value === 'half a sentence'"))
    tally.hold("what is new comes last", tab.run("document.querySelector('#holds > article:last-child').innerText.includes('pay')"))
    tab.picture(folder / "holds.png")


def answers(tally: Tally, tab: Tab, enforcer: Enforcer) -> None:
    """By clicking: one approved, one denied with a note, without leaving the page."""
    held = enforcer.ask("pay", {"to": "ACME Supplies", "amount": 1250.50, "currency": "EUR"})
    written = enforcer.ask("write_file", {"path": "/srv/a"})
    tab.until(f"{CARDS} === 3")
    tab.click("#holds > article:nth-child(2) button.deny")
    tab.until("document.querySelector('#notice').innerText.includes('Denied.')")
    said = enforcer.send(f"/v1/enforce/hold/{held['hold_token']}")
    tally.hold("a denial blocks", said["decision"] == "BLOCK", said)
    tally.hold("the page stays where it is", tab.run("window.__same === 1 && document.querySelector('#holds textarea').value === 'half a sentence'"))
    tab.click("#holds > article:last-child textarea")
    tab.type("looked at it")
    tab.click("#holds > article:last-child button.approve")
    tab.until("document.querySelector('#notice').innerText.includes('Approved.')")
    tally.hold("the answer and its note are told", tab.run("document.querySelector('#notice').innerText.includes('looked at it')"))
    said = enforcer.send(f"/v1/enforce/hold/{written['hold_token']}")
    tally.hold("an approval allows", said["decision"] == "ALLOW", said)
    tab.click("#holds button.deny")
    tab.until(f"{CARDS} === 0")


def keyboard(tally: Tally, tab: Tab, enforcer: Enforcer) -> None:
    """Without a mouse; and the enter key in a note answers nothing."""
    held = enforcer.ask("write_file", {"path": "/srv/keyboard"})
    tab.go(held["approval_url"])
    tally.hold("the first stop leads past the menu", tab.tab_to(".skip", 1))
    tally.hold("the note is reached, and the focus can be seen", tab.tab_to("textarea"))
    tab.type("by key")
    tab.press("Enter")
    tally.hold("enter in the note answers nothing", tab.run("document.querySelector('textarea') !== null"))
    tally.hold("the button is reached, and the focus can be seen", tab.tab_to("button.approve"))
    tab.press("Space")
    tab.until("!!document.querySelector('.badge.approved')")
    said = enforcer.send(f"/v1/enforce/hold/{held['hold_token']}")
    tally.hold("the keyboard approves", said["decision"] == "ALLOW", said)


def waiting(tally: Tally, tab: Tab, enforcer: Enforcer) -> None:
    """A client's call that waits gets its result after the click, and reaches the server once."""
    client = enforcer.client()
    try:
        tab.go(enforcer.url + "/console")
        number = client.call("write_file", {"path": "/srv/waits"})
        tab.until("document.querySelector('#holds').innerText.includes('/srv/waits')")
        tally.hold("the call waits", not client.has_answer(number) and not client.ledger.read_text())
        tally.hold("who calls is shown", tab.run("document.querySelector('#holds').innerText.includes('bob@acme.example')"))
        other = client.result(client.call("read_file", {"path": "/srv/a"}))
        tally.hold("other calls do not wait", "result" in other, other)
        tab.click("#holds button.approve")
        answer = client.result(number)
        tally.hold("the waiting client gets its result", "done: write_file" in json.dumps(answer), answer)
        calls = [line for line in client.ledger.read_text().splitlines() if "write_file" in line]
        tally.hold("the server was called once", len(calls) == 1, calls)
        number = client.call("pay", {"amount": 7})
        tab.until("document.querySelector('#holds').innerText.includes('pay')")
        tab.click("#holds textarea")
        tab.type("not today")
        tab.click("#holds button.deny")
        answer = client.result(number)
        tally.hold("the denied call is refused", answer.get("error", {}).get("code") == -32001, answer)
        tally.hold("it never reached the server", "pay" not in client.ledger.read_text())
    finally:
        client.close()


def hostile(tally: Tally, tab: Tab, enforcer: Enforcer, folder: Path) -> None:
    """Every text of a call is an attack."""
    tab.go(enforcer.url + "/console")
    enforcer.ask(
        f"write_{ATTACK}", {ATTACK: ATTACK}, user=ATTACK, agent_id=ATTACK, environment=ATTACK, metadata={"mcp_server": ATTACK}
    )
    tab.until(f"{CARDS} === 1")
    tab.picture(folder / "hostile.png")
    made = "document.querySelectorAll('main img, main script, main iframe, main svg, [onerror]').length"
    tally.hold("no attack becomes an element", tab.run(made) == 0)
    tally.hold("the attack is shown as what it is", tab.run("document.querySelector('#holds').innerText.includes('<script>alert(2)</script>')"))
    tally.hold("a character that turns text round is spelled out", tab.run("document.querySelector('#holds').innerText.includes('\\\\u{202e}')"))
    tab.click("#holds textarea")
    tab.type(ATTACK)
    tab.click("#holds button.deny")
    tab.until("document.querySelector('#notice').innerText.includes('Denied.')")
    tally.hold("nor does a note", tab.run(made) == 0)
    for path in ("/console/decisions", "/console/endpoints"):
        tab.go(enforcer.url + path)
        tally.hold(f"nor anything on {path}", tab.run(made) == 0)


def looks(tally: Tally, tab: Tab, enforcer: Enforcer, folder: Path) -> None:
    """On a phone and at a desk, by day and by night."""
    text = "word " * 200 + "x" * 400
    held = enforcer.ask("write_file", {"path": "/srv/" + "long" * 60, "text": text, "lines": list(range(40))})
    enforcer.ask("pay", {"to": "ACME Supplies", "amount": 1250.50, "currency": "EUR"}, user="console link")
    enforcer.ask("delete_all", {})
    tenant = enforcer.told["tenant"]
    for number, more in enumerate([{}, {"config_drifted": True}]):
        machine = {"endpoint_id": f"laptop-{number}", "hostname": f"ada-{number}", "environment": "dev", "proxy_version": "0.1.0"}
        try:
            enforcer.send(f"/{tenant}/thoth/endpoints", machine)
            servers = {"governed": [{"name": "files"}], "ungoverned": [{"name": "web"}] * number}
            enforcer.send(f"/{tenant}/thoth/endpoints/laptop-{number}/checkin", {**machine, **more, "status": "online", "servers": servers})
        except OSError as error:
            tally.hold("an endpoint checks in", False, error)
    pages = {"holds": "/console", "hold": held["approval_url"].removeprefix(enforcer.url), "decisions": "/console/decisions", "endpoints": "/console/endpoints"}
    for width in (360, 1200):
        for scheme in ("light", "dark"):
            tab.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
            tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            for name, path in pages.items():
                tab.go(enforcer.url + path)
                at = f"{name}, {width} px, {scheme}"
                tally.hold(f"{at}: no scrolling sideways", tab.run(WIDE), tab.run("document.documentElement.scrollWidth"))
                colours = tab.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
                tally.hold(f"{at}: text can be read", contrast(*colours) >= 7, colours)
                small = tab.run("[...document.querySelectorAll('main button, nav a')].filter(e => e.getBoundingClientRect().height < 36).length")
                tally.hold(f"{at}: what is pressed is large enough", small == 0, small)
                unnamed = tab.run(
                    "[...document.querySelectorAll('input:not([type=hidden]), textarea')].filter(e => !e.labels.length).length"
                    " + [...document.querySelectorAll('article')].filter(e => !document.getElementById(e.getAttribute('aria-labelledby'))).length"
                )
                tally.hold(f"{at}: fields and cards have names", unnamed == 0, unnamed)
                tab.picture(folder / f"{name}-{width}-{scheme}.png")
    tally.hold("times say when", tab.run("[...document.querySelectorAll('time')].every(e => !isNaN(Date.parse(e.dateTime)))"))


def elsewhere(tally: Tally, tab: Tab, enforcer: Enforcer) -> None:
    """A link on another site leads in, although its browser first leaves the cookie out."""
    tab.call("Page.navigate", url=f"data:text/html,<a id=x href='{enforcer.url}/console/decisions'>there</a>")
    tab.until("!!document.querySelector('#x')")
    tab.click("#x")
    tab.until("location.pathname === '/console/decisions' && !!document.querySelector('h1')")
    tally.hold("a link from another site leads to its page", tab.run("document.querySelector('h1').innerText === 'Decisions'"))
