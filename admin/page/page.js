// The status page of mkd. /events sends the last five minutes first, and then the
// daemon's state once a second. What a client or a script made is only ever set as
// text.
"use strict";

const $ = (id) => document.getElementById(id);
const seconds = 300, shownWorkers = 8, hour = 3600, day = 24 * hour;
let control = false, history = [], all = new Set(), lastSeen = 0;

// Numbers for people.
const number = (n) => n >= 1e9 ? (n / 1e9).toFixed(1) + " G" : n >= 1e6 ? (n / 1e6).toFixed(1) + " M" : n >= 1e4 ? (n / 1e3).toFixed(1) + " k" : String(Math.round(n));
const rate = (n) => n >= 100 ? number(n) : n >= 10 ? n.toFixed(1) : n > 0 ? n.toFixed(2) : "0";
const size = (n) => n >= 2 ** 30 ? (n / 2 ** 30).toFixed(1) + " GiB" : n >= 2 ** 20 ? (n / 2 ** 20).toFixed(n >= 2 ** 27 ? 0 : 1) + " MiB" : n >= 1024 ? Math.round(n / 1024) + " KiB" : n + " B";
const took = (s) => s <= 0 ? "–" : s < 0.001 ? (s * 1e6).toFixed(0) + " µs" : s < 1 ? (s * 1e3).toFixed(s < 0.01 ? 1 : 0) + " ms" : span(s);
function span(s) {
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.round(s) + " s";
  if (s < 2 * hour) return Math.round(s / 60) + " min";
  return s < 2 * day ? Math.round(s / hour) + " h" : Math.round(s / day) + " days";
}
const share = (x) => x > 0 ? (x * 100).toFixed(x < 0.1 ? 1 : 0) + " %" : "0";

// make returns an element with a class and a text.
function make(tag, name, text) {
  const e = document.createElement(tag);
  if (name) e.className = name;
  if (text !== undefined) e.textContent = text;
  return e;
}
const set = (e, text) => { if (e.textContent !== text) e.textContent = text; };
const mark = (e, name) => { if (e.className !== name) e.className = name; };

// keyed keeps one child of a parent for each item, in their order, so that what did
// not change stays as it is, with focus and selection.
function keyed(parent, items, key, create, update) {
  const old = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  items.forEach((item, i) => {
    const k = String(key(item));
    let e = old.get(k);
    old.delete(k);
    if (!e) {
      e = create(item);
      e.dataset.key = k;
    }
    if (parent.children[i] !== e) parent.insertBefore(e, parent.children[i] || null);
    update(e, item);
  });
  old.forEach((e) => e.remove());
}

// rows fills a table's body. A cell is a text, or [text, class], or [text, class,
// class of a pill].
function rows(body, items, key, cells) {
  keyed(body, items, key, () => make("tr"), (tr, item) => cells(item).forEach((cell, i) => {
    const [text, name = "", pill] = Array.isArray(cell) ? cell : [cell];
    const td = tr.children[i] || tr.appendChild(make("td"));
    mark(td, name);
    const where = pill === undefined ? td : td.firstElementChild || td.appendChild(make("span"));
    if (pill !== undefined) mark(where, "pill " + pill);
    set(where, text);
    if (name.includes("path") && td.title !== text) td.title = text;
  }));
}
const bodyOf = (id) => $(id).querySelector("tbody");

// Charts: a title, the value of now, and the last five minutes.
const charts = [
  ["Requests", "requests", rate, "/s"], ["Errors (5xx)", "errors", rate, "/s"], ["Slowest 1 %", "p99", took, ""],
  ["Connections", "connections", number, ""], ["Live sessions", "sessions", number, ""], ["Busy workers", "busy", number, ""],
  ["Waiting", "waiting", number, "in queues"], ["Memory", "memory", size, ""],
];
function drawCharts() {
  keyed($("charts"), charts, (c) => c[1], ([title, field, , unit]) => {
    const e = make("article", "chart");
    e.append(make("h2", "", title), make("p"));
    e.lastChild.append(make("span"), make("small", "", unit));
    e.lastChild.firstChild.id = "now-" + field;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 300 48");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const name of ["area", "line"]) {
      const path = document.createElementNS(svg.namespaceURI, "path");
      path.setAttribute("class", name);
      svg.append(path);
    }
    e.append(svg);
    return e;
  }, (e, [, field, format]) => {
    const values = history.map((p) => p[field]);
    set($("now-" + field), format(values[values.length - 1] || 0));
    const top = Math.max(...values, field === "p99" ? 0.001 : 1) * 1.15;
    const line = values.map((v, i) => (seconds - values.length + i + 1) + " " + (46 - v / top * 42).toFixed(1));
    const [area, stroke] = e.querySelectorAll("path");
    stroke.setAttribute("d", line.length > 1 ? "M" + line.join("L") : "");
    area.setAttribute("d", line.length > 1 ? "M" + line.join("L") + "L300 48L" + (seconds - values.length + 1) + " 48Z" : "");
  });
}

