"use strict";
// What the visitor gave goes to the server as JSON; answers are shown as text, never as HTML.

const find = (id) => document.getElementById(id);
const form = find("form");
const modalities = form.dataset.modalities.split(" ");
const files = new Map(); // modality -> {file, src}: one of each, as one query may have
const plural = { text: "Texts", image: "Images", audio: "Sounds" };

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(text, bad = false) {
  find("status").textContent = text;
  find("status").classList.toggle("bad", bad);
}

function take(file) {
  const modality = file.type.split("/")[0];
  if (modality === "text" || !modalities.includes(modality)) {
    say(`${file.name}: not ${modalities.filter((each) => each !== "text").join(" or ")}`, true);
  } else if (file.size > Number(form.dataset.upload)) {
    say(`${file.name}: larger than ${(form.dataset.upload / 1e6).toFixed(0)} MB`, true);
  } else {
    say("");
    drop(modality);
    files.set(modality, { file, src: URL.createObjectURL(file) });
    showChosen();
  }
}

function drop(modality) {
  if (files.has(modality)) URL.revokeObjectURL(files.get(modality).src);
  files.delete(modality);
}

function showChosen() {
  find("chosen").replaceChildren(...[...files].map(([modality, { file, src }]) => {
    const shown = modality === "image"
      ? [element("img", { src, alt: "" }), element("span", { textContent: file.name })]
      : [element("audio", { src, controls: true, title: file.name })];
    const remove = element("button", { type: "button", className: "remove", textContent: "×" });
    remove.setAttribute("aria-label", `Remove ${file.name}`);
    remove.addEventListener("click", () => { drop(modality); showChosen(); });
    return element("li", {}, ...shown, remove);
  }));
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
}

async function input() {
  const given = {};
  const text = find("text")?.value.trim();
  if (text) given.text = text;
  for (const [modality, { file }] of files) given[modality] = await dataUrl(file);
  return given;
}

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error?.message ?? `the server answered ${answer.status}`);
  return said;
}

function wantedLabels() {
  const said = (find("labels")?.value ?? "").split(",").map((each) => each.trim()).filter(Boolean);
  return [...new Set(said)];
}

function showScores(predictions) {
  find("scores").replaceChildren(...predictions.map(({ label, score }) => element("li", {},
    element("span", { textContent: label }),
    element("progress", { max: 1, value: score, ariaLabel: label }),
    element("span", { className: "score", textContent: `${(100 * score).toFixed(1)} %` }),
  )));
  find("labelled").hidden = false;
}

function card(result) {
  const made = element("li", { className: "card" }, element("p", { className: "head" },
    element("span", { textContent: `${result.index + 1}` }),
    element("span", { className: "score", textContent: result.score.toFixed(3), title: "cosine similarity" }),
  ));
  if (result.thumbnail) {
    const image = element("img", { src: result.thumbnail, alt: result.title, loading: "lazy" });
    made.append(result.file
      ? element("a", { href: result.file, target: "_blank", rel: "noopener" }, image)
      : image);
  } else if (result.file) {
    made.append(element("audio", { src: result.file, controls: true, preload: "metadata" }));
  }
  const media = result.thumbnail || result.file;
  made.append(element("p", { className: media ? "muted" : "text", textContent: result.title }));
  if (result.text && result.text !== result.title) {
    made.append(element("p", { className: "muted", textContent: result.text }));
  }
  const facts = Object.entries(result.metadata);
  if (facts.length) {
    made.append(element("dl", {}, ...facts.flatMap(([name, value]) => [
      element("dt", { textContent: name }), element("dd", { textContent: String(value) }),
    ])));
  }
  return made;
}

// Modalities stand apart, in the order of their best results: their cards have different shapes.
function showResults(results) {
  const groups = new Map();
  for (const result of results) {
    groups.set(result.modality, [...(groups.get(result.modality) ?? []), result]);
  }
  find("found").replaceChildren(...[...groups].map(([modality, group]) => element("section", {},
    element("h2", { textContent: plural[modality] ?? modality }),
    element("ol", { className: `results ${modality}` }, ...group.map(card)),
  )));
}

async function submit() {
  const given = await input();
  const labels = wantedLabels();
  const search = form.dataset.search === "1";
  if (!Object.keys(given).length) throw new Error("Give a text or a file first.");
  if (!search && !labels.length) throw new Error("Give labels to score it by.");
  if (labels.length > Number(form.dataset.labels)) throw new Error(`At most ${form.dataset.labels} labels.`);
  const said = [];
  let truncated = {};
  if (labels.length) {
    const answer = await ask("/v1/classify", { input: given, labels });
    showScores(answer.data[0].predictions);
    truncated = answer.truncated;
  } else {
    find("labelled").hidden = true;
  }
  if (search) {
    const modality = find("modality")?.value;
    const answer = await ask("/v1/search", { input: given, k: 24, ...(modality ? { modality } : {}) });
    showResults(answer.data);
    const how = answer.fuse === "joint" ? "read together in one pass" : "the sum of their vectors";
    if (answer.fuse) said.push(`${Object.keys(given).join(" + ")} as one query: ${how}.`);
    if (!answer.data.length) said.push("Nothing found.");
    truncated = answer.truncated;
  }
  for (const modality of Object.keys(truncated)) {
    said.push(`The ${modality} is longer than the model reads: only its beginning counts.`);
  }
  say(said.join(" "));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (find("go").disabled) return;
  find("go").disabled = true;
  say("Working …");
  try {
    await submit();
  } catch (error) {
    say(error instanceof TypeError ? "The server does not answer." : error.message, true);
  } finally {
    find("go").disabled = false;
  }
});

find("file")?.addEventListener("change", (event) => {
  for (const file of event.target.files) take(file);
  event.target.value = ""; // so that the same file may be chosen again
});
find("text")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); form.requestSubmit(); }
});
document.addEventListener("paste", (event) => {
  for (const file of event.clipboardData.files) take(file);
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); find("drop")?.classList.add("over"); });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) find("drop")?.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop")?.classList.remove("over");
  for (const file of event.dataTransfer.files) take(file);
});
