"""Pages of other origins, and windows with scripts in them, as Chromium meets them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from browser import opened
from dashboard.serving import ask, dashboard, send_text, windows
from dashboard.test_browser import client_of
from visdom_server import free_port

#: Everything that a page may do to another server without asking it first.
ATTACK = """async ([port, victim]) => {
    const url = `http://localhost:${port}`, told = {};
    const planted = JSON.stringify({eid: 'planted', win: 'w', opts: {}, layout: {},
                                    data: [{type: 'text', content: 'planted'}]});
    const kinds = ['text/plain', 'application/x-www-form-urlencoded'];
    const send = (path, type, body) => fetch(`${url}/${path}`, {
        method: 'POST', mode: 'no-cors', headers: {'Content-Type': type}, body
    }).catch(() => 0);
    for (const type of kinds) {
        await send('events', type, planted);
        await send(`env/planted`, type, JSON.stringify({eid: victim}));
        await send('delete_env', type, JSON.stringify({eid: victim}));
    }
    navigator.sendBeacon(`${url}/events`, planted);
    for (const way of ['json', 'read'])
        told[way] = await fetch(`${url}/env_state`, way == 'json' ? {
            method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'
        } : {}).then(answer => answer.text()).catch(() => 'refused');
    for (const path of ['socket', 'vis_socket'])
        told[path] = await new Promise(resolve => {
            const socket = new WebSocket(`ws://localhost:${port}/${path}`);
            socket.onmessage = message => {
                socket.send(JSON.stringify({cmd: 'delete_env', eid: victim}));
                resolve(message.data);
            };
            socket.onerror = () => resolve('refused');
        });
    return told;
}"""
#: A form whose one field reads as JSON.
FORM = """port => {
    const form = document.body.appendChild(document.createElement('form'));
    form.action = `http://localhost:${port}/events`;
    Object.assign(form, {method: 'POST', enctype: 'text/plain'});
    const field = form.appendChild(document.createElement('input'));
    field.name = '{"eid": "planted", "win": "w", "data": [{"type": "text", "content": "';
    field.value = '"}]}';
    form.submit();
}"""
BAD = "window.ran = (window.ran || '') + '{0} '; parent.ran = window.ran"
#: Ways of a script into a page, each of which would tell its name.
HTML = {
    "handler": '<img src="/none" onerror="BAD">',
    "script": "<script>BAD</script>",
    "svg": '<svg onload="BAD" width="9" height="9"><script>BAD</script></svg>',
    "animated": '<svg><a><animate attributeName="href" values="javascript:BAD"/>'
    '<text y="20">link</text></a></svg>',
    "frame": '<iframe src="javascript:BAD"></iframe>',
    "document": "<iframe srcdoc=\"<script>BAD</script><img src=x onerror='BAD'>\"></iframe>",
    "object": '<object data="javascript:BAD"></object><embed src="javascript:BAD">',
    "data": '<object data="data:text/html,<script>BAD</script>"></object>',
    "link": '<a href="javascript:BAD">link</a>',
    "form": '<form action="javascript:BAD"><button class="link">link</button></form>',
    "focus": '<input autofocus onfocus="BAD">',
    "details": '<details open ontoggle="BAD">x</details>',
    "style": '<style onload="BAD">p {}</style>',
    "mathjax": '<script type="text/x-mathjax-config">BAD</script>',
    "tooltip": '<p data-toggle="modal" data-target="<img src=x onerror=\'BAD\'>" class="link">',
    "refresh": '<MetA http-equiv="refresh" content="0;url=/user/style.css">',
    "formula": r"$\href{javascript:BAD}{x}$",
}


def bad(name: str, text: str) -> str:
    return text.replace("BAD", BAD.format(name))


@contextmanager
def another_server() -> Iterator[int]:
    """A server of some other page; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>another</title><body>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def environments(port: int) -> set[str]:
    return set(json.loads(ask(f"http://localhost:{port}/env_state", {})[1]))


def test_a_page_of_another_origin(small_assets: Path, tmp_path: Path) -> None:
    """Of another site, another port, or a name that leads here: nothing is read, sent, deleted."""
    port = free_port()
    victim = tmp_path / "victim.json"
    victim.write_text("{}")
    flags = ["--assets", str(small_assets), "--hosts", "boards.example"]
    with dashboard(tmp_path, port, *flags), another_server() as other:
        send_text(port, "run", "what is shown")
        leading = [f"--host-resolver-rules=MAP *.example 127.0.0.1:{port}"]
        with opened(f"http://127.0.0.1:{other}/", flags=leading) as page:
            for host in ("127.0.0.1", "localhost"):
                page.goto(f"http://{host}:{other}/")
                told = page.evaluate(ATTACK, [port, str(victim.with_suffix(""))])
                assert set(told.values()) == {"refused"}, told
                with page.expect_navigation(url="**/events") as answer:
                    page.evaluate(FORM, port)
                assert answer.value.status == 403
            page.goto("http://evil.example/")
            assert "unknown host 'evil.example'" in page.content()
            page.goto("http://boards.example/")
            assert page.title() == "visdom"
        assert environments(port) == {"main", "run"}
        assert windows(port, "run")["w"]["content"] == "what is shown"
        assert victim.exists()


def fill(client: Any) -> None:
    """Windows of all kinds, with scripts wherever a text goes."""
    for name, text in HTML.items():
        client.text(bad(name, text), win=name, opts={"title": bad(f"{name}-title", text)})
    client.svg(bad("pane", HTML["svg"]), win="pane")
    for place in ("title", "legend", "caption"):
        text = bad(place, HTML["handler"])
        opts = {"title": text, "legend": [text], "caption": text, "xlabel": text}
        client.line(Y=np.arange(2.0), X=np.arange(2), win=f"{place} line", opts=opts)
        client.image(np.zeros((3, 9, 9)), win=f"{place} image", opts=opts)
    link = bad("annotation", HTML["link"])
    plot = {"title": {"text": link}, "annotations": [{"text": link, "x": 0, "y": 0}]}
    client.line(
        Y=np.arange(2.0), win="annotated", opts={"title": "x", "layoutopts": {"plotly": plot}}
    )
    rows = [
        {"type": kind, "name": bad("property", HTML["handler"]), "value": link, "values": [link]}
        for kind in ("text", "button", "select")
    ]
    client.properties(rows, win="properties")
    for src in ("javascript:BAD", "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' "
                "onload=\"BAD\"/>"):  # fmt: skip
        content = {"src": bad("source", src), "caption": bad("caption", HTML["link"])}
        client._send({"data": [{"type": "image", "content": content}], "win": src, "opts": {}})


def test_no_script_in_a_window_runs(assets: Path, tmp_path: Path) -> None:
    """By whichever window it comes, now or out of a file; clicking on it does not help."""
    port = free_port()
    with dashboard(tmp_path, port, "--assets", str(assets)):
        fill(client_of(port))
        with opened(f"http://localhost:{port}/env/my%20run") as page:
            page.wait_for_selector("text=online")
            page.wait_for_selector(".js-plotly-plot .annotation-text-g", state="attached")
            page.evaluate(
                """() => [...document.querySelectorAll('a, .link, button')].forEach(element => {
                    if (!element.closest('nav, .navbar, .bar, .modebar, [class*=navbar]'))
                        element.dispatchEvent(new MouseEvent('click', {bubbles: true}));
                })"""
            )
            page.wait_for_timeout(300)
            assert page.evaluate("window.ran") is None
            assert page.title() == "visdom"
            assert page.url.partition("#")[0].endswith("/env/my%20run")