// problems lists what needs attention.
function problems(s) {
  const list = [];
  const add = (name, text) => list.push({ name, text });
  for (const why of s.not_ready || []) add("bad", "Not ready: " + why);
  if (s.maintenance) add("bad", "Maintenance is on: all requests get 503; mkd maintenance off ends it");
  if (s.reloads.last_error) add("warn", "The last reload was refused: " + s.reloads.last_error);
  for (const b of s.backends) {
    if (!b.up && s.state !== "starting") add("bad", `Backend ${b.name} is down: ${b.why}`);
    for (const u of b.upstreams || []) if (!u.up && b.up) add("warn", `${b.name}: ${u.name} is down: ${u.why}`);
    if (!b.pool) continue;
    const hanging = b.pool.workers.filter((w) => w.state === "hanging");
    if (hanging.length) add("bad", `${b.name}: ${hanging.length === 1 ? "a worker is" : hanging.length + " workers are"} hanging`);
    if (b.pool.failure && b.up) add("warn", `${b.name}: a worker can't start: ${b.pool.failure}`);
  }
  if (s.sessions.store_down) add("warn", "Sessions can't be resumed: " + s.sessions.store_error);
  for (const c of s.certificates) {
    const left = (Date.parse(c.not_after) - Date.parse(s.now)) / 1000;
    if (c.error) add("bad", `Certificate ${c.name}: ${c.error}`);
    else if (left < 14 * day) add(left < 0 ? "bad" : "warn", `Certificate ${c.name} ${left < 0 ? "has expired" : "expires in " + span(left)}`);
  }
  $("problems").hidden = !list.length;
  keyed($("problems"), list, (p) => p.text, () => make("li"), (e, p) => { mark(e, p.name); set(e, p.text); });
}

const workerStates = ["hanging", "draining", "busy", "idle"];
const pills = { hanging: "bad", draining: "warn", busy: "", idle: "good" };

// table returns a table with its head in a box that scrolls.
function table(name, head) {
  const box = make("div", "scroll"), t = box.appendChild(make("table", name));
  const tr = t.appendChild(make("thead")).appendChild(make("tr"));
  for (const [text, cls] of head) tr.append(make("th", cls || "", text));
  t.append(make("tbody"));
  return box;
}
const workerHead = [["PID"], ["State"], ["For", "n"], ["Request"], ["Memory", "n wide"], ["Requests", "n wide"], ["Age", "n wide"]];
const upstreamHead = [["Server"], ["State"], ["In flight", "n"], ["Requests", "n wide"], ["Failed", "n"], ["Retried", "n wide"], ["Why", "wide"]];

