// What the pages do beyond links and forms, all of which work without this file.

const body = document.body;
const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

// --- Ids: a click copies the whole of it.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  await navigator.clipboard.writeText(button.dataset.copy);
  const shown = button.textContent;
  button.textContent = "copied";
  button.classList.add("copied");
  setTimeout(() => {
    button.textContent = shown;
    button.classList.remove("copied");
  }, 1200);
});

// --- Light and dark: kept in a cookie, so that the server draws the page right from the start.

document.addEventListener("click", (event) => {
  const toggle = event.target.closest("[data-theme-toggle]");
  if (!toggle) return;
  event.preventDefault();
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `aos_theme=${root.dataset.theme}; path=/; max-age=31622400; samesite=lax`;
});

// --- A one-time link: sent at once where a person opened it.

for (const form of all("form[data-send]")) form.requestSubmit();

// --- Menus close when one looks elsewhere.

document.addEventListener("click", (event) => {
  for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// --- Times: "3 min ago" stays true. The server's clock counts, not this machine's.

const server = body.dataset.now ? Date.parse(body.dataset.now) : Date.now();
const loaded = performance.now();
const SPANS = [[86400, "d"], [3600, "h"], [60, "min"]];

function ago(moment) {
  const seconds = (server + performance.now() - loaded - moment) / 1000;
  const size = Math.abs(seconds);
  const span = SPANS.find(([length]) => size >= length);
  if (!span && size < 5) return "just now";
  const text = span ? `${Math.floor(size / span[0])} ${span[1]}` : `${Math.floor(size)} s`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

function tellTimes() {
  for (const time of all("time[data-ago]")) {
    const text = ago(Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(tellTimes, 10000);

// --- Live: when something happens, the page is asked for again and what differs changes in its place.

let pending = null;
let again = false;

async function refresh() {
  if (pending) {
    again = true;
    return;
  }
  pending = fetch(location.href, { headers: { Accept: "text/html" } });
  try {
    const answer = await pending;
    if (answer.ok && !answer.redirected) apply(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The next event, or the next look, tries again.
  } finally {
    pending = null;
    if (again) {
      again = false;
      setTimeout(refresh, 400);
    }
  }
}

function apply(fresh) {
  for (const old of all("[data-live][id]")) {
    const now = fresh.getElementById(old.id);
    if (!now || now.outerHTML === old.outerHTML || old.contains(document.activeElement) && typing()) continue;
    if (grewOutOfSight(old, now)) continue;
    replace(old, now);
  }
  tellTimes();
}

function replace(old, now) {
  const open = new Map(all("details[data-key]", old).map((each) => [each.dataset.key, each.open]));
  const at = focusedLink(old);
  const scrolled = all(".graph", old).map((each) => each.scrollLeft);
  const placed = document.importNode(now, true);
  for (const each of all("details[data-key]", placed)) if (open.has(each.dataset.key)) each.open = open.get(each.dataset.key);
  old.replaceWith(placed);
  all(".graph", placed).forEach((each, n) => { each.scrollLeft = scrolled[n] ?? 0; });
  if (at) placed.querySelector(`a[href="${CSS.escape(at)}"]`)?.focus({ preventScroll: true });
}

function focusedLink(within) {
  const active = document.activeElement;
  return within.contains(active) && active.tagName === "A" ? active.getAttribute("href") : null;
}

// New rows wait behind a word where the person has scrolled: nothing jumps under the eye.
function grewOutOfSight(old, now) {
  const grown = all("tbody tr", now).length - all("tbody tr", old).length;
  if (grown <= 0 || window.scrollY < 200) return false;
  const id = `fresh-${old.id}`;
  let note = document.getElementById(id);
  if (!note) {
    note = document.createElement("div");
    note.id = id;
    note.className = "fresh";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button primary";
    note.append(button);
    old.before(note);
  }
  const button = note.firstElementChild;
  button.textContent = `${grown} new`;
  button.onclick = () => {
    note.remove();
    replace(document.getElementById(old.id), now);
  };
  return true;
}

const LOOK_SECONDS = 5;
let looking = null;
let heardAt = 0;

// Where no stream is served, or it ended, the page looks for itself.
function look() {
  if (!looking) looking = setInterval(() => { if (!document.hidden) refresh(); }, LOOK_SECONDS * 1000);
}

function heard() {
  const wait = Math.max(0, 300 - (performance.now() - heardAt));
  heardAt = performance.now() + wait;
  setTimeout(refresh, wait);
}

function listen(stream) {
  const source = new EventSource(stream.dataset.stream);
  for (const kind of stream.dataset.kinds.split(" ")) source.addEventListener(kind, heard);
  source.onopen = () => {
    clearInterval(looking);
    looking = null;
  };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) look(); };
}

const stream = document.getElementById("stream");
if (stream) listen(stream);
else if (document.querySelector("[data-live]")) look();

// --- Keyboard.

const typing = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
let went = -Infinity;
let row = -1;

function move(by) {
  const rows = all("[data-rows] tbody tr").filter((each) => each.offsetParent !== null && each.querySelector("a[href]"));
  if (!rows.length) return;
  all("tr.at").forEach((each) => each.classList.remove("at"));
  row = Math.max(0, Math.min(rows.length - 1, row + by));
  rows[row].classList.add("at");
  rows[row].querySelector("a[href]").focus({ preventScroll: true });
  rows[row].scrollIntoView({ block: "nearest" });
}

const keys = {
  "/": () => document.querySelector(".search input")?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
  j: () => move(1),
  k: () => move(-1),
  g: () => { went = performance.now(); },
  a: () => document.getElementById("sure")?.showModal(),
  d: () => {
    const denial = document.querySelector("[data-deny]");
    if (!denial) return;
    if (denial.open) denial.querySelector("textarea").focus();
    denial.open = true;
  },
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && typing()) document.activeElement.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || typing() || document.querySelector("dialog[open]")) return;
  if (performance.now() - went < 1500 && event.key !== "g") {
    went = -Infinity;
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      location.assign(link.href);
      return;
    }
  }
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

for (const button of all("[data-keys]")) button.addEventListener("click", () => keys["?"]());
for (const denial of all("[data-deny]")) {
  denial.addEventListener("toggle", () => { if (denial.open) denial.querySelector("textarea").focus(); });
}
