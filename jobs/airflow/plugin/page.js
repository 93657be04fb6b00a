"use strict";
// Data goes into the page as text only; what is started is started by Airflow's public API, with the user's own rights.

const byId = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const REFRESH_MS = 10000;
let shown = null; // the answer that the table shows
let timer = 0;
let turn = 0; // of the questions; a late answer to an earlier one is dropped

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function say(text) {
  byId("message").textContent = text;
}

async function call(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  const text = await answer.text();
  let body = null;
  try { body = JSON.parse(text); } catch { /* an error page of a proxy */ }
  if (answer.ok) return body;
  if (answer.status === 401) throw new Error("You are not logged in: log in to Airflow, then load this page again.");
  if (answer.status === 403) throw new Error("Your role does not allow this.");
  const detail = body && body.detail;
  throw new Error(typeof detail === "string" ? detail : `Airflow answered ${answer.status}: ${JSON.stringify(detail) || text.slice(0, 300)}`);
}

const api = (method, path, body) =>
  call(`../api/v2${path}`, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const ours = (dag) => `dags/${encodeURIComponent(dag)}`;

function range() {
  const query = new URLSearchParams();
  for (const id of ["first", "last"]) if (byId(id).value) query.set(id, byId(id).value);
  return query;
}

// -- the table ---------------------------------------------------------------------------------------

function cell(word, reasons) {
  const made = element("td", word === "missing" ? "–" : word, word);
  if (word === "missing") made.setAttribute("aria-label", "missing");
  if (reasons.length) made.title = reasons.join("\n");
  return made;
}

function runCell(run) {
  if (!run) return element("td", "–", "missing");
  const made = element("td", run.hangs ? "hangs" : run.state, run.hangs ? "failed" : run.state);
  made.title = run.run_id;
  return made;
}

function championCell(day) {
  const champion = day.champion;
  const made = element("td", champion ? champion.model_day || "none" : "–");
  if (!champion) return made;
  if (champion.told) made.textContent += champion.decision === "override" ? " (by hand)" : ` (candidate: ${champion.word})`;
  made.title = `${champion.decision}: ${champion.reason}`;
  return made;
}

function headRow(steps) {
  const row = element("tr");
  for (const name of ["day", "run", "model in force", "scores by", ...steps]) {
    const head = element("th", name);
    head.scope = "col";
    row.append(head);
  }
  return row;
}

function dayRow(day, steps, runs) {
  const row = element("tr");
  const head = element("th", day.day);
  head.scope = "row";
  row.append(head);
  row.append(runCell(runs[day.day]), championCell(day), element("td", day.served ? day.served.model_day : "–"));
  for (const name of steps) row.append(cell(day.steps[name].word, day.steps[name].reasons));
  return row;
}

function drawTable(answer) {
  const steps = [...answer.daily, ...answer.nightly];
  const runs = answer.dag ? answer.dag.runs : {};
  const head = element("thead");
  head.append(headRow(steps));
  const body = element("tbody");
  for (const day of [...answer.days].reverse()) body.append(dayRow(day, steps, runs));
  byId("table").replaceChildren(head, body);
}

function drawReasons(answer) {
  const lines = [];
  for (const day of [...answer.days].reverse()) {
    for (const [name, step] of Object.entries(day.steps)) {
      for (const reason of step.reasons) {
        if (!reason.startsWith("upstream:")) lines.push(element("li", `${day.day} ${name} ${step.word}: ${reason}`));
      }
    }
    if (day.champion && day.champion.told) {
      lines.push(element("li", `${day.day} promote: ${day.champion.told}`));
    }
  }
  byId("reasons").replaceChildren(...(lines.length ? lines : [element("li", answer.days.some((day) => day.unwell) ? "Missing days were never made." : "Everything is as it should be.")]));
}

// -- what else a person should know ------------------------------------------------------------------

function freshness(scores) {
  if (!scores) return element("li", "No scores were published yet.", "warning");
  const behind = scores.behind > 0 ? `, ${scores.behind} day${scores.behind > 1 ? "s" : ""} behind today` : "";
  const number = scores.sequence === null ? "" : `, publication ${scores.sequence}`;
  const model = scores.model_day ? `, by the model of ${scores.model_day}` : "";
  const text = `Newest scores: ${scores.score_day} (${scores.state || "published"}${number}${model})${behind}.`;
  return element("li", text, scores.behind > 0 || scores.state === "fallback" ? "warning" : "");
}

function button(text, work) {
  const made = element("button", text);
  made.type = "button";
  made.addEventListener("click", () => attempt(work));
  return made;
}

function pausedFact(answer) {
  const line = element("li", `${answer.dag_id} is paused: its runs wait. `, "warning");
  if (answer.may_start) line.append(button("Unpause", unpause));
  return line;
}

function olderFact(older) {
  const line = element("li", `${older.length} earlier day${older.length > 1 ? "s" : ""} from ${older[0]} on: stale, missing or failed, too. `, "warning");
  line.append(button("Show them", () => { byId("first").value = older[0]; return look(); }));
  return line;
}

function drawFacts(answer) {
  const facts = [freshness(answer.scores)];
  const dag = answer.dag;
  if (!dag) facts.push(element("li", `Airflow has not loaded ${answer.dag_id}: see its import errors.`, "warning"));
  if (dag && dag.paused) facts.push(pausedFact(answer));
  if (dag && dag.missing_pools.length) {
    facts.push(element("li", `No such pool: ${dag.missing_pools.join(", ")}. Tasks in it wait for ever: add it under Admin, Pools.`, "warning"));
  }
  const hanging = dag ? Object.keys(dag.runs).filter((day) => dag.runs[day].hangs) : [];
  if (hanging.length) {
    facts.push(element("li", `Runs that hang, since their backfill was cancelled: ${hanging.join(", ")}. The backfill below mends them.`, "warning"));
  }
  if (answer.older.length) facts.push(olderFact(answer.older));
  byId("facts").replaceChildren(...facts);
  const work = answer.days.some((day) => day.unwell) || hanging.length > 0;
  byId("backfill").hidden = !(work && answer.may_start && dag);
}

function underWay(answer) {
  return answer.dag !== null && Object.values(answer.dag.runs).some((run) => !run.hangs && ["queued", "running"].includes(run.state));
}

// -- asking and starting -----------------------------------------------------------------------------

async function look() {
  const dag = byId("pipeline").value;
  if (!dag) return;
  clearTimeout(timer);
  const mine = ++turn;
  if (!shown) say("Reading the store …");
  const answer = await call(`${ours(dag)}/days?${range()}`);
  if (mine !== turn) return;
  shown = answer;
  say(answer.days.length ? "" : "No day of this pipeline is over yet.");
  byId("title").textContent = `Days of ${answer.name}`;
  document.title = byId("title").textContent;
  drawFacts(answer);
  drawTable(answer);
  drawReasons(answer);
  if (underWay(answer)) timer = setTimeout(() => attempt(look), REFRESH_MS);
}

async function unpause() {
  await api("PATCH", `/dags/${encodeURIComponent(shown.dag_id)}?update_mask=is_paused`, { is_paused: false });
  await look();
}

let calls = [];

async function propose() {
  const days = shown.days;
  const query = new URLSearchParams({ first: days[0].day, last: days[days.length - 1].day });
  const plan = await call(`${ours(shown.dag_id)}/plan?${query}`, { method: "POST" });
  calls = plan.calls;
  byId("calls").replaceChildren(...calls.map((each) => element("li", each.says)));
  const notes = shown.dag.paused ? [...plan.notes, "the DAG is paused: nothing starts before it is unpaused"] : plan.notes;
  if (!plan.days.length) notes.push("nothing is to be done");
  byId("notes").replaceChildren(...notes.map((note) => element("li", note)));
  byId("go").hidden = calls.length === 0;
  byId("plan").hidden = false;
  byId("go").focus();
}

async function start() {
  byId("go").disabled = true;
  const names = calls.map((each) => each.says);
  try {
    for (const [at, each] of calls.entries()) {
      say(`${at + 1} of ${calls.length}: ${names[at]} …`);
      await api(each.method, each.path, each.body);
    }
  } finally {
    byId("go").disabled = false;
    byId("plan").hidden = true;
  }
  await look();
  say(`Started. ${names.join("; ")}.`);
  clearTimeout(timer);
  timer = setTimeout(() => attempt(look), REFRESH_MS);
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    say(error.message);
  }
}

