// The page: which tabs it has, and what it says of itself.

import { ask, state } from "./client.js";
import { hasGPU } from "./gpu.js";
import * as generate from "./generate.js";
import * as translate from "./translate.js";
import * as upscale from "./upscale.js";

const KINDS = { upscaler: upscale, translator: translate, generator: generate };
const status = document.querySelector("#status");
const say = (text) => (status.textContent = text);

let page;
try {
  page = await (await fetch("models.json")).json();
  if (!(await isolated())) await begin();
} catch (error) {
  complain(`The page cannot be loaded: ${error.message}. Check the connection, and reload it.`);
}

function complain(text) {
  say(text);
  status.classList.add("problem");
}

// A service worker gives the page the headers for threads. It has effect from the next visit on, so the first one
// begins again; but not where there is a GPU, which needs no threads. True if the page is loaded again.
async function isolated() {
  const ready = serviceWorker();
  const once = `hubgan ${page.version}`;
  try {
    if (self.crossOriginIsolated || navigator.hardwareConcurrency < 2 || sessionStorage.getItem(once)) return false;
    if ((await hasGPU()) || !(await ready)) return false;
    sessionStorage.setItem(once, "loaded");
  } catch {
    return false; // not allowed here
  }
  location.reload();
  return true;
}

// Whether the service worker is at work; false where browsers allow none, or it does not begin soon.
async function serviceWorker() {
  const late = new Promise((resolve) => setTimeout(resolve, 10_000, false));
  try {
    await navigator.serviceWorker.register("offline.js");
    return Boolean(await Promise.race([navigator.serviceWorker.ready, late]));
  } catch {
    return false;
  }
}

async function begin() {
  const tabs = Object.keys(KINDS).filter((kind) => page.models.some((model) => model.kind === kind));
  for (const kind of tabs) KINDS[kind].open(document.querySelector(`#${kind}`), page.models.filter((model) => model.kind === kind));
  document.querySelector("#models").textContent = `Models: ${page.models.map(({ name }) => name).join(", ")}.`;
  addTabs(tabs);
  document.querySelector("main").hidden = false;
  state.addEventListener("computes", ({ detail }) => describe(detail));

  say("The model is loading.");
  const address = new URL("./", location).href;
  const about = { ...page, address, cache: `hubgan ${address} ${page.version}` };
  try {
    await ask("start", { page: about, model: page.models.find((model) => model.kind === tabs[0]) });
    say("Ready.");
    document.documentElement.dataset.ready = "";
    if ((await ask("fetch")) && (await serviceWorker())) say("Ready. This page also works without a network now.");
    document.documentElement.dataset.kept = "";
  } catch (error) {
    complain(error.message);
  }
}

function describe({ kind, threads }) {
  const where = kind === "webgpu" ? "your graphics card (WebGPU)" : `your processor, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
  document.querySelector("#computes").textContent = `The models run on ${where}.`;
}

// Tabs as the ARIA authoring practices want them: arrow keys choose. A single one is not shown.
function addTabs(kinds) {
  const tabs = kinds.map((kind) => document.querySelector(`[aria-controls=${kind}]`));
  const choose = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.querySelector(`#${tab.getAttribute("aria-controls")}`).hidden = tab !== chosen;
    }
  };
  for (const [i, tab] of tabs.entries()) {
    tab.hidden = false;
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[key];
      if (to === undefined) return;
      const next = tabs.at(to % tabs.length);
      choose(next);
      next.focus();
    });
  }
  document.querySelector("[role=tablist]").hidden = tabs.length < 2;
  choose(tabs[0]);
}