function backends(s) {
  keyed($("backends"), s.backends, (b) => b.name, (b) => {
    const e = make("article", "panel");
    const top = e.appendChild(make("div", "top"));
    top.append(make("h2", "", b.name), make("span", "kind", b.kind), make("span", "pill"));
    if (b.pool) {
      const button = make("button", "restart", "Restart workers");
      button.onclick = () => act("restart", b.name);
      top.append(button);
    }
    e.append(make("p", "facts"), make("div", "cells"));
    if (b.pool) {
      e.append(table("workers", workerHead));
      const more = e.appendChild(make("button", "more"));
      more.onclick = () => { all.has(b.name) ? all.delete(b.name) : all.add(b.name); };
    }
    if (b.upstreams) e.append(table("upstreams", upstreamHead));
    return e;
  }, (e, b) => {
    const pill = e.querySelector(".top .pill");
    mark(pill, "pill " + (b.up ? "good" : "bad"));
    set(pill, b.up ? "up" : "down");
    const facts = [];
    if (b.pool) pool(e, b, facts);
    if (b.php_cgi) facts.push([number(b.php_cgi.pids.length), "processes of php-cgi"], [number(b.php_cgi.crashes), "crashes"]);
    if (b.upstreams) {
      rows(e.querySelector(".upstreams tbody"), b.upstreams, (u) => u.name, (u) => [
        [u.name, "path"], [u.up ? "up" : "down", "", u.up ? "good" : "bad"], [number(u.active + u.waiting), "n"], [number(u.requests), "n wide"],
        [number(u.failed), "n"], [number(u.retried), "n wide"], [u.why || "", "why soft wide"]]);
    }
    e.querySelector(".facts").hidden = !facts.length;
    keyed(e.querySelector(".facts"), facts, (f) => f[1], (f) => {
      const span = make("span");
      span.append(make("b"), " " + f[1]);
      return span;
    }, (span, f) => set(span.firstChild, f[0]));
  });
}

function pool(e, b, facts) {
  const p = b.pool, by = (state) => workerStates.indexOf(state);
  const ended = Object.entries(p.ended).filter(([why]) => ["crash", "timeout", "memory_limit", "boot"].includes(why)).reduce((n, [, k]) => n + k, 0);
  facts.push([`${p.workers.length} of ${p.max_workers}`, "workers"], [number(p.waiting), "waiting"], [took(p.wait_p99), "longest wait (p99)"],
    [number(p.requests), "requests"], [number(ended), "killed or crashed"]);
  const sorted = [...p.workers].sort((a, b) => by(a.state) - by(b.state) || b.for - a.for);
  keyed(e.querySelector(".cells"), p.workers, (w) => w.pid, () => make("i"), (i, w) => { mark(i, w.state); i.title = `${w.pid} ${w.state}`; });
  rows(e.querySelector(".workers tbody"), all.has(b.name) ? sorted : sorted.slice(0, shownWorkers), (w) => w.pid, (w) => [
    String(w.pid), [w.state, "", pills[w.state]], [span(w.for), "n"],
    [w.state === "idle" ? "" : [w.method, w.path || w.route].filter(Boolean).join(" "), "path"], [size(w.memory), "n wide"], [number(w.requests), "n wide"], [span(w.age), "n wide soft"]]);
  const more = e.querySelector(".more");
  more.hidden = sorted.length <= shownWorkers;
  set(more, all.has(b.name) ? "Show fewer" : `Show all ${sorted.length} workers`);
  e.querySelector(".restart").hidden = !control;
}

const total = (counts) => Object.values(counts || {}).reduce((a, b) => a + b, 0);

function tables(s) {
  rows(bodyOf("routes"), s.routes, (r) => r.name + "\n" + r.backend, (r) => [
    r.name === "none" ? "no route" : r.name, [r.backend, "soft wide"], [rate(r.rate), "n"], [took(r.p50), "n"], [took(r.p99), "n"],
    [share(r.errors), "n"], [number(r.requests), "n wide"], [size(r.in), "n wide soft"], [size(r.out), "n wide soft"]]);
  rows(bodyOf("listeners"), s.listeners, (l) => l.name, (l) => [
    `${l.name} (${l.kind})`, [l.address, "soft"], [number(l.connections), "n"], [number(l.requests), "n"], [l.megaki ? number(l.megaki.live) : "", "n wide"],
    [l.megaki ? number(l.megaki.handshakes.done) : "", "n wide"], [l.megaki ? number(l.megaki.resumptions.done) : "", "n wide"],
    [number(l.refused + (l.megaki ? total(l.megaki.handshakes) - l.megaki.handshakes.done - (l.megaki.handshakes.gone || 0) : 0)), "n wide"]]);
  const keys = s.listeners.flatMap((l) => ((l.megaki || {}).keys || []).map((k) => ({ ...k, listener: l.name })));
  $("keys").hidden = !keys.length;
  rows(bodyOf("keys"), keys, (k) => k.listener + k.id, (k) => [
    [k.id + (k.retired ? " (retired)" : ""), "path"], [k.listener, "soft"], [number(k.live), "n"], [number(k.handshakes), "n"], [number(k.resumes), "n wide"],
    [k.last_seen ? span(Math.max(0, (Date.parse(s.now) - Date.parse(k.last_seen)) / 1000)) + " ago" : "never", "n soft"]]);
  $("certificates").hidden = !s.certificates.length;
  rows(bodyOf("certificates"), s.certificates, (c) => c.listener + c.name, (c) => {
    const left = c.not_after ? (Date.parse(c.not_after) - Date.parse(s.now)) / 1000 : 0;
    return [[(c.hosts || []).join(" ") || c.name, "path"], [c.source, "soft wide"], [left > 0 ? "in " + span(left) : "–", "n"],
      [c.error ? "failing" : left <= 0 ? "expired" : "valid", "", c.error || left <= 0 ? "bad" : left < 14 * day ? "warn" : "good"]];
  });
}