// -- days or report ----------------------------------------------------------------------------------

let view = asked.get("view") === "report" ? "report" : "days";

async function show() {
  const report = view === "report";
  byId("days").hidden = report;
  byId("report").hidden = !report;
  byId("turn").textContent = report ? "Days" : "Report";
  if (!report) return look();
  clearTimeout(timer);
  say("");
  byId("title").textContent = "Report";
  byId("report").src = `${ours(byId("pipeline").value)}/report?${range()}`;
}

async function begin() {
  const found = await call("pipelines");
  if (found.broken.length) byId("pipeline").title = `Not loaded, see Airflow's import errors: ${found.broken.join(", ")}`;
  const choice = byId("pipeline");
  for (const each of found.pipelines) {
    const option = element("option", each.name);
    option.value = each.dag_id;
    choice.append(option);
  }
  const wanted = asked.get("dag_id");
  if (wanted) {
    const mine = found.pipelines.find((each) => wanted.startsWith(`${each.name}_`) && /^(daily|nightly|scores|export|promote)$/.test(wanted.slice(each.name.length + 1)));
    if (!mine) return say(`${wanted} is no DAG of a pipeline that is known here.`);
    choice.value = mine.dag_id;
  }
  if (!found.pipelines.length) return say(`There is no pipeline that you may read.${found.broken.length ? ` Not loaded: ${found.broken.join(", ")}.` : ""}`);
  await show();
}

byId("choice").addEventListener("submit", (event) => { event.preventDefault(); attempt(show); });
byId("pipeline").addEventListener("change", () => { shown = null; byId("first").value = byId("last").value = ""; byId("plan").hidden = true; attempt(show); });
byId("turn").addEventListener("click", () => { view = view === "report" ? "days" : "report"; attempt(show); });
byId("backfill").addEventListener("click", () => attempt(propose));
byId("go").addEventListener("click", () => attempt(start));
byId("leave").addEventListener("click", () => { byId("plan").hidden = true; });
attempt(begin);
