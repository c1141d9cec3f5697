// Shows how the run stands, as the server tells it whenever that changes, and asks for what the buttons say.

import { draw } from "./curve.js";

const STATES = {
  ready: "Ready", running: "Running", pausing: "Coming to rest", paused: "Paused", done: "Done", failed: "Failed",
};
const PATIENCE_MS = 40_000; // longer than the server ever waits
const SLOWEST_MS = 5_000; // between two attempts to reach it
const part = (id) => document.getElementById(id);
let status = null;
let heard = 0; // when, by performance.now()
let reached = true;
let failures = 0;
let gone = false; // there is nothing to wait for any more
let wake = () => {};
let cut = new AbortController(); // ends what waits for the server when the network goes

// ---- the server ----

class Refused extends Error {}

async function ask(address, body) {
  const options = { signal: AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), cut.signal]), cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    if (body) [options.body, options.headers] = [JSON.stringify(body), { "content-type": "application/json" }];
  }
  const reply = await fetch(address, options);
  const told = await reply.json();
  if (!reply.ok) throw Object.assign(new Refused(told.error), { status: reply.status });
  return told;
}

function take(told) {
  if (status && told.version < status.version && told.run === status.run && reached) return; // overtaken on its way
  [status, heard, reached, failures] = [told, performance.now(), true, 0];
  show();
}

async function follow() {
  while (!gone) {
    try {
      take(await ask(reached && status ? `state?version=${status.version}` : "state"));
      gone = status.ended;
    } catch (error) {
      gone = error.status === 404 || Boolean(status?.ending && !(error instanceof Refused));
      if (gone && status?.ending) status = { ...status, ended: true };
      reached = gone && Boolean(status?.ended);
      failures += 1;
      show(error.status === 404 ? "This address is not valid any more. Take the one that the computer shows now." : "");
      if (!gone) await pause(Math.min(SLOWEST_MS, 500 * 2 ** failures));
    }
  }
  show();
}

const pause = (milliseconds) => new Promise((resolve) => {
  wake = resolve;
  setTimeout(resolve, milliseconds);
});
window.addEventListener("online", () => wake());
window.addEventListener("offline", () => {
  cut.abort();
  cut = new AbortController();
});
document.addEventListener("visibilitychange", () => document.hidden || wake());

async function act(address, body = null) {
  trouble("");
  try {
    take(await ask(address, body));
  } catch (error) {
    trouble(error instanceof Refused ? error.message : "That did not arrive: there is no connection to the rig.");
  }
}

// ---- showing ----

/** Only what has changed: screen readers speak up for every change. */
function say(id, words) {
  if (part(id).textContent !== words) part(id).textContent = words;
}

function trouble(words) {
  say("trouble", words);
  part("trouble").hidden = !words;
}

