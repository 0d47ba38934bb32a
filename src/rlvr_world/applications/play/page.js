"use strict";
const at = (id) => document.getElementById(id);
const make = (name, fields = {}, ...children) => {
  const element = Object.assign(document.createElement(name), fields);
  element.append(...children);
  return element;
};
let about, moments = [], here = 0, busy = false, target = null;

async function ask(path, given) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(given) };
  const answer = await fetch(path, given ? post : {});
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

async function change(path, given) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    const found = await ask(path, given);
    moments = path === "begin" ? found : [...moments, ...found];
    here = moments.length - 1;
    show();
  } catch (error) {
    at("note").textContent = error.message;
  }
  busy = false;
  document.body.removeAttribute("aria-busy");
}

const step = () => change("step", { parent: here, action: chosen() });
const rewind = () => { here = moments[here].parent ?? here; show(); };

function chosen() {
  if (about.kind === "text") return at("action").value;
  return [...document.querySelectorAll("#actions input[type=range]")].map((input) => Number(input.value));
}

function choose(action) {
  if (about.kind === "text") { at("action").value = action; return; }
  document.querySelectorAll("#actions input[type=range]").forEach((input, index) => {
    input.value = action[index];
    input.nextSibling.value = Number(action[index]).toFixed(about.pointer ? 0 : 2);
  });
  if (about.pointer) mark();
}

// Pictures

function draw(canvas, source) {
  const picture = new Image();
  picture.onload = () => {
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext("2d").drawImage(picture, 0, 0);
  };
  picture.src = source;
}

function mark() {
  const overlay = at("overlay"), side = 512, pen = overlay.getContext("2d");
  overlay.width = side;
  overlay.height = side * about.size[0] / about.size[1];
  const rows = at("certain").checked && moments[here].certainty;
  if (rows && about.kind === "video") {
    const high = overlay.height / rows.length, wide = side / rows[0].length;
    rows.forEach((row, y) => row.forEach((sure, x) => {
      pen.fillStyle = `rgba(220, 30, 60, ${0.75 * (1 - sure)})`;
      pen.fillRect(x * wide, y * high, wide, high);
    }));
  }
  if (!about.pointer) return;
  const [x, y] = chosen().map((value) => (value - about.pointer.origin) / about.pointer.side * side);
  pen.strokeStyle = "#e4572e";
  pen.lineWidth = 3;
  pen.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    pen.moveTo(x + 5 * dx, y + 5 * dy);
    pen.lineTo(x + 14 * dx, y + 14 * dy);
  }
  pen.stroke();
}

function point(event) {
  const box = at("overlay").getBoundingClientRect();
  const places = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  choose(places.map((place) => about.pointer.origin + place * about.pointer.side));
  step();
}

// What is shown

function write(element, moment) {
  const tokens = at("certain").checked && moment.certainty;
  if (!tokens) { element.textContent = moment.text; return; }
  element.replaceChildren(...tokens.map(([text, sure]) => {
    const word = make("span", { textContent: text, title: sure.toFixed(3) });
    word.style.backgroundColor = `rgba(220, 30, 60, ${0.75 * (1 - sure)})`;
    return word;
  }));
}

function show() {
  const moment = moments[here], isVideo = about.kind === "video";
  if (isVideo) draw(at("predicted"), moment.picture);
  else write(at("said"), moment);
  at("true_view").hidden = !moment.truth;
  if (moment.truth && isVideo) draw(at("truth"), moment.truth);
  else if (moment.truth) at("true_said").textContent = moment.truth;
  at("key").textContent = moments[0].key;
  at("note").textContent = moment.note ?? moments[0].note ?? about.without ?? "";
  at("rewards").replaceChildren(...Object.entries(moment.rewards ?? {}).map(([name, value]) =>
    make("tr", {}, make("td", { textContent: name }), make("td", { textContent: value.toPrecision(4) }))));
  at("rewind").disabled = moment.parent === null;
  if (isVideo) mark();
  else offer(moment);
  at("history").replaceChildren(...branches());
}

function branches() {
  const rows = [];
  const follow = (id, depth, row) => {
    row.append(thumbnail(moments[id]));
    const children = moments.filter((moment) => moment.parent === id);
    children.forEach((child, index) => {
      let own = row;
      if (index > 0) {
        own = make("div", { className: "branch" });
        for (let gap = 0; gap <= depth; gap += 1) own.append(make("span", { className: "gap" }));
        rows.push(own);
      }
      follow(child.id, depth + 1, own);
    });
  };
  rows.push(make("div", { className: "branch" }));
  follow(0, 0, rows[0]);
  return rows;
}

function thumbnail(moment) {
  const label = moment.action === null ? "the start" : `after ${moment.action}`;
  const inside = moment.picture ? make("img", { src: moment.picture, alt: "" }) : String(moment.action ?? "start");
  const button = make("button", { className: "moment", title: label }, inside);
  button.setAttribute("aria-label", `moment ${moment.id}, ${label}`);
  button.classList.toggle("here", moment.id === here);
  if (moment.id === here) button.setAttribute("aria-current", "true");
  button.onclick = () => { here = moment.id; show(); };
  return button;
}

// How actions are chosen

function sliders() {
  about.low.forEach((low, index) => {
    const high = about.high[index], middle = (low + high) / 2;
    const range = make("input", { type: "range", min: low, max: high, step: "any", value: middle });
    const value = make("output", { value: middle.toFixed(about.pointer ? 0 : 2) });
    range.oninput = () => choose(chosen());
    at("actions").append(make("label", {}, about.pointer ? "xy"[index] : `a${index + 1}`, range, value));
  });
  at("hint").textContent = about.pointer
    ? "Click where the agent shall go, or move its target with the arrow keys."
    : "Set the action and step.";
  if (!about.pointer) return;
  document.querySelector(".stack").classList.add("pointer");
  at("overlay").onclick = point;
}

function words() {
  document.querySelector(".stack").hidden = true;
  at("said").hidden = at("true_said").hidden = false;
  at("true_name").textContent = "The recording says";
  at("state").hidden = false;
  const field = make("input", { type: "text", id: "action" });
  field.setAttribute("aria-label", "action");
  at("actions").append(field, make("div", { id: "known" }));
  at("hint").textContent = "Write an action, or choose one that was recorded here.";
}

function offer(moment) {
  at("state").textContent = moment.state;
  at("known").replaceChildren(...moment.actions.map((text) =>
    make("button", { textContent: text, onclick: () => { choose(text); step(); } })));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.onkeydown = (event) => {
  const typing = event.target.matches("input[type=text], input[type=number]");
  if (event.key === "Enter" && !event.target.matches("#starts *, button")) step();
  else if (typing || event.target.matches("input[type=range]")) return;
  else if (event.key === "Backspace") rewind();
  else if (event.key === "c") at("certain").click();
  else if (event.key in ARROWS && about.pointer) {
    const move = ARROWS[event.key].map((way) => way * about.pointer.side / 16);
    choose(chosen().map((value, index) => value + move[index]));
    step();
  } else return;
  event.preventDefault();
};
at("step").onclick = step;
at("rewind").onclick = rewind;
at("certain").onchange = show;
at("starts").onsubmit = (event) => {
  event.preventDefault();
  change("begin", { start: Number(at("start").value) });
};

(async () => {
  about = await ask("about");
  at("start").max = about.starts - 1;
  if (about.kind === "video") sliders();
  else words();
  moments = await ask("moments");
  here = moments.length - 1;
  show();
  document.body.setAttribute("data-ready", "true");
})();