function show(e) {
  const s = e.status;
  lastSeen = Date.now();
  document.body.classList.remove("stale");
  if (!e.point) { history = e.history || []; control = e.control; } // the first event
  if (e.point) history.push(e.point);
  history.splice(0, history.length - seconds);
  drawCharts();
  const names = { ready: "good", starting: "warn", draining: "warn" };
  mark($("state"), "pill " + (names[s.state] || "bad"));
  set($("state"), s.state);
  set($("about"), `${s.version} · up ${span((Date.parse(s.now) - Date.parse(s.started)) / 1000)} · configuration ${s.generation} · process ${s.pid}`);
  document.title = (s.state === "ready" ? "" : s.state + " · ") + "mkd";
  $("actions").hidden = !control;
  problems(s);
  backends(s);
  tables(s);
  const dropped = total(s.log_lines_dropped);
  set($("foot"), `${number(s.requests)} requests since the start · ${s.in_flight} in flight · ${s.sessions.resumable < 0 ? "" : number(s.sessions.resumable) + " sessions can be resumed · "}` +
    `message memory ${size(s.memory.messages)} of ${size(s.memory.messages_limit)} · spool ${size(s.memory.spool)} of ${size(s.memory.spool_limit)}` + (dropped ? ` · ${number(dropped)} log lines dropped` : ""));
}

// Actions exist on the unix socket alone.
const actions = {
  reload: () => ["reload", "", "Reload the configuration?", "It is checked first. If anything is wrong, nothing changes.", "Reload"],
  drain: () => ["drain", "", "Drain and stop mkd?", "The readiness check fails, requests in flight end, and then mkd stops. It doesn't start again by itself.", "Drain and stop"],
  restart: (name) => ["workers/restart", "name=" + encodeURIComponent(name), `Restart the workers of ${name}?`, "One after the other, as soon as its replacement is ready. No request is dropped.", "Restart workers"],
};
function act(what, name) {
  const [path, body, ask, consequence, yes] = actions[what](name), d = $("confirm");
  set($("ask"), ask);
  set($("consequence"), consequence);
  set($("yes"), yes);
  d.returnValue = "";
  d.onclose = async () => {
    if (d.returnValue !== "yes") return;
    report("", yes + " …");
    try {
      const r = await fetch(path, { method: "POST", body, headers: { "Content-Type": "application/x-www-form-urlencoded" } });
      report(r.ok ? "good" : "bad", (await r.text()).trim());
    } catch {
      report("bad", "mkd doesn't respond.");
    }
  };
  d.showModal();
}
let hide;
function report(name, text) {
  const e = $("result");
  mark(e, "panel " + name);
  set(e, text);
  e.hidden = false;
  clearTimeout(hide);
  hide = setTimeout(() => { e.hidden = true; }, 8000);
}
for (const button of document.querySelectorAll("[data-action]")) button.onclick = () => act(button.dataset.action);

const events = new EventSource("events");
events.onmessage = (m) => show(JSON.parse(m.data));
setInterval(() => {
  if (Date.now() - lastSeen < 4000) return;
  document.body.classList.add("stale");
  mark($("state"), "pill bad");
  set($("state"), "no connection");
}, 1000);
