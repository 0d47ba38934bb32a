"use strict";
const at = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("[data-label]")];
let clips = [], here = 0, busy = false;

async function ask(path, given) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(given) };
  const answer = await fetch(path, given ? post : {});
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

async function show() {
  const clip = clips[here], done = clips.filter((each) => each.label).length;
  at("clip").src = await ask("clip", { clip: clip.clip });
  at("task").textContent = clip.task;
  for (const button of buttons) button.classList.toggle("chosen", button.dataset.label === clip.label);
  at("note").textContent = `Clip ${here + 1} of ${clips.length}, ${done} labelled`;
}

async function alone(work) {
  if (busy) return;
  busy = true;
  try { await work(); } catch (error) { at("note").textContent = error.message; }
  busy = false;
}

const label = (said) => alone(async () => {
  await ask("label", { clip: clips[here].clip, label: said });
  clips[here].label = said;
  here = Math.min(here + 1, clips.length - 1);
  await show();
});
const back = () => alone(async () => { here = Math.max(here - 1, 0); await show(); });

for (const button of buttons) button.onclick = () => label(button.dataset.label);
at("back").onclick = back;
addEventListener("keydown", (event) => {
  const said = { s: "success", f: "failure", u: "unclear" }[event.key];
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (said) label(said);
  if (event.key === "Backspace") back();
});

alone(async () => {
  clips = await ask("clips");
  here = Math.max(clips.findIndex((clip) => !clip.label), 0);
  await show();
  document.body.setAttribute("data-ready", "");
});