function time(seconds) {
  if (seconds < 10) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 10) * 10} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `about ${minutes} min left` : `about ${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

function left() {
  if (status?.state === "ready" && !status.ended) return `${status.wanted} photographs`;
  if (!status || status.ended || !["running", "pausing", "paused"].includes(status.state)) return "";
  if (status.seconds_left === null) return status.state === "running" ? "time left: not known yet" : "";
  const passed = status.state === "running" && !status.question ? (performance.now() - heard) / 1000 : 0;
  return time(Math.max(0, status.seconds_left - passed));
}

function headline() {
  const { state, kept, ending, ended } = status;
  if (ended && state === "ready") return "Nothing was begun";
  if (ended && state !== "done") return "Stopped";
  if (status.question) return "Waiting for your answer";
  if (state === "running") return status.doing || "Getting ready";
  if (state === "pausing") return ending ? "Stopping" : "Coming to rest";
  if (state === "ready") return "Ready to start";
  if (state === "paused") return "Paused";
  return state === "done" ? `All ${kept} photographs are taken` : "The run has failed";
}

function network(address) {
  const words = address || (reached ? "" : "No connection to the rig. A run goes on without this page; trying again.");
  say("network", words);
  part("network").hidden = !words;
}

function show(address = "") {
  network(address);
  buttons();
  if (!status) return;
  const { run, state, kept, wanted, reason, rejected, rejections, ending, ended } = status;
  document.title = `${kept}/${wanted} – ${run}`;
  say("run", run);
  say("state", reached ? (ended ? "Ended" : STATES[state]) : "No connection");
  part("state").dataset.state = reached ? state : "away";
  say("kept", String(kept));
  say("wanted", `of ${wanted}`);
  part("ring").setAttribute("aria-valuemax", wanted);
  part("ring").setAttribute("aria-valuenow", kept);
  part("ring").setAttribute("aria-valuetext", `${kept} of ${wanted}`);
  part("arc").style.strokeDasharray = `${(100 * kept) / wanted} 200`;
  part("arc").style.visibility = kept ? "visible" : "hidden"; // a round cap shows even without a length
  say("doing", headline());
  say("left", left());
  const resume = state === "paused" || state === "failed" ? " Resume the run at the computer." : "";
  const stopped = ended ? `You can close this page.${resume}` : "";
  say("reason", [sentence(reason), stopped].filter(Boolean).join(" "));
  part("reason").className = state === "failed" || (state === "paused" && reason) ? "trouble" : "";
  picture();
  const last = draw(part("plot"), status.curve, status.span);
  say("reached", last ? `${last.toFixed(last < 10 ? 2 : 1)}×` : "");
  part("rejected").hidden = !rejected;
  say("rejected-title", rejected === 1 ? "1 photograph did not pass" : `${rejected} photographs did not pass`);
  if (part("rejections").dataset.told !== rejections.join("\n")) {
    part("rejections").dataset.told = rejections.join("\n");
    part("rejections").replaceChildren(...rejections.slice(0, 3).map((words) => {
      const item = document.createElement("li");
      item.textContent = words;
      return item;
    }));
  }
  question();
  if (ending && part("sure").open) part("sure").close();
}

const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

function picture() {
  const name = status.picture;
  if (!name || part("picture").dataset.name === name || status.ended) return;
  part("picture").dataset.name = name;
  const next = new Image();
  next.onload = () => { // the old one stays until the new one is there
    if (part("picture").dataset.name !== name) return;
    part("picture").src = next.src;
    part("picture").alt = `The last photograph, ${name}`;
    say("caption", name);
    part("last").hidden = false;
  };
  next.onerror = () => { delete part("picture").dataset.name; };
  next.src = `picture?${encodeURIComponent(name)}`;
}

function question() {
  const asked = status.question;
  const fresh = asked && part("question").hidden;
  part("question").hidden = !asked;
  if (asked) say("question-words", sentence(asked.words));
  if (fresh) part("no").focus();
}

/** Whether an end of the server would interrupt nothing. */
const idle = () => ["ready", "done"].includes(status?.state);

function buttons() {
  const state = status?.state;
  const free = reached && !gone && Boolean(status) && !status.ending;
  const words = { running: "Pause", pausing: "Coming to rest", paused: "Resume", failed: "Try again" };
  say("go", words[state] ?? "Start");
  part("go").disabled = !free || state === "pausing";
  part("go").hidden = state === "done";
  say("stop", idle() ? "Close" : "Stop");
  part("stop").disabled = !free;
  part("go").classList.toggle("primary", state !== "running");
  part("controls").hidden = gone;
}

// ---- buttons ----

part("go").onclick = () => act(status.state === "running" ? "pause" : "start");
part("yes").onclick = () => act("answer", { question: status.question.number, agrees: true });
part("no").onclick = () => act("answer", { question: status.question.number, agrees: false });
part("stop").onclick = () => {
  if (idle()) {
    act("stop");
    return;
  }
  say("sure-words", "The motor comes to rest and this page ends. "
    + "What has been taken is kept, and the run can be resumed at the computer.");
  part("sure").showModal();
};
part("sure-no").onclick = () => part("sure").close();
part("sure-yes").onclick = () => {
  part("sure").close();
  act("stop");
};
setInterval(() => status && reached && say("left", left()), 5_000);

follow();
