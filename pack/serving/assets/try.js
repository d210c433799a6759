// The page on which a model is tried. All that a model says of itself is shown as text, never as markup.
"use strict";

const facts = JSON.parse(document.body.dataset.facts);
const WIDTH = 76;
const MOST_LAID_OUT = 200000;
const MOST_SHOWN = 500000;
const PHASES = ["parse", "queue", "validate", "predict", "encode"];
const part = (id) => document.getElementById(id);
let model = facts.models[0];
let sent = null;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// JSON with line breaks, every number spelled as it came: parsing would round what JavaScript cannot hold.
function laidOut(text) {
  if (text.length > MOST_LAID_OUT) return text;
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g) || [];
  let place = 0;
  function read(depth) {
    const open = tokens[place++];
    if (open !== "[" && open !== "{") return open;
    const close = open === "[" ? "]" : "}";
    const items = [];
    let plain = true;
    while (place < tokens.length && tokens[place] !== close) {
      let item = tokens[place] === "[" || tokens[place] === "{" ? read(depth + 1) : tokens[place++];
      if (tokens[place] === ":") {
        place++;
        plain = plain && tokens[place] !== "[" && tokens[place] !== "{";
        item += ": " + read(depth + 1);
      } else if (item.length > 1 && (item[0] === "[" || item[0] === "{")) {
        plain = false;
      }
      items.push(item);
      if (tokens[place] === ",") place++;
    }
    place++;
    const line = open + items.join(", ") + close;
    const long = line.length + 2 * depth > WIDTH;
    if ((!long && !line.includes("\n")) || (plain && open === "[" && !line.includes("\n"))) return line;
    const inner = "\n" + "  ".repeat(depth + 1);
    return open + inner + items.join("," + inner) + "\n" + "  ".repeat(depth) + close;
  }
  try {
    const found = read(0);
    return place === tokens.length ? found : text;
  } catch {
    return text;
  }
}

function table(title, heads, rows) {
  const made = element("table");
  const head = element("tr");
  for (const name of heads) {
    const cell = element("th", name);
    cell.scope = "col";
    head.append(cell);
  }
  const top = element("thead");
  top.append(head);
  const body = element("tbody");
  for (const row of rows) {
    const line = element("tr");
    heads.forEach((_, index) => line.append(element("td", row[index], index ? "kind" : "")));
    body.append(line);
  }
  made.append(top, body);
  const box = element("div", undefined, "wide");
  box.append(made);
  part("signature").append(element("h3", title), box);
}

function show(chosen) {
  model = chosen;
  document.title = "Try " + model.name;
  part("name").textContent = model.name;
  part("description").textContent = model.description || "";
  part("description").hidden = !model.description;
  part("about").replaceChildren();
  for (const [name, value] of Object.entries(model.about)) {
    part("about").append(element("dt", name), element("dd", value, name === "digest" || name === "uri" ? "code" : ""));
  }
  part("signature").replaceChildren();
  if (model.inputs) table("Inputs", ["name", "type", "required"], model.inputs);
  else part("signature").append(element("h3", "Inputs"), element("p", "The model declares none: any body may fit.", "quiet"));
  if (model.params && model.params.length) table("Params", ["name", "type", "default"], model.params);
  if (model.outputs) table("Outputs", ["name", "type"], model.outputs);
  reset();
  clear();
}

function reset() {
  part("body").value = laidOut(model.example);
  part("origin").textContent = model.is_made ? "(made from the signature; put your values in)" : "(the model's own example)";
  showCurl();
}

function clear() {
  if (sent) sent.abort();
  sent = null;
  part("status").textContent = "Nothing was sent yet.";
  part("timing").replaceChildren();
  part("phases").textContent = "\u00a0";
  part("answer").textContent = "";
}

// A page may have been opened with a key in its address; it must neither be shown nor stand in the way of fetch().
function address() {
  const path = model === facts.models[0] ? "invocations" : model.path;
  return new URL("./" + path, location.origin + location.pathname).href;
}

function showCurl() {
  const quoted = "'" + part("body").value.replaceAll("'", "'\\''") + "'";
  const url = "'" + address().replaceAll("'", "%27") + "'";
  const key = facts.needs_key ? ' \\\n  -H "Authorization: Bearer $KEY"' : "";
  const type = " \\\n  -H 'Content-Type: application/json'";
  part("curl").textContent = "curl " + url + key + type + " \\\n  --data-raw " + quoted;
}

function showPhases(header) {
  const found = [];
  for (const item of (header || "").split(",")) {
    const match = /^\s*([\w-]+)\s*;.*?dur=([\d.]+)/.exec(item);
    if (match) found.push({ name: match[1], took: Number(match[2]) });
  }
  part("timing").replaceChildren();
  part("phases").replaceChildren(...(found.length ? [] : ["\u00a0"]));
  for (const phase of found) {
    const kind = PHASES.includes(phase.name) ? phase.name : "other";
    const bar = element("span", undefined, kind);
    bar.style.flexGrow = String(phase.took);
    part("timing").append(bar);
    const word = element("span");
    word.append(element("i", undefined, kind), phase.name + " " + phase.took.toFixed(3) + " ms");
    part("phases").append(word);
  }
}

function showStatus(response, milliseconds) {
  const id = response.headers.get("x-request-id");
  const word = element("strong", response.status + (response.statusText ? " " + response.statusText : ""));
  word.className = response.ok ? "good" : "bad";
  const rest = " in " + milliseconds.toFixed(1) + " ms" + (id ? " · request " + id : "");
  part("status").replaceChildren(word, rest);
}

async function send() {
  if (sent) return;
  const mine = (sent = new AbortController());
  const button = part("send");
  button.setAttribute("aria-disabled", "true");
  part("status").textContent = "Waiting for the answer …";
  const start = performance.now();
  try {
    const response = await fetch(address(), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: part("body").value,
      signal: mine.signal,
    });
    const text = await response.text();
    if (sent !== mine) return;
    showStatus(response, performance.now() - start);
    showPhases(response.headers.get("server-timing"));
    const shown = laidOut(text);
    const left = shown.length - MOST_SHOWN;
    part("answer").textContent = left > 0 ? shown.slice(0, MOST_SHOWN) + "\n… and " + left + " characters more" : shown;
  } catch (error) {
    if (!mine.signal.aborted) {
      showPhases("");
      part("answer").textContent = "";
      part("status").replaceChildren(element("strong", "No answer", "bad"), ": " + error.message);
    }
  } finally {
    if (sent === mine) sent = null;
    if (!sent) button.removeAttribute("aria-disabled");
  }
}

async function copy() {
  const button = part("copy");
  const text = part("curl").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https the clipboard is not there: what is selected can still be copied.
    getSelection().selectAllChildren(part("curl"));
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

for (const one of facts.models) {
  part("model").append(new Option(one.name));
}
part("choice").hidden = facts.models.length < 2;
part("server").textContent = facts.version;
part("model").addEventListener("change", () => show(facts.models[part("model").selectedIndex]));
part("send").addEventListener("click", send);
part("reset").addEventListener("click", reset);
part("copy").addEventListener("click", copy);
part("body").addEventListener("input", showCurl);
part("body").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    send();
  }
});
show(model);
